"""Pairs of places on the hands and feet of the free body and of SMPL's template."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies.extremities import Digits, EdgePoints, find_digits, rings
from uvmap_id.bodies.fit import Landmarks
from uvmap_id.bodies.source import Source

# SMPL's wrists and ankles, in the T-pose with z up, metres.
_WRIST, _ANKLE = 0.66, -1.03
_FINGER_RINGS, _TOE_RINGS = (0.25, 0.6), (0.5,)
_SIDES = {"L": 1, "R": -1}


def limb_marks(source: Source, triangles: NDArray[np.int64], template: NDArray[np.floating], of: NDArray[np.int64]):
    """Landmarks on all digits.

    Args:
        source: The free body.
        triangles: (T, 3) its outside.
        template: (V, 3) SMPL's template, z up.
        of: (F, 3) its triangles.
    """
    own, aims = [], []
    for side, sign in _SIDES.items():
        for beginnings, digit, shares, limb, rank in (
            (("finger", "metacarpal", "wrist"), "finger", _FINGER_RINGS, sign * template[:, 0] > _WRIST, 1.0),
            (("foot", "toe"), "toe", _TOE_RINGS, (sign * template[:, 0] > 0) & (template[:, 2] < _ANKLE), 0.0),
        ):
            # SMPL's thumbs are in front, its big toes inside.
            order = template[:, 1] if rank else sign * template[:, 0]
            aims.append(_marks(template, of, limb, order, sign, shares).at(template))
            here, number = _moved_by(source, side, beginnings, digit)
            own.append(_marks(source.rest, triangles, here, number, sign, shares))
    points = EdgePoints(np.concatenate([each.ends for each in own]), np.concatenate([each.shares for each in own]))
    return held(points, triangles, np.concatenate(aims))


def _marks(
    vertices: NDArray[np.floating],
    triangles: NDArray[np.int64],
    limb: NDArray[np.bool_],
    rank: NDArray[np.floating],
    sign: int,
    shares: tuple[float, ...],
) -> EdgePoints:
    digits = find_digits(vertices, triangles, limb, rank)
    around = rings(digits, vertices, triangles, _up(digits, vertices, limb, sign), shares)
    single = np.concatenate([digits.tips, digits.valleys])
    return EdgePoints(
        np.concatenate([np.column_stack([single, single]), around.ends]),
        np.concatenate([np.zeros(len(single)), around.shares]),
    )


def _up(digits: Digits, vertices: NDArray[np.floating], limb: NDArray[np.bool_], sign: int) -> NDArray[np.float64]:
    """Out of the back of a hand or foot."""
    begin = vertices[limb & (digits.distance < digits.distance[digits.valleys].max() / 4)].mean(axis=0)
    across = vertices[digits.valleys[-1]] - vertices[digits.valleys[1]]
    upwards = sign * np.cross(vertices[digits.valleys].mean(axis=0) - begin, across)
    return upwards / np.linalg.norm(upwards)


def _moved_by(
    source: Source, side: str, beginnings: tuple[str, ...], digit: str
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(V,) what bones of one side move most, and the number of the digit they belong to, 9 for none."""
    indices, weights = source.model.vertex_bone_indices.numpy(), source.model.vertex_bone_weights.numpy()
    strongest = indices[np.arange(len(weights)), weights.argmax(axis=1)]
    names = source.model.bone_labels
    here = np.array([name.endswith(side) and name.startswith(beginnings) for name in names])
    number = np.array([float(name[len(digit)]) if name.startswith(digit) else 9.0 for name in names])
    return here[strongest], number[strongest]


def held(points: EdgePoints, triangles: NDArray[np.int64], targets: NDArray[np.float64]) -> Landmarks:
    """Points on a mesh's edges as landmarks on its triangles."""
    holders, weights = [], []
    for (one, other), share in zip(points.ends, points.shares, strict=True):
        holder = int(np.argmax((triangles == one).any(axis=1) & (triangles == other).any(axis=1)))
        corners = triangles[holder]
        holders.append(holder)
        weights.append((corners == one) * (1 - share) + (corners == other) * share)
    return Landmarks(np.array(holders), triangles[holders], np.array(weights), targets)
