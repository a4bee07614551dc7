"""Pairs of the corners of eyes and mouth on the free body and on SMPL's template."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from uvmap_id.bodies.extremities import EdgePoints
from uvmap_id.bodies.fit import Landmarks
from uvmap_id.bodies.limb_marks import held

# SMPL's vertices, found by eye on its mesh: where the lines between the closed lids end, outer and inner, and the
# deepest points in the corners of the mouth; on the body's right side. The left ones are their mirror images.
_RIGHT_EYE, _RIGHT_MOUTH = (6258, 6249), 3841


def feature_marks(
    vertices: NDArray[np.floating], triangles: NDArray[np.int64], template: NDArray[np.float64]
) -> Landmarks:
    """The outermost and innermost points of the free body's openings.

    Args:
        vertices: (V, 3) the free body.
        triangles: (T, 3) its outside, with an opening at each eye and at the mouth.
        template: (N, 3) SMPL's template, z up.
    """
    rims = _rims(triangles)
    middles = np.array([vertices[rim].mean(axis=0) for rim in rims])
    mouth = rims[int(middles[:, 2].argmin())]
    right, left = rims[int(middles[:, 0].argmin())], rims[int(middles[:, 0].argmax())]
    found = []
    for rim in (right, mouth, left):
        order = rim[np.argsort(vertices[rim, 0])]
        found += [order[0], order[-1]]
    outer, inner = _RIGHT_EYE
    aims = [outer, inner, _RIGHT_MOUTH, *(_mirrored(vertex, template) for vertex in (_RIGHT_MOUTH, inner, outer))]
    return held(EdgePoints(np.column_stack([found, found]), np.zeros(len(found))), triangles, template[aims])


def _rims(triangles: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The vertices of each opening of a mesh."""
    pairs = np.sort(np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    edges, count = np.unique(pairs, axis=0, return_counts=True)
    open_edges = edges[count == 1]
    size = int(triangles.max()) + 1
    label = connected_components(coo_array((np.ones(len(open_edges)), open_edges.T), shape=(size, size)))[1]
    on_rim = np.unique(open_edges)
    return [on_rim[label[on_rim] == value] for value in np.unique(label[on_rim])]


def _mirrored(vertex: int, template: NDArray[np.floating]) -> int:
    return int(np.linalg.norm(template - template[vertex] * [-1, 1, 1], axis=1).argmin())
