"""The mannequin's armature: made from its file, moved along when the body changes its shape, posed, looking around.

What a bone needs later is kept on the bone itself, so that duplicated, appended and renamed armatures work on.
"""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# pyright: reportIndexIssue=false, reportCallIssue=false
# The stubs know an object's data only by its base class, and custom properties not at all.

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np
from mathutils import Euler, Matrix, Quaternion, Vector
from numpy.typing import NDArray

from .mannequin_asset import LEFT_EYE, POSES, RIGHT_EYE, Asset

# Custom properties of bones: the SMPL joint at its head; the vertices that its head and tail follow; head, tail and
# z axis in the neutral shape; its rotation in each of `POSES`; that it holds an eye.
SMPL_JOINT = "smpl"
_FOLLOWS = "uvmap_id_follows"
_NEUTRAL = "uvmap_id_neutral"
_POSES = "uvmap_id_poses"
_EYE = "uvmap_id_eye"


def build(body: bpy.types.Object, asset: Asset) -> bpy.types.Object:
    """Make the armature of a new mannequin and bind the body to it.

    Args:
        body: The mesh object, in a scene, without vertex groups.
        asset: What it was made of.

    Returns:
        The armature's object, in no collection yet.
    """
    armature = bpy.data.armatures.new(body.name)
    rig = bpy.data.objects.new(f"{body.name} Armature", armature)
    rig.show_in_front = True
    # Thicker bones would hide the texture.
    armature.display_type = "STICK"
    with _edit_bones(armature) as bones:
        made = [bones.new(str(name)) for name in asset.bone_names]
        for number, bone in enumerate(made):
            _set_up_bone(bone, asset, number)
            if asset.bone_parents[number] >= 0:
                bone.parent = made[asset.bone_parents[number]]
    _bind(body, asset)
    body.parent = rig
    modifier = body.modifiers.new("Armature", "ARMATURE")
    modifier.object = rig
    return rig


def rig_of(body: bpy.types.Object) -> bpy.types.Object | None:
    """The armature that moves a mannequin, if it still has one."""
    moved_by = (modifier.object for modifier in body.modifiers if modifier.type == "ARMATURE")
    return next((rig for rig in moved_by if rig is not None and any(_FOLLOWS in bone for bone in rig.data.bones)), None)


def follow(rig: bpy.types.Object, offsets: NDArray[np.float32]) -> None:
    """Move the joints to where a new shape has them; the pose stays.

    Args:
        rig: From `rig_of`.
        offsets: (V, 3) how far the shape has moved the body's vertices.
    """
    with _edit_bones(rig.data) as bones:
        for bone in bones:
            if _FOLLOWS in bone:
                neutral = np.array(bone[_NEUTRAL]).reshape(3, 3)
                bone.head, bone.tail = neutral[:2] + offsets[np.array(bone[_FOLLOWS]).reshape(2, 8)].mean(axis=1)
                # The same roll would do elsewhere, but along -y, where eyes look, the least turn of the bone flips
                # the axes that Blender makes of it.
                bone.align_roll(neutral[2])


def has_poses(rig: bpy.types.Object) -> bool:
    """Whether an armature is a mannequin's."""
    return any(_POSES in bone for bone in rig.data.bones)


def pose(rig: bpy.types.Object, name: str) -> None:
    """Put a mannequin's armature into one of `POSES`, where it rests. The gaze and bones of others stay as they are."""
    number = POSES.index(name)
    for bone in rig.pose.bones:
        if _POSES in bone.bone and _EYE not in bone.bone:
            rotation = Quaternion(np.array(bone.bone[_POSES]).reshape(-1, 4)[number])
            bone.matrix_basis = Matrix.LocRotScale(Vector(), rotation, bone.matrix_basis.to_scale())


