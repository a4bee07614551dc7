"""From a body model to a mesh with shape keys on an armature.

The armature's bones point along SMPL's y axis, all alike, so that a bone's own axes are SMPL's: a joint's rotation
in a pose of SMPL is that bone's rotation as it stands.
"""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# An armature object has bones and its modifier an object; the stubs know either only by its base class.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np
from mathutils import Quaternion, Vector
from numpy.typing import NDArray

from ..meshes import mesh_from_arrays
from .families import Family
from .model import BodyModel

# The names that the authors' own add-on gives them; files made with either look the same to scripts.
SHAPE, EXPRESSION, POSE = "Shape", "Exp", "Pose"
FAMILY, JOINTS, JOINT_DIRECTIONS = "uvmap_id_family", "uvmap_id_joints", "uvmap_id_joint_directions"
SLIDER_LIMIT = 5.0
_SHORTEST_BONE, _LONGEST_BONE = 0.01, 0.1
_FIRST_FINGERS = ("left_index1", "right_index1")


def build(scene: bpy.types.Scene, name: str, model: BodyModel, uvs: NDArray[np.float32]) -> bpy.types.Object:
    """Add a body model to a scene, its armature at the origin.

    Args:
        scene: Where to.
        name: Of the objects.
        model: Checked.
        uvs: (F, 3, 2) of its faces, origin bottom left.

    Returns:
        The mesh object; it keeps the model's family and how its joints follow its shape.
    """
    faces = np.column_stack([model.faces, model.faces[:, 2]])
    corners = np.concatenate([uvs, uvs[:, 2:]], axis=1)
    mesh = mesh_from_arrays(name, z_up(model.vertices), faces, corners)
    body = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(body)
    _add_keys(body, model)
    _add_weights(body, model)
    mesh[FAMILY] = model.family.name
    mesh[JOINTS] = model.joints.ravel().tolist()
    mesh[JOINT_DIRECTIONS] = model.joint_directions.ravel().tolist()
    armature = _add_armature(scene, name, model)
    body.parent = armature
    modifier = body.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature
    return body


def z_up(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """From SMPL's axes (y up, facing +z) to Blender's (z up, facing -y); the last axis holds x, y, z."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)


def relax_hands(body: bpy.types.Object, model: BodyModel) -> None:
    """Pose the fingers of a body that was just built as its model relaxes them; nothing where the model doesn't."""
    armature = body.find_armature()
    if model.hands is None or armature is None:
        return
    for first, rotations in zip(_FIRST_FINGERS, model.hands, strict=True):
        start = model.family.joint_names.index(first)
        names = model.family.joint_names[start : start + len(rotations)]
        for name, rotation in zip(names, rotations.tolist(), strict=True):
            axis = Vector(rotation)
            armature.pose.bones[name].rotation_quaternion = Quaternion(axis.normalized(), axis.length)


def place_bones(armature: bpy.types.Object, family: Family, joints: NDArray[np.float64]) -> None:
    """Put the bones of an armature on (J, 3) joints in SMPL's axes; bones that a user renamed stay."""
    with _edit_mode(armature):
        bones = armature.data.edit_bones
        for name, head in zip(family.joint_names, z_up(joints), strict=True):
            bone = bones.get(name)
            if bone is not None:
                _place(bone, head, bone.length)


def _place(bone: bpy.types.EditBone, head: NDArray[np.floating], length: float) -> None:
    bone.head = tuple(head)
    bone.tail = (head[0], head[1], head[2] + length)
    bone.roll = 0


def _add_keys(body: bpy.types.Object, model: BodyModel) -> None:
    """One shape key for each beta, expression and pose corrective; one that stands at 0 costs next to nothing."""
    body.shape_key_add(name="Basis", from_mix=False)
    base = z_up(model.vertices)
    for prefix, directions in (
        (SHAPE, model.shape_directions),
        (EXPRESSION, model.expression_directions),
        (POSE, model.pose_directions),
    ):
        for number in range(directions.shape[2]):
            key = body.shape_key_add(name=f"{prefix}{number:03d}", from_mix=False)
            moved = base + z_up(directions[..., number])
            key.data.foreach_set("co", np.ascontiguousarray(moved, np.float32).ravel())
            key.slider_min, key.slider_max = -SLIDER_LIMIT, SLIDER_LIMIT
            key.value = 0.0


def _add_weights(body: bpy.types.Object, model: BodyModel) -> None:
    for name, weights in zip(model.family.joint_names, model.weights.T, strict=True):
        group = body.vertex_groups.new(name=name)
        for vertex in np.flatnonzero(weights).tolist():
            group.add([vertex], float(weights[vertex]), "REPLACE")


def _add_armature(scene: bpy.types.Scene, name: str, model: BodyModel) -> bpy.types.Object:
    armature = bpy.data.objects.new(f"{name} Armature", bpy.data.armatures.new(f"{name} Armature"))
    scene.collection.objects.link(armature)
    heads = z_up(model.joints)
    with _edit_mode(armature):
        bones: list[bpy.types.EditBone] = []
        for joint, parent, head in zip(model.family.joint_names, model.parents, heads, strict=True):
            bone = armature.data.edit_bones.new(joint)
            distance = np.linalg.norm(head - heads[parent]) / 2 if parent >= 0 else _LONGEST_BONE
            _place(bone, head, float(np.clip(distance, _SHORTEST_BONE, _LONGEST_BONE)))
            if parent >= 0:
                bone.parent = bones[parent]
            bones.append(bone)
    armature.show_in_front = True
    # Thicker bones would hide the texture.
    armature.data.display_type = "STICK"
    return armature


@contextmanager
def _edit_mode(armature: bpy.types.Object) -> Iterator[None]:
    """Bones' places can be changed in edit mode only, and that is the active object's."""
    if bpy.context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    layer = bpy.context.view_layer
    before = layer.objects.active
    layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        yield
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
        layer.objects.active = before
