"""The mannequin in Blender: what it is made of, how it bends, how long it takes."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false, reportIndexIssue=false, reportGeneralTypeIssues=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
from conftest import names_in_file
from mannequin_sample import ARKIT
from mathutils import Matrix, Vector
from mathutils.bvhtree import BVHTree

LONGEST_S = 0.5


@pytest.fixture
def asset(module: Callable[[str], ModuleType]) -> Any:
    """The arrays of the extension's own file."""
    return module("mannequin_asset").read(module("mannequin").ASSET)


@pytest.fixture
def body(scene: bpy.types.Scene) -> bpy.types.Object:
    """A mannequin, the character's body."""
    bpy.ops.uvmap_id.add_mannequin()
    return scene.uvmap_id.body


def test_it_appears_in_half_a_second(scene: bpy.types.Scene) -> None:
    started = time.perf_counter()
    bpy.ops.uvmap_id.add_mannequin()
    bpy.context.view_layer.update()
    assert time.perf_counter() - started < LONGEST_S


def test_it_is_its_file(body: bpy.types.Object, asset: Any) -> None:
    assert np.allclose(points_of(body), asset.vertices, atol=1e-5)
    assert np.allclose(posed_points(body), asset.vertices, atol=1e-5)
    assert not body.data.validate()
    assert [layer.name for layer in body.data.uv_layers] == ["SMPL"]
    keys = body.data.shape_keys
    assert keys.use_relative
    assert [key.name for key in keys.key_blocks] == ["Basis", *asset.shape_names]
    assert set(ARKIT) <= set(keys.key_blocks.keys())
    for number in (0, len(asset.shape_names) - 1):
        key = keys.key_blocks[number + 1]
        assert (key.value, key.slider_min, key.slider_max) == (0.0, 0.0, 1.0)
        found = np.array([point.co for point in key.data])
        assert np.allclose(found, asset.key_points(number), atol=1e-6)


def test_its_bones_are_smpls_joints(body: bpy.types.Object, asset: Any) -> None:
    bones = body.parent.data.bones
    assert [bone.name for bone in bones] == asset.bone_names.tolist()
    for bone, smpl, parent, head, tail in zip(
        bones, asset.bone_smpl, asset.bone_parents, asset.bone_heads, asset.bone_tails, strict=True
    ):
        assert bone.get("smpl", "") == smpl
        assert (bone.parent.name if bone.parent else "") == (asset.bone_names[parent] if parent >= 0 else "")
        assert np.allclose([bone.head_local, bone.tail_local], [head, tail], atol=1e-5)
    assert {"left_elbow", "right_elbow", "left_knee", "right_knee"} <= {bone.get("smpl") for bone in bones}


def test_its_weights_add_up(body: bpy.types.Object, asset: Any) -> None:
    groups = [group.name for group in body.vertex_groups]
    for number in range(0, len(asset.vertices), 97):
        held = {groups[group.group]: group.weight for group in body.data.vertices[number].groups}
        wanted: dict[str, float] = {}
        for bone, weight in zip(asset.weight_bones[number], asset.weight_values[number], strict=True):
            if weight:
                wanted[asset.bone_names[bone]] = weight / 255
        assert held == pytest.approx(wanted, abs=1e-3)
        assert sum(held.values()) == pytest.approx(1, abs=1e-3)


