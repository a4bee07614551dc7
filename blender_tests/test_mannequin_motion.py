"""The mannequin's own armature under motion, poses and export."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
from mannequin_sample import ARKIT
from skeletons import TO_BLENDER, matrix, places
from test_export import glb_content

Module = Callable[[str], ModuleType]


@pytest.fixture
def body(scene: bpy.types.Scene) -> bpy.types.Object:
    """A mannequin, the character's body."""
    bpy.ops.uvmap_id.add_mannequin()
    return scene.uvmap_id.body


def _bones(body: bpy.types.Object) -> dict[str, str]:
    return {bone["smpl"]: bone.name for bone in body.parent.data.bones}


@pytest.mark.parametrize("count", [22, 24, 52, 55])
def test_amass_turns_every_joint(
    body: bpy.types.Object, scene: bpy.types.Scene, tmp_path: Path, module: Module, count: int
) -> None:
    """Limbs point where the rotations of their joints, from the pelvis down, turn them from the T-pose."""
    joints, parents = module("skeleton").JOINTS[count], module("skeleton").PARENTS
    bones = _bones(body)
    assert set(joints) <= set(bones)
    rest = places(body.parent, bones)
    poses = np.random.default_rng(5).normal(scale=0.4, size=(2, count, 3))
    np.savez(tmp_path / "m.npz", poses=poses.reshape(2, -1), trans=np.zeros((2, 3)), mocap_framerate=24.0)
    scene.render.fps = 24
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz"), up_axis="Y", on_ground=False)
    scene.frame_set(2)
    found = places(body.parent, bones)
    turned = {"pelvis": matrix(poses[1, 0])}
    for joint, parent in parents.items():
        # Fingers hang on the joint that only SMPL's 24 have, so that a hand's turn takes them along.
        holder = parent
        if joint[-1] == "1" and "spine" not in joint and "thumb" not in joint:
            holder = f"{joint.split('_')[0]}_hand"
        own = matrix(poses[1, joints.index(joint)]) if joint in joints else np.eye(3)
        turned[joint] = turned[holder] @ own
        limb = TO_BLENDER @ turned[holder] @ TO_BLENDER.T @ (rest[joint] - rest[holder])
        assert found[joint] - found[holder] == pytest.approx(limb, abs=1e-4), joint


def test_a_pose_ends_a_motion_where_the_body_stood(
    body: bpy.types.Object, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    before = places(body.parent, _bones(body))
    poses = np.random.default_rng(5).normal(scale=0.4, size=(2, 66))
    np.savez(tmp_path / "walk.npz", poses=poses, trans=np.full((2, 3), 2.0), mocap_framerate=30.0)
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "walk.npz"))
    body.uvmap_id_shape.gaze = (0.2, 0.1)
    assert bpy.ops.uvmap_id.apply_pose(pose="T") == {"FINISHED"}
    assert bpy.data.actions["walk"].use_fake_user
    assert body.parent.animation_data.action is None
    scene.frame_set(2)
    after = places(body.parent, _bones(body))
    for joint, place in before.items():
        assert after[joint] == pytest.approx(place, abs=1e-5)
    assert tuple(body.uvmap_id_shape.gaze) == pytest.approx((0.2, 0.1), abs=1e-4)


def test_it_is_exported_with_bones_and_shapes(body: bpy.types.Object, tmp_path: Path) -> None:
    body.uvmap_id_shape.age = 0.5
    bpy.ops.uvmap_id.apply_pose(pose="A")
    bpy.ops.uvmap_id.export_character(filepath=str(tmp_path / "m.glb"))
    document, _ = glb_content(tmp_path / "m.glb")
    (skin,) = document["skins"]
    names = {document["nodes"][joint]["name"] for joint in skin["joints"]}
    assert names == {bone.name for bone in body.parent.data.bones}
    (mesh,) = document["meshes"]
    keys: Any = body.data.shape_keys.key_blocks
    assert mesh["extras"]["targetNames"] == [key.name for key in keys[1:]]
    assert set(ARKIT) <= set(mesh["extras"]["targetNames"])
    ages = dict(zip(mesh["extras"]["targetNames"], mesh["weights"], strict=True))
    assert ages["age+"] == pytest.approx(0.5)
    assert len(mesh["primitives"]) == len(body.material_slots) == 3
    for primitive in mesh["primitives"]:
        assert {"TEXCOORD_0", "JOINTS_0", "WEIGHTS_0"} <= set(primitive["attributes"])
