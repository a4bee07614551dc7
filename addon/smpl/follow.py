"""Joints that follow a body's shape and pose correctives that follow its pose, whenever they are asked to."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ..link.errors import ErrorCode, UVMapError
from .build import EXPRESSION, FAMILY, JOINT_DIRECTIONS, JOINTS, POSE, SHAPE, place_bones
from .families import FAMILIES, Family
from .pose import features


def family_of_body(body: bpy.types.Object | None) -> Family | None:
    """The family of a body that was built from a body model, or None."""
    name = body.data.get(FAMILY) if body is not None and isinstance(body.data, bpy.types.Mesh) else None
    return next((family for family in FAMILIES if family.name == name), None)


def update_joints(body: bpy.types.Object) -> None:
    """Put the bones where the model has its joints for the present betas and expressions.

    Raises:
        UVMapError: `body_missing`: the body was not built from a body model, or has lost its armature.
    """
    armature, family = _armature_of(body)
    values = np.array([key.value for prefix in (SHAPE, EXPRESSION) for key in keys(body, prefix)])
    joints = np.array(body.data[JOINTS]).reshape(-1, 3)  # pyright: ignore[reportOptionalSubscript]
    directions = np.array(body.data[JOINT_DIRECTIONS])  # pyright: ignore[reportOptionalSubscript]
    if values.size:
        joints = joints + directions.reshape(len(joints), 3, -1) @ values
    place_bones(armature, family, joints)


def update_correctives(body: bpy.types.Object) -> None:
    """Set the pose correctives for the present pose: for the bones' own rotations, without constraints.

    Raises:
        UVMapError: `body_missing`: the body was not built from a body model, or has lost its armature.
    """
    armature, family = _armature_of(body)
    shapes = keys(body, SHAPE)
    second = shapes[1].value if len(shapes) > 1 else 0.0
    values = features(family, _rotations(armature, family), second)
    for key, value in zip(keys(body, POSE), values.tolist(), strict=True):
        key.value = value


def key_correctives(scene: bpy.types.Scene, body: bpy.types.Object) -> int:
    """Set keyframes of the pose correctives on every frame of a scene. Returns how many frames.

    Raises:
        UVMapError: `body_missing`: the body was not built from a body model, or has lost its armature.
    """
    present = scene.frame_current
    frames = range(scene.frame_start, scene.frame_end + 1)
    try:
        for frame in frames:
            scene.frame_set(frame)
            update_correctives(body)
            for key in keys(body, POSE):
                key.keyframe_insert("value", frame=frame)
    finally:
        scene.frame_set(present)
    return len(frames)


def keys(body: bpy.types.Object, prefix: str) -> list[bpy.types.ShapeKey]:
    """A body's shape keys of one sort (`SHAPE`, `EXPRESSION`, `POSE`), in their order."""
    mesh = body.data
    blocks = mesh.shape_keys.key_blocks if isinstance(mesh, bpy.types.Mesh) and mesh.shape_keys else []
    return [key for key in blocks if key.name.startswith(prefix) and key.name[len(prefix) :].isdigit()]


def _rotations(armature: bpy.types.Object, family: Family) -> NDArray[np.float64]:
    """(J, 4) x, y, z, w of the joints' rotations; a bone that was deleted does not rotate."""
    bones = armature.pose.bones if armature.pose else {}
    turns = np.tile((0.0, 0.0, 0.0, 1.0), (len(family.joint_names), 1))
    for turn, name in zip(turns, family.joint_names, strict=True):
        bone = bones.get(name)
        if bone is not None:
            w, x, y, z = bone.matrix_basis.to_quaternion()
            turn[:] = x, y, z, w
    return turns


def _armature_of(body: bpy.types.Object) -> tuple[bpy.types.Object, Family]:
    armature, family = body.find_armature(), family_of_body(body)
    if armature is None or family is None:
        raise UVMapError(
            ErrorCode.BODY_MISSING,
            "The chosen body was not made from a body model, or its armature is gone.",
            "Choose a body that was added from a file of SMPL, SMPL-H, SMPL-X, STAR or SUPR.",
        )
    return armature, family
