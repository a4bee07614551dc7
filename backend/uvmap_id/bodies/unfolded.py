"""Cuts those quads in two that are not convex in the atlas, so that no way to draw them folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Both triangles of a quad, for each of its diagonals.
_WAYS = np.array([[[0, 1, 2], [0, 2, 3]], [[1, 2, 3], [1, 3, 0]]])


def corner_areas(uvs: NDArray[np.floating], ways: NDArray[np.integer]) -> NDArray[np.float64]:
    """(F, ...) twice the signed areas of triangles (..., 3) among the corners of each face (F, 4, 2)."""
    corners = np.asarray(uvs, np.float64)[:, ways]
    one, other = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]


def split_quads(
    faces: NDArray[np.integer], uvs: NDArray[np.floating], signs: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What to make of faces (F, 4) with UVs (F, 4, 2) that run counter-clockwise times `signs` (F,).

    Returns:
        (N,) the face that each new one is or lies in, and (N, 4) which of its corners it has.
    """
    areas = (corner_areas(uvs, _WAYS) * signs[:, None, None]).min(axis=2)
    quads = faces[:, 2] != faces[:, 3]
    halved = quads & (areas <= 0).any(axis=1)
    whole = np.flatnonzero(~halved)
    rows = np.flatnonzero(halved)
    chosen = _WAYS[areas[rows].argmax(axis=1)]
    pieces = np.concatenate([chosen, chosen[..., 2:]], axis=2).reshape(-1, 4)
    return np.concatenate([whole, np.repeat(rows, 2)]), np.concatenate([np.tile(np.arange(4), (len(whole), 1)), pieces])
