"""Solves the UVs of a body that lies on the atlas's surface and is cut along its seams, island by island."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, vstack
from scipy.sparse.csgraph import dijkstra

from uvmap_id.bodies.atlas_surface import Atlas
from uvmap_id.bodies.plane_maps import edges_of, filled, isometric
from uvmap_id.bodies.surface import SurfacePoints, closest
from uvmap_id.bodies.untangle import Aims, repaired, untangled
from uvmap_id.bodies.wedges import Wedges, triangles_of

_SEAM_RINGS = 2.5  # Points nearer to a seam, in edges, may lie beyond it and are found by their neighbours.
_LOOSE = 0.004  # metres; farther from the atlas's surface a point's nearest place says little.
_FACING = 0.3  # cosine
_PULL = 0.5  # How much nearest places count, against shapes.
_LANDMARK_SLACK = 0.02  # A landmark farther off than this in the atlas is on the other side of a seam.
_LEAST_SHAPE = 0.15  # Of the atlas's area per area of the surface, the least that a tilted triangle keeps.


@dataclass(frozen=True, slots=True)
class PlacedMarks:
    """Points of the cut mesh that have a place in the atlas.

    Attributes:
        vertices: (N, 3) vertices of the cut mesh.
        weights: (N, 3) their weights.
        uvs: (N, 2).
        strengths: (N,) how much each counts, against shapes.
    """

    vertices: NDArray[np.int64]
    weights: NDArray[np.float64]
    uvs: NDArray[np.float64]
    strengths: NDArray[np.float64]


def solve_uvs(vertices: NDArray[np.float64], wedges: Wedges, atlas: Atlas, marks: PlacedMarks) -> NDArray[np.float64]:
    """(W, 2) UVs of the wedges.

    Args:
        vertices: (V, 3) the cut mesh on the atlas's surface.
        wedges: Of its faces.
        atlas: The surface.
        marks: Places that count more than the nearest ones.
    """
    uvs = wedges.uvs.copy()
    for island, home in enumerate(wedges.template_faces):
        corners = wedges.of_corner[wedges.islands == island]
        own = np.unique(corners)
        number = np.full(len(wedges.vertices), -1)
        number[own] = np.arange(len(own))
        part = _Part(
            positions=vertices[wedges.vertices[own]],
            triangles=triangles_of(number[corners]),
            pinned=wedges.pinned[own],
            uvs=wedges.uvs[own],
        )
        uvs[own] = _solved(part, _only(atlas, int(atlas.island[home])), _own_marks(marks, wedges.vertices[own]))
    return uvs


@dataclass(frozen=True, slots=True)
class _Part:
    """One island of the cut mesh, in a numbering of its own."""

    positions: NDArray[np.float64]
    triangles: NDArray[np.int64]
    pinned: NDArray[np.bool_]
    uvs: NDArray[np.float64]


def _only(atlas: Atlas, island: int) -> Atlas:
    """One island, turned over if it is a mirror image, as one of SMPL's legs is."""
    own = atlas.island == island
    return Atlas(atlas.corners[own], atlas.uvs[own], atlas.island[own])


def _own_marks(marks: PlacedMarks, vertices: NDArray[np.int64]) -> PlacedMarks:
    """The marks all of whose vertices are once in an island, in its numbering."""
    count = int(max(marks.vertices.max(), vertices.max())) + 1
    number = np.full(count, -1)
    number[vertices] = np.arange(len(vertices))
    number[np.bincount(vertices, minlength=count) > 1] = -1
    inside = ((number[marks.vertices] >= 0) | (marks.weights < 1e-9)).all(axis=1)
    chosen = np.maximum(number[marks.vertices[inside]], 0)
    return PlacedMarks(chosen, marks.weights[inside], marks.uvs[inside], marks.strengths[inside])


def _solved(part: _Part, atlas: Atlas, marks: PlacedMarks) -> NDArray[np.float64]:
    corners = atlas.uvs
    turn = np.sign(_area(corners).sum())
    mirror = np.array([turn, 1.0])
    pinned = part.uvs * mirror
    held = closest(part.positions, atlas.corners.reshape(-1, 3), np.arange(len(atlas.corners) * 3).reshape(-1, 3))
    wanted = held.carry(corners * mirror)
    sure = _sure(part, held, atlas)
    edges = edges_of(part.triangles)
    start = filled(np.where(part.pinned[:, None], pinned, wanted), sure | part.pinned, edges, part.positions)
    rest = _shapes(part, Atlas(atlas.corners, corners * mirror, atlas.island))
    aims = _aims(part, start, wanted, sure, rest, marks, mirror)
    moved = untangled(start, part.triangles, rest, part.pinned, aims)
    return repaired(moved, part.triangles, rest, part.pinned) * mirror


