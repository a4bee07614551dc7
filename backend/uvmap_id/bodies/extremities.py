"""Finds the same places on the hands and feet of two bodies: tips, the valleys between them, rings around them.

All follows from the distance along the surface from the wrist or ankle: a tip is where it is greatest around, a valley
is where it is least on the shortest way from a tip to the next, and a ring lies at one distance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

_DIGITS = 5


@dataclass(frozen=True, slots=True)
class EdgePoints:
    """Points on the edges of a mesh.

    Attributes:
        ends: (N, 2) vertices.
        shares: (N,) 0 at the first, 1 at the second.
    """

    ends: NDArray[np.int64]
    shares: NDArray[np.float64]

    def at(self, vertices: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 3) positions."""
        one, other = np.moveaxis(vertices[self.ends], 1, 0)
        return one + (other - one) * self.shares[:, None]


@dataclass(frozen=True, slots=True)
class Digits:
    """The five fingers or toes of a limb, thumb or big toe first.

    Attributes:
        distance: (V,) metres along the surface from the limb's beginning, infinite on the rest of the body.
        tips: (5,) vertices.
        valleys: (4,) vertices between neighbours.
    """

    distance: NDArray[np.float64]
    tips: NDArray[np.int64]
    valleys: NDArray[np.int64]


def find_digits(
    vertices: NDArray[np.floating], triangles: NDArray[np.integer], limb: NDArray[np.bool_], rank: NDArray[np.floating]
) -> Digits:
    """The digits of a limb.

    Args:
        vertices: (V, 3).
        triangles: (T, 3).
        limb: (V,) true on the hand or foot, which joins the rest of the body at one rim.
        rank: (V,) orders the tips.
    """
    edges = _edges(triangles[limb[triangles].any(axis=1)])
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    graph = coo_array((length, edges.T), shape=(len(vertices), len(vertices))).tocsr()
    rim = np.unique(edges[~limb[edges]])
    distance = dijkstra(graph, directed=False, indices=rim, min_only=True)
    tips = _peaks(distance, edges, limb)
    tips = tips[np.argsort(rank[tips])]
    _, before = dijkstra(graph, directed=False, indices=tips, return_predecessors=True)
    ways = [_way(before[digit], int(tips[digit]), int(tips[digit + 1])) for digit in range(_DIGITS - 1)]
    return Digits(distance, tips, np.array([way[int(np.argmin(distance[way]))] for way in ways]))


def _way(before: NDArray[np.integer], start: int, end: int) -> NDArray[np.int64]:
    way = [end]
    while way[-1] != start:
        way.append(int(before[way[-1]]))
    return np.array(way, np.int64)


def _edges(triangles: NDArray[np.integer]) -> NDArray[np.int64]:
    pairs = np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=-1).reshape(-1, 2)
    return np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int64)


