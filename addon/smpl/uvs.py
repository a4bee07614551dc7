"""UVs for models that bring none: from a UV template, an OBJ file with the same vertices and faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..link.errors import ErrorCode, UVMapError
from .model import BodyModel
from .refusal import RefusedError

_MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class UVTemplate:
    """What an OBJ file says about UVs.

    Attributes:
        vertices: How many it has.
        uvs: (T, 2) float32, origin bottom left.
        triangles: (N, 3) indices of vertices: its triangles, and all four ways to cut a triangle from each quad.
        uv_triangles: (N, 3) indices of UVs.
        pieces: How many triangles a mesh has that is made of its faces.
    """

    vertices: int
    uvs: NDArray[np.float32]
    triangles: NDArray[np.int64]
    uv_triangles: NDArray[np.int64]
    pieces: int


def uvs_for(model: BodyModel, template: Path | None) -> NDArray[np.float32]:
    """(F, 3, 2) the UVs of a model's faces: its own where it has some, else the template's.

    Raises:
        UVMapError: `body_without_uvs`: there is no template. `body_unreadable`: it is no OBJ file with UVs.
            `body_layout_differs`: it is of another mesh.
    """
    if model.uvs is not None:
        return model.uvs
    name = model.family.name
    hint = f"Choose {name}'s UV template, an OBJ file such as smpl_uv.obj, in the extension's preferences."
    if template is None:
        raise UVMapError(ErrorCode.BODY_WITHOUT_UVS, f"This {name} model's file holds no UVs.", hint)
    try:
        return _matched(model, read_template(template))
    except RefusedError as error:
        raise UVMapError(
            ErrorCode.BODY_LAYOUT_DIFFERS, f"The UV template {template} does not fit: {error.reason}.", hint
        ) from error


def read_template(path: Path) -> UVTemplate:
    """Read the UVs of an OBJ file.

    Raises:
        UVMapError: `body_unreadable`.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RefusedError(f"it has more than {_MOST_BYTES // 10**6} MB")
        return _parsed(path.read_bytes())
    except (OSError, ValueError, IndexError) as error:
        reason = error.reason if isinstance(error, RefusedError) else getattr(error, "strerror", None)
        raise UVMapError(
            ErrorCode.BODY_UNREADABLE,
            f"The UV template {path} can't be read: {reason or 'it is damaged'}.",
            "Choose an OBJ file with UVs, such as smpl_uv.obj, in the extension's preferences.",
        ) from error


def _parsed(content: bytes) -> UVTemplate:
    vertices, uvs, faces = 0, [], []
    for line in content.splitlines():
        keyword, *values = line.split() or [b""]
        if keyword == b"v":
            vertices += 1
        elif keyword == b"vt":
            uvs.append((float(values[0]), float(values[1])))
        elif keyword == b"f":
            faces.append([_corner(value, vertices, len(uvs)) for value in values])
    if not faces or any(len(face) not in (3, 4) for face in faces):
        raise RefusedError("it has no faces, or others than triangles and quads")
    corners = np.array([cut for face in faces for cut in _cuts(face)], np.int64)
    points = np.array(uvs, np.float32)
    if corners.min() < 0 or (corners.reshape(-1, 2).max(axis=0) >= (vertices, len(uvs))).any():
        raise RefusedError("its faces lead to vertices or UVs that are not there")
    if not np.isfinite(points).all():
        raise RefusedError("its UVs hold numbers that are infinite or none (NaN)")
    return UVTemplate(vertices, points, corners[..., 0], corners[..., 1], sum(len(face) - 2 for face in faces))


def _corner(value: bytes, vertices: int, uvs: int) -> tuple[int, int]:
    """(vertex, UV), counted from 0; OBJ counts from 1, or from the end with negative numbers."""
    vertex, uv, *_ = (*(int(item) if item else 0 for item in value.split(b"/")[:2]), 0, 0)
    return vertex + vertices if vertex < 0 else vertex - 1, uv + uvs if uv < 0 else uv - 1


def _cuts(face: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    if len(face) == 3:
        return [face]
    return [[corner for place, corner in enumerate(face) if place != left_out] for left_out in range(4)]


def _matched(model: BodyModel, template: UVTemplate) -> NDArray[np.float32]:
    """Each of the model's triangles finds itself in the template, whatever the order and the first corner."""
    family = model.family
    if template.vertices != family.vertices:
        raise RefusedError(f"it has {template.vertices} vertices and {family.name} has {family.vertices}")
    turned, offered = _canonical(template.triangles)
    order = np.argsort(offered)
    wanted_turn, wanted = _canonical(model.faces.astype(np.int64))
    places = np.minimum(np.searchsorted(offered, wanted, sorter=order), len(offered) - 1)
    found = order[places]
    if template.pieces != family.triangles or not np.array_equal(offered[found], wanted):
        raise RefusedError(f"it has as many vertices as {family.name}, but other faces than the model")
    uvs = template.uvs[np.take_along_axis(template.uv_triangles[found], turned[found], axis=1)]
    back = np.argsort(wanted_turn, axis=1)
    return np.take_along_axis(uvs, back[..., None], axis=1)


def _canonical(triangles: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """((N, 3) which corner comes first when the smallest index leads, (N,) one number that names the triangle)."""
    turn = (triangles.argmin(axis=1)[:, None] + np.arange(3)) % 3
    first, second, third = np.take_along_axis(triangles, turn, axis=1).T
    size = np.int64(2**20)
    return turn, (first * size + second) * size + third
