"""Pairs of places between the legs, where the nearest surface is most often the wrong thigh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies.extremities import EdgePoints
from uvmap_id.bodies.fit import Landmarks
from uvmap_id.bodies.limb_marks import held

_ON_MIDLINE = 5e-4  # metres
_LEGS_MEET = 0.05  # metres above the lowest point of the midline, how high the chain is followed


def crotch_marks(
    rest: NDArray[np.floating],
    posed: NDArray[np.floating],
    triangles: NDArray[np.int64],
    line: NDArray[np.floating],
) -> Landmarks:
    """The lowest vertices of the free body's midline, laid onto SMPL's line between the legs.

    Args:
        rest: (V, 3) the free body in its symmetric pose.
        posed: (V, 3) the same in SMPL's pose.
        triangles: (T, 3) its outside.
        line: (N, 3) SMPL's line between the legs, from the front to the back.
    """
    middle = np.unique(triangles)
    middle = middle[np.abs(rest[middle, 0]) < _ON_MIDLINE]
    # The body's lowest midline vertices are between its legs; the feet have none.
    middle = middle[rest[middle, 2] < rest[middle, 2].min() + _LEGS_MEET]
    middle = middle[np.argsort(rest[middle, 1])]
    first, last = (int(np.abs(posed[middle, 1] - end).argmin()) for end in line[[0, -1], 1])
    chain = middle[first : last + 1]
    share = _shares(posed[chain])
    targets = np.stack([np.interp(share, _shares(line), column) for column in line.T], axis=1)
    return held(EdgePoints(np.column_stack([chain, chain]), np.zeros(len(chain))), triangles, targets)


def _shares(course: NDArray[np.floating]) -> NDArray[np.float64]:
    lengths = np.append(0, np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1)))
    return lengths / lengths[-1]
