"""Wavefront OBJ files, read through before Blender's importer gets them: it is more forgiving than is good."""

from __future__ import annotations

import re
from pathlib import Path

from .link.errors import ErrorCode, UVMapError

# What else stands there, such as "nan", Blender's importer would quietly take for 0.
_VERTEX = re.compile(rb"v(\s+[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?){3,}\s*")
_FACE_WITH_UVS = re.compile(rb"f(\s+-?\d+/-?\d+(/-?\d*)?){3,}\s*")


def check_obj(path: Path) -> None:
    """Read through an OBJ file without importing it.

    Raises:
        UVMapError: `body_unreadable`, or `body_without_uvs` where a face has none.
    """
    vertices = faces = 0
    try:
        with path.open("rb") as file:
            for line in file:
                if b"\0" in line:
                    raise unreadable(path, "it is not a text file")
                if line.startswith(b"v "):
                    vertices += 1
                    if not _VERTEX.fullmatch(line):
                        raise unreadable(path, f"its vertex {vertices} has no place")
                elif line.startswith(b"f "):
                    faces += 1
                    if not _FACE_WITH_UVS.fullmatch(line):
                        raise without_uvs(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or str(error)) from error
    if not vertices or not faces:
        raise unreadable(path, "it holds no mesh")


def unreadable(path: Path, reason: str, hint: str = "Choose another file.") -> UVMapError:
    """The error for a file that is no body."""
    return UVMapError(ErrorCode.BODY_UNREADABLE, f"{path} can't be read as a body: {reason}.", hint)


def without_uvs(path: Path) -> UVMapError:
    """The error for a body without UVs."""
    return UVMapError(
        ErrorCode.BODY_WITHOUT_UVS,
        f"The body in {path} has no UVs.",
        "Choose a body with UVs in SMPL's layout, such as smpl_uv.obj.",
    )
