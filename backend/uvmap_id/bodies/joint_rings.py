"""The vertices that a joint follows when the body changes its shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from uvmap_id.bodies.skeleton import Floats

_COUNT = 8
_NEAREST = 700
_SWAPS = 4


def ring(
    place: Floats,
    moves: Floats,
    vertices: Floats,
    offsets: Floats,
    mirror: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    """The eight vertices near a joint whose mean offset comes nearest to the joint's own in all shapes.

    Args:
        place: (3,) where the joint is.
        moves: (K, 3) how far each shape moves it.
        vertices: (V, 3) those that may be chosen; others are NaN.
        offsets: (K, V, 3) how far each shape moves them.
        mirror: (V,) the vertices of the other side, for a joint in the middle: then four and their mirror images are
            chosen, so that the joint stays in the middle.
    """
    allowed = np.flatnonzero(np.isfinite(vertices[:, 0]) & ((vertices[:, 0] > 0) | (mirror is None)))
    near = allowed[cKDTree(vertices[allowed]).query(place, k=min(_NEAREST, len(allowed)))[1]]
    candidates = offsets[:, near]
    if mirror is not None:
        candidates = (candidates + offsets[:, mirror[near]]) / 2
    count = _COUNT if mirror is None else _COUNT // 2
    chosen = near[_fitted(np.moveaxis(candidates, 1, 0).reshape(len(near), -1), moves.ravel(), count)]
    return np.sort(chosen if mirror is None else np.concatenate([chosen, mirror[chosen]]))


def _fitted(candidates: Floats, wanted: Floats, count: int) -> NDArray[np.int64]:
    """Rows of (C, D) whose mean is near (D,): each taken for the best, then some exchanged for better ones."""
    chosen: list[int] = []
    for step in range(count * (1 + _SWAPS)):
        if len(chosen) == count:
            chosen.pop(step % count if count > 1 else 0)
        others = candidates[chosen].sum(axis=0)
        error = np.linalg.norm((others + candidates) / (len(chosen) + 1) - wanted, axis=1)
        error[chosen] = np.inf
        chosen.append(int(error.argmin()))
    return np.array(chosen)
