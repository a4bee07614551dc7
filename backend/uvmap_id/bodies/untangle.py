"""Moves the points of a plane mesh until no triangle is folded over and each has about the shape it should have.

The energy is that of Garanzha et al., Foldover-free maps in 50 lines of code (2021): a shape term and an area term over
a determinant that is kept above zero by a bound, which falls as the worst triangle gets better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import coo_array, csr_array

_AREA_SHARE = 0.3
_ROUNDS = 10
_STEPS = 150
_LAST_STEPS = 300
_REPAIR_RINGS = (2, 4, 8, 14)
_SOUND = 0.02  # The worst determinant, where 1 is the wanted area, with which the work is done.
_LEAST = 1e-3  # A determinant below this is as good as folded.
_SMALLEST_BOUND = 1e-3


@dataclass(frozen=True, slots=True)
class Aims:
    """Where combinations of points should lie.

    Attributes:
        matrix: (N, P) sparse weights of the points.
        places: (N, 2).
        strengths: (N,) cost of a squared unit of distance.
    """

    matrix: csr_array
    places: NDArray[np.float64]
    strengths: NDArray[np.float64]


def doubled_areas(points: NDArray[np.floating], triangles: NDArray[np.integer]) -> NDArray[np.float64]:
    """(T,) twice the signed areas of triangles (T, 3) among points (P, 2); positive counter-clockwise."""
    first, second, third = np.moveaxis(np.asarray(points, np.float64)[triangles], 1, 0)
    one, other = second - first, third - first
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]


def untangled(
    points: NDArray[np.float64],
    triangles: NDArray[np.integer],
    rest: NDArray[np.float64],
    pinned: NDArray[np.bool_],
    aims: Aims,
) -> NDArray[np.float64]:
    """(P, 2) points moved, those that are pinned left alone.

    Args:
        points: (P, 2) to begin with.
        triangles: (T, 3), to run counter-clockwise.
        rest: (T, 3, 2) the shapes that they should have, counter-clockwise.
        pinned: (P,).
        aims: What pulls the points; an area weighs as much as it is large in `rest`.
    """
    operator, weights = _gradients(triangles, rest, len(points))
    free = np.flatnonzero(~pinned)
    result = points.copy()
    if not len(free):
        return result
    for turn in range(_ROUNDS):
        jacobians = (operator @ result).reshape(-1, 2, 2)
        worst = float(_determinants(jacobians).min())
        done = worst > _SOUND or turn == _ROUNDS - 1
        bound = np.sqrt(_SMALLEST_BOUND**2 + 0.04 * min(worst, 0.0) ** 2) if worst < _SOUND else _SMALLEST_BOUND
        energy = _Energy(operator, weights, aims, result, free, bound)
        found = minimize(
            energy,
            result[free].ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _LAST_STEPS if done else _STEPS, "maxcor": 12},
        )
        result[free] = found.x.reshape(-1, 2)
        if done:
            break
    return result


def repaired(
    points: NDArray[np.float64],
    triangles: NDArray[np.integer],
    rest: NDArray[np.float64],
    pinned: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """(P, 2) the points around triangles that are still folded moved for their shapes alone, as few as will do."""
    result = points
    for rings in _REPAIR_RINGS:
        bad = _determinants((_gradients(triangles, rest, len(points))[0] @ result).reshape(-1, 2, 2)) < _LEAST
        if not bad.any():
            break
        near = np.zeros(len(points), bool)
        near[triangles[bad]] = True
        for _ in range(rings):
            near[triangles[near[triangles].any(axis=1)]] = True
        inside = near[triangles].any(axis=1)
        own, flat = np.unique(triangles[inside], return_inverse=True)
        nothing = Aims(csr_array((0, len(own))), np.zeros((0, 2)), np.zeros(0))
        held = pinned[own] | ~near[own]
        result = result.copy()
        result[own] = untangled(result[own], flat.reshape(-1, 3), rest[inside], held, nothing)
    return result


def _gradients(
    triangles: NDArray[np.integer], rest: NDArray[np.float64], count: int
) -> tuple[csr_array, NDArray[np.float64]]:
    """The sparse operator from points (P, 2) to transposed Jacobians, stacked as (2T, 2), and the areas (T,)."""
    first, second, third = np.moveaxis(rest, 1, 0)
    frame = np.stack([second - first, third - first], axis=1)
    inverse = np.linalg.inv(frame)
    # Rows of `inverse` weigh the two edges; the first corner takes the rest.
    coefficients = np.concatenate([-inverse.sum(axis=2, keepdims=True), inverse], axis=2)
    rows = np.repeat(np.arange(2 * len(triangles)), 3)
    columns = np.repeat(triangles[:, None], 2, axis=1)
    operator = coo_array((coefficients.ravel(), (rows, columns.ravel())), shape=(2 * len(triangles), count)).tocsr()
    return operator, np.linalg.det(frame) / 2


def _determinants(jacobians: NDArray[np.float64]) -> NDArray[np.float64]:
    return jacobians[:, 0, 0] * jacobians[:, 1, 1] - jacobians[:, 0, 1] * jacobians[:, 1, 0]


class _Energy:
    """The energy of the free points and its gradient."""

    def __init__(
        self,
        operator: csr_array,
        weights: NDArray[np.float64],
        aims: Aims,
        points: NDArray[np.float64],
        free: NDArray[np.int64],
        bound: float,
    ) -> None:
        columns = operator.tocsc()
        fixed = points.copy()
        fixed[free] = 0
        self._free, self._bound = columns[:, free].tocsr(), bound
        self._fixed = operator @ fixed
        self._aims = aims.matrix.tocsc()[:, free].tocsr()
        self._aimed = aims.places - aims.matrix @ fixed
        self._strengths = aims.strengths[:, None]
        self._weights = weights
        self._total = weights.sum()
        self._free_back, self._aims_back = self._free.T.tocsr(), self._aims.T.tocsr()

    def __call__(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = flat.reshape(-1, 2)
        jacobians = (self._free @ moved + self._fixed).reshape(-1, 2, 2)
        determinants = _determinants(jacobians)
        root = np.sqrt(self._bound**2 + determinants**2)
        bounded = (determinants + root) / 2
        # The sum is inexact where the determinant is far below zero.
        low = determinants < 0
        bounded[low] = self._bound**2 / (2 * (root - determinants)[low])
        slope = bounded / root
        squares = np.einsum("tij,tij->t", jacobians, jacobians)
        shape, area = squares / bounded, (determinants**2 + 1) / bounded
        value = (self._weights * (shape + _AREA_SHARE * area)).sum()
        over_determinant = (-shape - _AREA_SHARE * area) / bounded * slope + 2 * _AREA_SHARE * determinants / bounded
        cofactors = jacobians[:, ::-1, ::-1].transpose(0, 2, 1) * [[1, -1], [-1, 1]]
        pull = 2 * jacobians / bounded[:, None, None] + over_determinant[:, None, None] * cofactors.transpose(0, 2, 1)
        gradient = self._free_back @ (self._weights[:, None, None] * pull).reshape(-1, 2)
        offset = self._aims @ moved - self._aimed
        value += (self._strengths * offset**2).sum()
        gradient += self._aims_back @ (2 * self._strengths * offset)
        return value / self._total, gradient.ravel() / self._total