def test_it_wears_skin_eyes_and_mouth(body: bpy.types.Object, asset: Any) -> None:
    worn = [slot.material.name for slot in body.material_slots]
    assert worn == ["UVMap-ID Mannequin", "UVMap-ID Mannequin Eye", "UVMap-ID Mannequin Mouth"]
    found = np.array([polygon.material_index for polygon in body.data.polygons])
    assert np.array_equal(found, asset.face_materials)
    iris = next(node.image for node in body.material_slots[1].material.node_tree.nodes if node.type == "TEX_IMAGE")
    assert iris.packed_file is not None
    middle, corner = np.array(iris.pixels[:]).reshape(*iris.size, 4)[(iris.size[0] // 2, 0), (iris.size[1] // 2, 0)]
    assert middle[:3].max() < 0.1
    assert corner[:3].min() > 0.8


def test_a_texture_goes_on_its_skin_only(
    body: bpy.types.Object, module: Callable[[str], ModuleType], textures: Path
) -> None:
    maps = module("results").maps_in(textures)
    before = [slot.material for slot in body.material_slots]
    indices = [polygon.material_index for polygon in body.data.polygons]
    assert module("material").assign(body, maps) == before[0]
    bpy.data.materials.remove(before[0])
    again = module("material").assign(body, maps)
    assert [slot.material for slot in body.material_slots] == [again, *before[1:]]
    assert [polygon.material_index for polygon in body.data.polygons] == indices


def test_several_share_the_iris_only(body: bpy.types.Object, scene: bpy.types.Scene) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    other = scene.uvmap_id.body
    assert not {slot.material for slot in body.material_slots} & {slot.material for slot in other.material_slots}
    assert len([image for image in bpy.data.images if "Iris" in image.name]) == 1
    assert body.parent != other.parent


def test_one_undo_step(scene: bpy.types.Scene) -> None:
    bpy.ops.ed.undo_push(message="before")
    before = names_in_file()
    bpy.ops.uvmap_id.add_mannequin()
    # In a script, unlike at a button, nobody pushes the step.
    bpy.ops.ed.undo_push(message="Add Mannequin")
    added = names_in_file()
    bpy.ops.ed.undo()
    assert names_in_file() == before
    assert not bpy.data.armatures
    bpy.ops.ed.redo()
    assert names_in_file() == added
    body = bpy.context.scene.uvmap_id.body
    body.uvmap_id_shape.age = -0.5
    assert body.uvmap_id_shape.age == pytest.approx(-0.5)


def test_adding_leaves_modes_and_other_scenes_alone(scene: bpy.types.Scene) -> None:
    bpy.ops.object.armature_add()
    other = bpy.context.object
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.uvmap_id.add_mannequin()
    assert other.mode == "POSE"
    assert list(bpy.data.scenes) == [scene]
    assert len(bpy.data.objects) == 3


@pytest.mark.parametrize("pose", ["t", "a", "relaxed"])
def test_poses_turn_the_bones_and_keep_the_gaze(body: bpy.types.Object, asset: Any, pose: str) -> None:
    rig = body.parent
    body.uvmap_id_shape.gaze = (0.2, 0.1)
    rig.pose.bones[0].location = (0.3, 0, 0)
    assert bpy.ops.uvmap_id.apply_pose(pose=pose.upper()) == {"FINISHED"}
    wanted = asset.pose_rotations[asset.pose_names.tolist().index(pose)]
    eyes = {asset.eye_bone(side) for side in (1, 2)}
    for number, bone in enumerate(rig.pose.bones):
        if number not in eyes:
            assert np.allclose(bone.rotation_quaternion, wanted[number], atol=1e-4)
    assert tuple(body.uvmap_id_shape.gaze) == pytest.approx((0.2, 0.1), abs=1e-4)
    assert tuple(rig.pose.bones[0].location) == (0, 0, 0)


def test_arms_hang_lower_from_pose_to_pose(body: bpy.types.Object) -> None:
    heights = []
    for pose in ("t", "a", "relaxed"):
        bpy.ops.uvmap_id.apply_pose(pose=pose.upper())
        bpy.context.view_layer.update()
        hands = [bone for bone in body.parent.pose.bones if bone.bone.get("smpl") in ("left_elbow", "right_elbow")]
        tails = [bone.tail for bone in hands]
        assert tails[0].x * tails[1].x < 0
        assert tails[0].z == pytest.approx(tails[1].z, abs=0.02)
        heights.append(tails[0].z)
    assert heights == sorted(heights, reverse=True)
    assert heights[0] - heights[2] > 0.2


@pytest.mark.parametrize(
    ("joint", "axis"), [("left_elbow", "-Z"), ("right_elbow", "Z"), ("left_knee", "X"), ("right_knee", "X")]
)
def test_limbs_bend_without_collapsing(body: bpy.types.Object, joint: str, axis: str) -> None:
    bone = next(bone for bone in body.parent.pose.bones if bone.bone.get("smpl") == joint)
    at, along = bone.bone.head_local.copy(), (bone.bone.tail_local - bone.bone.head_local).normalized()
    limb, lower = limb_faces(body, bone.bone), lower_faces(body, bone.bone)
    straight = area_of_cut(posed_points(body), limb, at, along)
    turn = Matrix.Rotation(-1.5707963 if axis[0] == "-" else 1.5707963, 4, axis[-1])
    axes = bone.bone.matrix_local.to_3x3().to_4x4()
    bone.rotation_quaternion = (axes.inverted() @ turn @ axes).to_quaternion()
    bpy.context.view_layer.update()
    bent = (bone.tail - bone.head).normalized()
    assert bent.dot(along) == pytest.approx(0, abs=0.02)
    points = posed_points(body)
    # Where both halves meet. Blended matrices leave cos 45 of a plain pipe, and more of a limb.
    mitre = area_of_cut(points, limb, at, (along + bent).normalized())
    assert 0.85 < mitre / straight < 1.5
    for beyond in (0.09, 0.12, 0.15):
        before = area_of_cut(points_of(body), lower, at + along * beyond, along)
        assert area_of_cut(points, lower, at + bent * beyond, bent) == pytest.approx(before, rel=0.2)
    tree = BVHTree.FromPolygons([Vector(point) for point in points], limb.tolist())
    crossing = [(a, b) for a, b in tree.overlap(tree) if a < b and not set(limb[a]) & set(limb[b])]
    assert len(crossing) < 0.02 * len(limb)


def points_of(body: bpy.types.Object) -> np.ndarray:
    points = np.empty((len(body.data.vertices), 3), np.float32)
    body.data.vertices.foreach_get("co", points.ravel())
    return points


def posed_points(body: bpy.types.Object) -> np.ndarray:
    """(V, 3) the vertices with shape keys and pose, in the body's own space."""
    bpy.context.view_layer.update()
    evaluated = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.empty((len(evaluated.data.vertices), 3), np.float32)
    evaluated.data.vertices.foreach_get("co", points.ravel())
    return points


def limb_faces(body: bpy.types.Object, bone: bpy.types.Bone) -> np.ndarray:
    """(F, 4) faces that a bone, its parent, and its descendants up to a forearm's or shin's length move most."""
    names = {bone.name, bone.parent.name, *(child.name for child in bone.children)}
    names |= {child.name for child in bone.parent.children} | ({bone.parent.parent.name} - {"pelvis", "spine"})
    return faces_moved_by(body, names)


def lower_faces(body: bpy.types.Object, bone: bpy.types.Bone) -> np.ndarray:
    """(F, 4) the faces beyond a joint: a plane across a bent shin may cut the thigh as well."""
    return faces_moved_by(body, {bone.name, *(child.name for child in bone.children)})


def faces_moved_by(body: bpy.types.Object, names: set[str]) -> np.ndarray:
    """(F, 4) faces that some bones move most."""
    groups = {group.index for group in body.vertex_groups if group.name in names}
    near = [
        bool(vertex.groups) and max(vertex.groups, key=lambda held: held.weight).group in groups
        for vertex in body.data.vertices
    ]
    faces = [list(polygon.vertices) for polygon in body.data.polygons if all(near[v] for v in polygon.vertices)]
    return np.array([[*face, *face[-1:] * (4 - len(face))] for face in faces])


def area_of_cut(points: np.ndarray, faces: np.ndarray, at: Vector, normal: Vector) -> float:
    """The area inside the loops in which a plane cuts some faces: the sum over the pieces of the cut of r x dr / 2."""
    triangles = points[np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])].astype(float) - np.array(at)
    side = triangles @ np.array(normal)
    area = np.zeros(3)
    for corners, heights in zip(triangles, side, strict=True):
        up = heights > 0
        if up.all() or not up.any():
            continue
        ends = {}
        for i in range(3):
            j = (i + 1) % 3
            if up[i] != up[j]:
                ends[bool(up[i])] = corners[i] + (corners[j] - corners[i]) * heights[i] / (heights[i] - heights[j])
        area += np.cross(ends[True], ends[False]) / 2
    return abs(float(area @ np.array(normal)))