def _peaks(height: NDArray[np.float64], edges: NDArray[np.int64], limb: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The five most prominent peaks: those that stand out most above where they meet a higher one."""
    near = csr_array((np.ones(2 * len(edges)), np.concatenate([edges, edges[:, ::-1]]).T), shape=(len(height),) * 2)
    root: dict[int, int] = {}

    def peak_of(vertex: int) -> int:
        while root[vertex] != vertex:
            vertex = root[vertex]
        return vertex

    order = np.flatnonzero(limb & np.isfinite(height))
    met: list[tuple[float, int]] = []
    for vertex in order[np.argsort(-height[order], kind="stable")].tolist():
        others = near.indices[near.indptr[vertex] : near.indptr[vertex + 1]].tolist()
        peaks = sorted({peak_of(other) for other in others if other in root}, key=lambda peak: -height[peak])
        root[vertex] = peaks[0] if peaks else vertex
        for lower in peaks[1:]:
            met.append((float(height[lower] - height[vertex]), lower))
            root[lower] = peaks[0]
    best = sorted(met, reverse=True)[: _DIGITS - 1]
    highest = int(order[np.argmax(height[order])])
    return np.array([highest, *(peak for _, peak in best)])


def rings(
    digits: Digits,
    vertices: NDArray[np.floating],
    triangles: NDArray[np.integer],
    up: NDArray[np.floating],
    shares: Iterable[float],
) -> EdgePoints:
    """Four points around each digit at each share of its length from the tip: above, below and beside it.

    Args:
        digits: Of these vertices (V, 3) and triangles (T, 3).
        vertices: (V, 3).
        triangles: (T, 3).
        up: (3,) from the digits' lower to their upper side; a thumb's is found from the valley beside it.
        shares: Of the way from the tip to the nearer end of the valleys beside the digit, or to where it parts from
            the other digits if a ring would go around one of them too.
    """
    shares = list(shares)
    found_ends, found_shares = [], []
    for digit in range(_DIGITS):
        beside = digits.valleys[max(digit - 1, 0) : digit + 1]
        tip = digits.tips[digit]
        bottom, top = float(digits.distance[beside].max()), float(digits.distance[tip])
        if not _alone(digits, triangles, tip, top - max(shares) * (top - bottom)):
            bottom = _parting(digits, triangles, tip, bottom)
        for share in shares:
            ends, places = _level(digits.distance, triangles, tip, top - share * (top - bottom))
            points = EdgePoints(ends, places).at(vertices)
            middle = points.mean(axis=0)
            axis = _unit(vertices[tip] - middle)
            sideways = np.cross(axis, up) if digit else vertices[digits.valleys[0]] - middle
            sideways = _unit(sideways - (sideways @ axis) * axis)
            upwards = np.cross(sideways, axis)
            around = points - middle
            for direction in (upwards, -upwards, sideways, -sideways):
                # The point of the ring that the direction meets, not its farthest one.
                aligned = around @ direction / np.linalg.norm(around, axis=1)
                chosen = int(np.argmax(aligned))
                found_ends.append(ends[chosen])
                found_shares.append(places[chosen])
    return EdgePoints(np.array(found_ends), np.array(found_shares))


def _alone(digits: Digits, triangles: NDArray[np.integer], tip: int, level: float) -> bool:
    """Whether all that is farther than a distance and hangs together with a tip holds no other tip."""
    label = _beyond(digits.distance, triangles, level)
    return int((label[digits.tips] == label[tip]).sum()) == 1


def _parting(digits: Digits, triangles: NDArray[np.integer], tip: int, bottom: float) -> float:
    """The least distance, to a hundredth of a millimetre, beyond which a tip is alone."""
    low, high = bottom, float(digits.distance[tip])
    while high - low > 1e-5:
        middle = (low + high) / 2
        if _alone(digits, triangles, tip, middle):
            high = middle
        else:
            low = middle
    return high


def _beyond(distance: NDArray[np.float64], triangles: NDArray[np.integer], level: float) -> NDArray[np.int32]:
    """(V,) numbers of the connected pieces of a mesh whose vertices are farther than a distance."""
    edges = _edges(triangles[np.isfinite(distance[triangles]).all(axis=1)])
    beyond = edges[(distance[edges] > level).all(axis=1)]
    graph = coo_array((np.ones(len(beyond)), beyond.T), shape=(len(distance),) * 2)
    return connected_components(graph, directed=False)[1]


def _level(
    distance: NDArray[np.float64], triangles: NDArray[np.integer], tip: int, level: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The edges where a distance is reached around a tip, as (N, 2) vertices and (N,) places between them."""
    edges = _edges(triangles[np.isfinite(distance[triangles]).all(axis=1)])
    label = _beyond(distance, triangles, level)
    crossing = edges[(distance[edges] > level).sum(axis=1) == 1]
    inner = np.where(distance[crossing[:, 0]] > level, crossing[:, 0], crossing[:, 1])
    crossing = crossing[label[inner] == label[tip]]
    one, other = distance[crossing].T
    return crossing, (level - one) / (other - one)


def _unit(vector: NDArray[np.floating]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)
