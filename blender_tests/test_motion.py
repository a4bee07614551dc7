"""Motion and poses on armatures: where the joints end up, checked against kinematics computed here."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# pyright: reportIndexIssue=false, reportOptionalSubscript=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from skeletons import REST, TO_BLENDER, add_armature, add_body, kinematics, matrix, places

Module = Callable[[str], ModuleType]
PELVIS, PELVIS_X = np.array([-0.0018, -0.2233, 0.0282]), np.array([0.0031, -0.3514, 0.0120])
# An armature whose space is SMPL's own, as importers leave it under an object that they turn.
Y_UP = np.eye(3)


@pytest.fixture
def parents(module: Module) -> dict[str, str]:
    return module("skeleton").PARENTS


@pytest.fixture
def joints(module: Module) -> dict[int, tuple[str, ...]]:
    return module("skeleton").JOINTS


@pytest.fixture
def armature(scene: bpy.types.Scene, parents: dict[str, str]) -> bpy.types.Object:
    """A plain armature, chosen as the body through a mesh that it moves."""
    made = add_armature(parents)
    scene.uvmap_id.body = add_body(made)
    scene.render.fps, scene.render.fps_base, scene.frame_start = 30, 1.0, 1
    return made


def _poses(frames: int, count: int, strength: float = 0.5) -> np.ndarray:
    """A smooth motion of every joint: (F, J, 3)."""
    random = np.random.default_rng(2)
    ends = random.normal(scale=strength, size=(2, count, 3))
    return ends[0] + np.linspace(0, 1, frames)[:, None, None] * (ends[1] - ends[0])


def _named(parents: dict[str, str]) -> dict[str, str]:
    return {joint: joint for joint in REST if joint == "pelvis" or joint in parents}


@pytest.mark.parametrize("count", [22, 24, 52, 55])
def test_amass_reaches_every_joint(
    armature: bpy.types.Object,
    scene: bpy.types.Scene,
    tmp_path: Path,
    parents: dict[str, str],
    joints: dict[int, tuple[str, ...]],
    count: int,
) -> None:
    poses, trans = _poses(5, count), np.random.default_rng(3).normal(size=(5, 3))
    np.savez(
        tmp_path / "m.npz", poses=poses.reshape(5, -1), trans=trans, mocap_framerate=30.0, gender="female", betas=[0.0]
    )
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz"), on_ground=False)
    assert scene.frame_end == 5
    for frame in range(5):
        scene.frame_set(frame + 1)
        found = places(armature, _named(parents))
        wanted = kinematics(joints[count], parents, poses[frame])
        template = PELVIS_X if count == 55 else PELVIS
        # The world of AMASS is z up already: its root turns SMPL's y-up template there.
        for joint in REST:
            place = wanted[joint] - wanted["pelvis"] + template + trans[frame]
            assert found[joint] == pytest.approx(place, abs=2e-5), (frame, joint)


def test_y_up_files_are_laid_down(
    armature: bpy.types.Object,
    scene: bpy.types.Scene,
    tmp_path: Path,
    parents: dict[str, str],
    joints: dict[int, tuple[str, ...]],
) -> None:
    poses, trans = _poses(2, 24), np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    np.savez(tmp_path / "m.npz", poses=poses.reshape(2, -1), trans=trans, mocap_frame_rate=30)
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz"), up_axis="Y", on_ground=False)
    scene.frame_set(2)
    found, wanted = places(armature, _named(parents)), kinematics(joints[24], parents, poses[1])
    for joint in REST:
        place = TO_BLENDER @ (wanted[joint] - wanted["pelvis"] + PELVIS + trans[1])
        assert found[joint] == pytest.approx(place, abs=2e-5)


@pytest.mark.parametrize("axes", [TO_BLENDER, Y_UP], ids=["z up", "y up"])
def test_any_armature_with_the_joints_follows(
    scene: bpy.types.Scene,
    tmp_path: Path,
    parents: dict[str, str],
    joints: dict[int, tuple[str, ...]],
    axes: np.ndarray,
) -> None:
    """Other names, ends and rolls, missing bones, an armature that is y up and scaled: limbs point the same way."""
    armature = add_armature(parents, axes, renamed=True, without=("spine2", "left_hand"))
    armature.scale = (2, 2, 2)
    scene.render.fps, scene.uvmap_id.body = 30, add_body(armature)
    bpy.context.view_layer.update()
    poses, trans = _poses(3, 24), np.array([[0.0, 0, 0], [0.1, 0.2, 0.3], [0.2, 0.4, 0.8]])
    np.savez(tmp_path / "m.npz", poses=poses.reshape(3, -1), trans=trans, mocap_framerate=30)
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz"), up_axis="Y", on_ground=False)
    scene.frame_set(3)
    bones = {bone["smpl"]: bone.name for bone in armature.data.bones if "smpl" in bone}
    found, wanted = places(armature, bones), kinematics(joints[24], parents, poses[2])
    limbs = [(joint, parents[joint]) for joint in bones if parents.get(joint) in bones]
    assert len(limbs) == len(REST) - 4
    for joint, parent in limbs:
        limb = 2 * axes @ (wanted[joint] - wanted[parent])
        assert found[joint] - found[parent] == pytest.approx(limb, abs=1e-4), joint
    # Metres of the world, whatever the armature's scale.
    assert found["pelvis"] == pytest.approx(axes @ (PELVIS + trans[2]), abs=1e-5)


def test_parts_of_smplx_join_to_the_same(module: Module, tmp_path: Path) -> None:
    poses = _poses(4, 55).reshape(4, -1)
    parts = {
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:66],
        "pose_jaw": poses[:, 66:69],
        "pose_eye": poses[:, 69:75],
        "pose_hand": poses[:, 75:],
    }
    # A member that is not needed may hold what it likes.
    np.savez(tmp_path / "parts.npz", **parts, mocap_frame_rate=30.0, labels=np.array([{}], dtype=object))
    np.savez(tmp_path / "whole.npz", poses=poses, mocap_frame_rate=[30.0])
    files = module("motion_files")
    one, other = (files.read(tmp_path / f"{name}.npz") for name in ("parts", "whole"))
    assert one.joints == other.joints
    assert one.rotations == pytest.approx(other.rotations)
    np.savez(tmp_path / "body.npz", root_orient=poses[:, :3], pose_body=poses[:, 3:66])
    assert files.read(tmp_path / "body.npz").joints == one.joints[:22]


def test_frame_rates_are_converted_by_slerp(
    armature: bpy.types.Object, scene: bpy.types.Scene, tmp_path: Path, module: Module
) -> None:
    """A knee that bends evenly at 120 frames a second bends evenly at 30."""
    poses = np.zeros((121, 22, 3))
    poses[:, 4, 0] = np.linspace(0, 2.4, 121)
    np.savez(tmp_path / "m.npz", poses=poses.reshape(121, -1), trans=np.zeros((121, 3)), mocap_framerate=120)
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz"))
    assert scene.frame_end == 31
    for frame in (1, 7, 31):
        scene.frame_set(frame)
        angle = armature.pose.bones["left_knee"].rotation_quaternion.angle
        assert angle == pytest.approx((frame - 1) / 30 * 2.4, abs=1e-4)
    slow = module("motion_files").resampled(module("motion_files").read(tmp_path / "m.npz"), 240.0)
    knee = slow.rotations[:, 4]
    assert 2 * np.arctan2(knee[:, 1], knee[:, 0]) == pytest.approx(np.linspace(0, 2.4, 241), abs=1e-9)


def test_curves_never_jump(armature: bpy.types.Object, scene: bpy.types.Scene, tmp_path: Path) -> None:
    poses = np.zeros((60, 22, 3))
    poses[:, 16, 2] = np.linspace(0, 4 * np.pi, 60)
    np.savez(tmp_path / "m.npz", poses=poses.reshape(60, -1), mocap_framerate=30)
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz"))
    values = []
    for frame in range(1, 61):
        scene.frame_set(frame)
        values.append(tuple(armature.pose.bones["left_shoulder"].rotation_quaternion))
    assert np.abs(np.diff(values, axis=0)).max() < 0.2


def test_feet_reach_the_ground(
    armature: bpy.types.Object, scene: bpy.types.Scene, tmp_path: Path, parents: dict[str, str]
) -> None:
    """A jump of half a metre in the middle of squats, a metre too high: the lowest foot is where it rests."""
    poses, trans = np.zeros((9, 22, 3)), np.zeros((9, 3))
    poses[:, 0] = (np.pi / 2, 0, 0)
    poses[:, (1, 2), 0], poses[:, (4, 5), 0] = -0.8, 1.2
    trans[:, 2] = 1.0 + 0.5 * np.sin(np.linspace(0, np.pi, 9))
    np.savez(tmp_path / "m.npz", poses=poses.reshape(9, -1), trans=trans, mocap_framerate=30)
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz"))
    lowest = []
    for frame in range(1, 10):
        scene.frame_set(frame)
        found = places(armature, _named(parents))
        lowest.append(min(found[joint][2] - REST[joint][1] for joint in found if joint.endswith(("ankle", "foot"))))
    assert min(lowest) == pytest.approx(0, abs=1e-5)
    assert max(lowest) == pytest.approx(0.5, abs=1e-4)


def test_shape_of_the_file_is_given_where_asked(
    armature: bpy.types.Object, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    np.savez(tmp_path / "m.npz", poses=np.zeros((2, 66)), mocap_framerate=30, betas=np.arange(1, 17) / 2)
    keys = scene.uvmap_id.body.data.shape_keys.key_blocks
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz"))
    assert [key.value for key in keys[1:]] == [0, 0]
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz"), shape=True)
    assert [key.value for key in keys[1:]] == [0.5, 1.0]


def test_json_in_degrees_and_quaternions(
    armature: bpy.types.Object, scene: bpy.types.Scene, tmp_path: Path, parents: dict[str, str]
) -> None:
    half = np.sqrt(0.5)
    data = {
        "format": "uvmap_id.motion",
        "version": 1,
        "frame_rate": 30,
        "rotations": {"left_shoulder": [[0, 0, 0], [0, 0, -90]], "right_elbow": [half, 0, half, 0]},
        "translation": [[0, 0, 0], [0.5, 0, 1.0]],
    }
    path = tmp_path / "wave.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    bpy.ops.uvmap_id.import_motion(filepath=str(path), on_ground=False)
    scene.frame_set(2)
    found = places(armature, _named(parents))
    # To the body's left by half a metre, forward (-y) by one; the left arm hangs, the right forearm points forward.
    moved = np.array([0.5, -1.0, 0.0])
    assert found["pelvis"] == pytest.approx(TO_BLENDER @ REST["pelvis"] + moved, abs=1e-5)
    arm = TO_BLENDER @ (matrix(np.array([0, 0, -np.pi / 2])) @ (np.subtract(REST["left_elbow"], REST["left_shoulder"])))
    assert found["left_elbow"] == pytest.approx(TO_BLENDER @ REST["left_shoulder"] + moved + arm, abs=1e-5)
    assert found["right_wrist"][1] < found["right_elbow"][1] - 0.2


@pytest.mark.parametrize(("pose", "drop"), [("T", 0.0), ("A", 0.15), ("RELAXED", 0.2)])
def test_poses_lower_both_arms_alike(
    armature: bpy.types.Object, scene: bpy.types.Scene, parents: dict[str, str], pose: str, drop: float
) -> None:
    bpy.ops.uvmap_id.apply_pose(pose="RELAXED")
    bpy.ops.uvmap_id.apply_pose(pose=pose)
    found = places(armature, _named(parents))
    left, right = found["left_wrist"], found["right_wrist"]
    assert left == pytest.approx(right * (-1, 1, 1), abs=1e-5)
    assert found["left_shoulder"][2] - left[2] >= drop
    assert left[0] > 0.2
    feet = [found[joint][2] - REST[joint][1] for joint in found if joint.endswith(("ankle", "foot"))]
    assert min(feet) == pytest.approx(0, abs=1e-5)


def test_posing_puts_the_action_aside(armature: bpy.types.Object, scene: bpy.types.Scene, tmp_path: Path) -> None:
    np.savez(tmp_path / "walk.npz", poses=np.zeros((2, 66)), mocap_framerate=30)
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "walk.npz"))
    bpy.ops.uvmap_id.apply_pose(pose="A")
    assert armature.animation_data.action is None
    assert bpy.data.actions["walk"].use_fake_user


def test_turntable_loops_and_sees_the_body(armature: bpy.types.Object, scene: bpy.types.Scene) -> None:
    body = scene.uvmap_id.body
    bpy.ops.uvmap_id.add_turntable(frames=24)
    camera = scene.camera
    assert scene.frame_end - scene.frame_start + 1 == 24
    directions = []
    for frame in range(scene.frame_start, scene.frame_end + 2):
        scene.frame_set(frame)
        directions.append(np.array(camera.matrix_world.translation - camera.parent.location))
        points = np.array([camera.matrix_world.inverted() @ vertex.co for vertex in body.data.vertices])
        angles = np.abs(points[:, :2] / points[:, 2:])
        half = 18 / 85
        wide = scene.render.resolution_x >= scene.render.resolution_y
        aspect = scene.render.resolution_y / scene.render.resolution_x
        assert (points[:, 2] < 0).all()
        assert (angles.max(axis=0) < (half, half * aspect) if wide else (half / aspect, half)).all()
    # The first picture is from the front, steps are even, and the frame after the last is the first.
    assert directions[0][1] < 0
    steps = np.linalg.norm(np.diff(directions, axis=0), axis=1)
    assert steps == pytest.approx(steps[0], rel=1e-4)
    assert directions[-1] == pytest.approx(directions[0], abs=1e-4)


def test_a_body_without_skeleton_is_refused(scene: bpy.types.Scene, tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", poses=np.zeros((2, 66)), mocap_framerate=30)
    for action in (
        lambda: bpy.ops.uvmap_id.apply_pose(pose="A"),
        lambda: bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz")),
        lambda: bpy.ops.uvmap_id.add_turntable(),
    ):
        with pytest.raises(RuntimeError, match="body_missing"):
            action()
    scene.uvmap_id.body = bpy.data.objects.new("Plain", bpy.data.meshes.new("Plain"))
    with pytest.raises(RuntimeError, match="body_without_skeleton"):
        bpy.ops.uvmap_id.apply_pose(pose="A")
    bones = bpy.data.objects.new("Tree", bpy.data.armatures.new("Tree"))
    scene.collection.objects.link(bones)
    scene.uvmap_id.body.parent = bones
    with pytest.raises(RuntimeError, match="no bone for SMPL's joints pelvis, left_hip"):
        bpy.ops.uvmap_id.apply_pose(pose="A")