def look(rig: bpy.types.Object, left: float, up: float) -> None:
    """Turn both eyes in the head.

    Args:
        rig: From `rig_of`.
        left: Radians towards the body's own left.
        up: Radians.
    """
    turn = (Euler((0, 0, left)).to_matrix() @ Euler((-up, 0, 0)).to_matrix()).to_4x4()
    for bone in _eyes(rig):
        axes = bone.bone.matrix_local.to_3x3().to_4x4()
        place, _, scale = bone.matrix_basis.decompose()
        turned = (axes.inverted() @ turn @ axes).to_quaternion()
        bone.matrix_basis = Matrix.LocRotScale(place, turned, scale)


def gaze(rig: bpy.types.Object) -> tuple[float, float]:
    """The radians to the left and up that the eyes look; (0, 0) where there are none."""
    bone = next(_eyes(rig), None)
    if bone is None:
        return 0.0, 0.0
    axes = bone.bone.matrix_local.to_3x3()
    ahead = axes @ bone.matrix_basis.to_3x3().normalized() @ axes.inverted() @ Vector((0, -1, 0))
    left, up = math.atan2(ahead.x, -ahead.y), math.asin(max(-1.0, min(1.0, ahead.z)))
    # No "-0" in the panel.
    return round(left, 5) + 0.0, round(up, 5) + 0.0


def _eyes(rig: bpy.types.Object) -> Iterator[bpy.types.PoseBone]:
    return (bone for bone in rig.pose.bones if _EYE in bone.bone)


def _set_up_bone(bone: bpy.types.EditBone, asset: Asset, number: int) -> None:
    bone.head, bone.tail = asset.bone_heads[number].tolist(), asset.bone_tails[number].tolist()
    bone.roll = float(asset.bone_rolls[number])
    bone[_FOLLOWS] = asset.joint_vertices[number].ravel().tolist()
    bone[_NEUTRAL] = [*bone.head, *bone.tail, *bone.z_axis]
    poses = [asset.pose_names.tolist().index(name) for name in POSES]
    bone[_POSES] = asset.pose_rotations[poses, number].ravel().tolist()
    if asset.bone_smpl[number]:
        bone[SMPL_JOINT] = str(asset.bone_smpl[number])
    if number in (asset.eye_bone(LEFT_EYE), asset.eye_bone(RIGHT_EYE)):
        bone[_EYE] = True


def _bind(body: bpy.types.Object, asset: Asset) -> None:
    """Vertex groups from the weights; vertices of equal weight go together, which takes a third of the calls."""
    groups = [body.vertex_groups.new(name=str(name)) for name in asset.bone_names]
    held = asset.weight_values > 0
    vertices = np.nonzero(held)[0]
    kinds = asset.weight_bones[held].astype(np.int64) * 256 + asset.weight_values[held]
    order = np.argsort(kinds, kind="stable")
    found, starts = np.unique(kinds[order], return_index=True)
    for kind, together in zip(found.tolist(), np.split(vertices[order], starts[1:]), strict=True):
        groups[kind // 256].add(together.tolist(), kind % 256 / 255, "REPLACE")


@contextmanager
def _edit_bones(armature: bpy.types.Armature) -> Iterator[bpy.types.ArmatureEditBones]:
    """The bones at rest, to be changed.

    Blender changes them in edit mode only. It is entered in a scene of its own, so that the user's mode, selection and
    active object stay as they are; that takes about a millisecond.
    """
    if armature.is_editmode:
        yield armature.edit_bones
        return
    scene = bpy.data.scenes.new("UVMap-ID Bones")
    editor = bpy.data.objects.new("UVMap-ID Bones", armature)
    try:
        scene.collection.objects.link(editor)
        layer = scene.view_layers[0]
        layer.objects.active = editor
        with bpy.context.temp_override(scene=scene, view_layer=layer, active_object=editor, object=editor):
            bpy.ops.object.mode_set(mode="EDIT")
            try:
                yield armature.edit_bones
            finally:
                bpy.ops.object.mode_set(mode="OBJECT")
    finally:
        bpy.data.batch_remove([scene, editor])
