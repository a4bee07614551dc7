"""Reads the part of Wavefront OBJ that body meshes use: v, vt and f with texture indices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvmap_id.link.errors import ErrorCode, UVMapError


@dataclass(frozen=True, slots=True)
class TexturedMesh:
    """A triangle mesh with UVs of its own topology.

    Attributes:
        vertices: (V, 3) float64 positions, in the file's units and axes.
        uvs: (T, 2) float64, origin bottom left.
        triangles: (F, 3) int64 indices into `vertices`.
        uv_triangles: (F, 3) int64 indices into `uvs`.
    """

    vertices: NDArray[np.float64]
    uvs: NDArray[np.float64]
    triangles: NDArray[np.int64]
    uv_triangles: NDArray[np.int64]


def read_obj(path: Path) -> TexturedMesh:
    """Read a body; polygons are cut into triangle fans.

    Raises:
        UVMapError: body_unreadable for anything that is no OBJ mesh, body_without_uvs where faces have no UVs.
    """
    vertices: list[list[float]] = []
    uvs: list[list[float]] = []
    corners: list[list[list[int]]] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            keyword, *values = line.split() or [""]
            if keyword == "v":
                vertices.append([float(value) for value in values[:3]])
            elif keyword == "vt":
                uvs.append([float(value) for value in values[:2]])
            elif keyword == "f":
                corners.extend(_fan([_corner(value, len(vertices), len(uvs)) for value in values]))
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not vertices or not corners:
        raise _unreadable(path)
    indices = np.array(corners, np.int64)
    if not uvs or (indices[..., 1] < 0).any():
        raise UVMapError(
            ErrorCode.BODY_WITHOUT_UVS,
            f"{path.name} has no UVs on some or all of its faces.",
            "Export the body again with its UV map.",
        )
    if (indices < 0).any() or (indices >= [len(vertices), len(uvs)]).any():
        raise _unreadable(path)
    return TexturedMesh(np.array(vertices), np.array(uvs), indices[..., 0], indices[..., 1])


def _corner(text: str, vertex_count: int, uv_count: int) -> list[int]:
    vertex, _, rest = text.partition("/")
    uv = rest.partition("/")[0]
    return [_index(vertex, vertex_count), _index(uv, uv_count) if uv else -1]


def _index(text: str, count: int) -> int:
    number = int(text)
    return count + number if number < 0 else number - 1


def _fan(polygon: list[list[int]]) -> list[list[list[int]]]:
    return [[polygon[0], polygon[k], polygon[k + 1]] for k in range(1, len(polygon) - 1)]


def _unreadable(path: Path) -> UVMapError:
    return UVMapError(
        ErrorCode.BODY_UNREADABLE, f"{path.name} is no readable OBJ body.", "Choose a Wavefront OBJ file of a body."
    )
