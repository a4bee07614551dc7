"""The poses that come with the extension: the mannequin's own, and JSON files for other bodies."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import bpy

from . import mannequin_rig, motion
from .actions import put_aside
from .link.errors import ErrorCode, UVMapError
from .motion_files import Motion, read
from .skeleton import armature_of

_FOLDER = Path(__file__).parent / "assets" / "poses"


class Pose(StrEnum):
    """A pose for any body with SMPL's joints."""

    T = "t"
    A = "a"
    RELAXED = "relaxed"


def strike(body: bpy.types.Object | None, pose: Pose, *, on_ground: bool = True) -> str:
    """Put a body into a pose; a mannequin's gaze stays.

    Args:
        body: A body with SMPL's joints, or its armature.
        pose: Which.
        on_ground: Keep the lowest foot as high as in the rest pose.

    Returns:
        The name of the action that was put aside, or "".

    Raises:
        UVMapError: `body_missing` or `body_without_skeleton`.
    """
    armature = armature_of(body)
    if armature.library is not None:
        raise UVMapError(
            ErrorCode.BODY_MISSING,
            f'The armature "{armature.name}" is linked from another file.',
            "Make a library override of it, or pose it there.",
        )
    if not mannequin_rig.has_poses(armature):
        return motion.strike(armature, motion_of(pose), on_ground=on_ground)
    aside = put_aside(armature)
    mannequin_rig.pose(armature, pose.value)
    return aside


def motion_of(pose: Pose) -> Motion:
    """A pose, as a motion of one frame.

    Raises:
        UVMapError: `motion_unreadable`: the extension's file is damaged.
    """
    return read(_FOLDER / f"{pose.value}.json")
