"""UVs of an eyeball in a square of its own, the iris in the middle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FORWARD = np.array([0.0, -1.0, 0.0])
# What surrounds the point opposite the iris has no place in a plane map without folding: it lies in this corner.
_BEHIND = np.array([[0.01, 0.01], [0.04, 0.01], [0.04, 0.04], [0.01, 0.04]])


def ball_uvs(vertices: NDArray[np.floating], quads: NDArray[np.integer]) -> NDArray[np.float64]:
    """(F, 4, 2) UVs: from the middle as far as the angle from straight ahead, which is 0.5 right behind.

    Args:
        vertices: (V, 3) metres, the body facing -y.
        quads: (F, 4) of one ball.
    """
    own = vertices[np.unique(quads)]
    offset = vertices[quads] - (own.min(axis=0) + own.max(axis=0)) / 2
    offset = offset / np.linalg.norm(offset, axis=-1, keepdims=True)
    angle = np.arccos(np.clip(offset @ _FORWARD, -1, 1))
    sideways = offset[..., [0, 2]]
    sideways = sideways / np.maximum(np.linalg.norm(sideways, axis=-1, keepdims=True), 1e-12)
    uvs = 0.5 + sideways * (angle / (2 * np.pi))[..., None]
    uvs[(halves_areas(uvs) <= 0).any(axis=1)] = _BEHIND
    return uvs


def halves_areas(uvs: NDArray[np.floating]) -> NDArray[np.float64]:
    """(F, 2) signed areas of both triangles of quads (F, 4, 2); positive where they run counter-clockwise."""
    first, second, third, fourth = np.moveaxis(np.asarray(uvs, np.float64), 1, 0)
    return np.stack([_doubled(second - first, third - first), _doubled(third - first, fourth - first)], axis=1) / 2


def _doubled(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