def _area(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]) / 2


def _sure(part: _Part, held: SurfacePoints, atlas: Atlas) -> NDArray[np.bool_]:
    """(P,) points whose nearest place can be believed: near, facing the same way, not beside a seam."""
    edges = edges_of(part.triangles)
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(len(part.positions),) * 2).tocsr()
    rings = dijkstra(graph, directed=False, indices=np.flatnonzero(part.pinned), min_only=True, unweighted=True)
    distance = np.linalg.norm(held.carry(atlas.corners) - part.positions, axis=1)
    outward = _vertex_normals(part.positions, part.triangles)
    there = _unit(np.cross(*np.diff(atlas.corners, axis=1).transpose(1, 0, 2)))[held.triangles]
    return (rings > _SEAM_RINGS) & (distance < _LOOSE) & ((outward * there).sum(axis=1) > _FACING)


def _vertex_normals(positions: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
    corners = positions[triangles]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(positions)
    for corner in range(3):
        np.add.at(total, triangles[:, corner], crossed)
    return _unit(total)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _shapes(part: _Part, atlas: Atlas) -> NDArray[np.float64]:
    """(T, 3, 2) how each triangle would lie in the atlas if it were taken there from the nearest place as it is."""
    corners = part.positions[part.triangles]
    held = closest(corners.mean(axis=1), atlas.corners.reshape(-1, 3), np.arange(len(atlas.corners) * 3).reshape(-1, 3))
    home, home_uvs = atlas.corners[held.triangles], atlas.uvs[held.triangles]
    edges = np.stack([home[:, 1] - home[:, 0], home[:, 2] - home[:, 0]], axis=1)
    uv_edges = np.stack([home_uvs[:, 1] - home_uvs[:, 0], home_uvs[:, 2] - home_uvs[:, 0]], axis=1)
    # Directions in the plane of the atlas's triangle to UV; its normal has none.
    jacobian = np.einsum("tki,tkj->tij", np.linalg.pinv(edges).transpose(0, 2, 1), uv_edges)
    own = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=1)
    flat = np.einsum("tki,tij->tkj", own, jacobian)
    scale = np.abs(np.linalg.det(uv_edges)) / np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    area = np.linalg.norm(np.cross(own[:, 0], own[:, 1]), axis=1)
    tilted = np.linalg.det(flat) < _LEAST_SHAPE * area * scale
    flat[tilted] = isometric(own[tilted]) * np.sqrt(scale[tilted])[:, None, None]
    return np.concatenate([np.zeros((len(flat), 1, 2)), flat], axis=1)


def _aims(
    part: _Part,
    start: NDArray[np.float64],
    wanted: NDArray[np.float64],
    sure: NDArray[np.bool_],
    rest: NDArray[np.float64],
    marks: PlacedMarks,
    mirror: NDArray[np.float64],
) -> Aims:
    """Nearest places and landmarks, measured in the size of the triangles around."""
    count = len(part.positions)
    area = np.zeros(count)
    number = np.zeros(count)
    for corner in range(3):
        np.add.at(area, part.triangles[:, corner], np.abs(_area(rest)))
        np.add.at(number, part.triangles[:, corner], 1)
    # A squared edge is about four times a triangle's area.
    size = 4 * area / number
    pulled = np.flatnonzero(sure & ~part.pinned)
    row = np.repeat(np.arange(len(marks.uvs)), 3)
    marked = coo_array((marks.weights.ravel(), (row, marks.vertices.ravel())), shape=(len(marks.uvs), count)).tocsr()
    places = marks.uvs * mirror
    near = np.linalg.norm(marked @ start - places, axis=1) < _LANDMARK_SLACK
    chosen = csr_array(coo_array((np.ones(len(pulled)), (np.arange(len(pulled)), pulled)), shape=(len(pulled), count)))
    matrix = csr_array(vstack([chosen, marked[near]]))
    strengths = np.concatenate(
        [
            _PULL * (area / size)[pulled],
            (marks.strengths * (marked @ (area / size)))[near],
        ]
    )
    return Aims(matrix, np.concatenate([wanted[pulled], places[near]]), strengths)
