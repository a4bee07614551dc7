"""The lines along which an atlas is cut, joined from its mesh's edges, with the UVs of both sides."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from uvmap_id.bodies.obj import TexturedMesh


@dataclass(frozen=True, slots=True)
class SeamLine:
    """A line of edges between two points where lines meet or end.

    Attributes:
        vertices: (N,) indices of the mesh's vertices along the line; a ring's first comes again at the end.
        uvs: (2, N, 2) UVs of the faces to the left and to the right of the line, seen from outside.
        faces: (2,) a face to the left and one to the right.
    """

    vertices: NDArray[np.int64]
    uvs: NDArray[np.float64]
    faces: NDArray[np.int64]

    def at(self, values: NDArray[np.floating], lengths: NDArray[np.floating], places: NDArray[np.floating]):
        """Values at places along the line, (P, C), from values at its vertices (N, C) and their distances along it."""
        return np.stack([np.interp(places, lengths, column) for column in np.asarray(values).T], axis=1)


def seam_lines(mesh: TexturedMesh) -> list[SeamLine]:
    """All lines of an atlas on a closed mesh, those between the same ends in the mesh's order."""
    sides = _sides(mesh)
    near: dict[int, list[int]] = defaultdict(list)
    for start, end in sides:
        near[start].append(end)
    ends = [vertex for vertex, others in near.items() if len(others) != 2]
    lines, seen = [], set()
    # A ring without any end begins anywhere.
    for start in (*sorted(ends), *sorted(near)):
        for step in near[start]:
            if (start, step) in seen or (
                len(near[start]) == 2 and any((start, other) in seen for other in near[start])
            ):
                continue
            line = _walk(start, step, near)
            seen.update(pairwise(line))
            seen.update(pairwise(line[::-1]))
            lines.append(_line(line, sides, mesh))
    return lines


def _sides(mesh: TexturedMesh) -> dict[tuple[int, int], tuple[int, int, int]]:
    """Of each directed edge on a seam: the face to its left and the UV indices of its two ends there."""
    order = np.array([[0, 1], [1, 2], [2, 0]])
    edges, uv_edges = mesh.triangles[:, order].reshape(-1, 2), mesh.uv_triangles[:, order].reshape(-1, 2)
    found = {
        (int(a), int(b)): (row // 3, int(u), int(v))
        for row, ((a, b), (u, v)) in enumerate(zip(edges, uv_edges, strict=True))
    }
    return {(a, b): left for (a, b), left in found.items() if (b, a) in found and found[b, a][:0:-1] != left[1:]}


def _walk(start: int, step: int, near: dict[int, list[int]]) -> list[int]:
    line = [start, step]
    while len(near[line[-1]]) == 2 and line[-1] != start:
        line.append(next(other for other in near[line[-1]] if other != line[-2]))
    return line


def _line(vertices: list[int], sides: dict[tuple[int, int], tuple[int, int, int]], mesh: TexturedMesh) -> SeamLine:
    edges = list(pairwise(vertices))
    left = [sides[a, b][1] for a, b in edges] + [sides[edges[-1]][2]]
    right = [sides[b, a][2] for a, b in edges] + [sides[edges[-1][1], edges[-1][0]][1]]
    faces = np.array([sides[edges[0]][0], sides[edges[0][1], edges[0][0]][0]])
    return SeamLine(np.array(vertices), mesh.uvs[[left, right]], faces)


def islands(uv_triangles: NDArray[np.integer], count: int) -> NDArray[np.int32]:
    """(T,) number of the connected piece of the atlas that each triangle belongs to."""
    start = uv_triangles[:, [0, 1, 2]].ravel()
    end = uv_triangles[:, [1, 2, 0]].ravel()
    graph = coo_array((np.ones(len(start)), (start, end)), shape=(count, count))
    return connected_components(graph, directed=False)[1][uv_triangles[:, 0]].astype(np.int32)
