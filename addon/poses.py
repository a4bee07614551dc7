"""The poses that come with the extension: JSON files as docs/poses.md describes them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from .motion_files import Motion, read

_FOLDER = Path(__file__).parent / "assets" / "poses"


class Pose(StrEnum):
    """A pose for any body with SMPL's joints."""

    T = "t"
    A = "a"
    RELAXED = "relaxed"


def motion_of(pose: Pose) -> Motion:
    """A pose, as a motion of one frame.

    Raises:
        UVMapError: `motion_unreadable`: the extension's file is damaged.
    """
    return read(_FOLDER / f"{pose.value}.json")
