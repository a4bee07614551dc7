"""The corners of a cut mesh that share one UV, and the islands that they make up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from uvmap_id.bodies.seam_routes import SeamEdges


@dataclass(frozen=True, slots=True)
class Wedges:
    """The UV points of a cut mesh.

    Attributes:
        of_corner: (F, 4) which wedge each corner of a face belongs to.
        vertices: (W,) the vertex of each.
        islands: (F,) number of the piece that each face belongs to.
        pinned: (W,) true beside a seam.
        uvs: (W, 2) UVs of the pinned ones, NaN for the others.
        template_faces: One face of the atlas's mesh in each island, in their order.
    """

    of_corner: NDArray[np.int64]
    vertices: NDArray[np.int64]
    islands: NDArray[np.int64]
    pinned: NDArray[np.bool_]
    uvs: NDArray[np.float64]
    template_faces: NDArray[np.int64]

    @classmethod
    def of(cls, faces: NDArray[np.int64], seams: SeamEdges) -> Wedges:
        """The wedges of faces (F, 4) that are cut along seams."""
        edges = _half_edges(faces)
        count = int(faces.max()) + 1
        cut = {(int(a), int(b)) for a, b in seams.ends} | {(int(b), int(a)) for a, b in seams.ends}
        place = {(int(a), int(b)): row for row, (a, b) in enumerate(edges.ends)}
        pairs, faces_joined = [], []
        for (a, b), row in place.items():
            other = place.get((b, a))
            if other is None or (a, b) in cut or a > b:
                continue
            pairs += [(edges.starts[row], edges.stops[other]), (edges.stops[row], edges.starts[other])]
            faces_joined.append((edges.faces[row], edges.faces[other]))
        # A triangle's last two corners are one.
        single = np.flatnonzero(faces[:, 2] == faces[:, 3])
        pairs += list(zip(single * 4 + 2, single * 4 + 3, strict=True))
        of_corner = _components(np.array(pairs), faces.size).reshape(faces.shape)
        islands = _components(np.array(faces_joined), len(faces))
        wedge_count = int(of_corner.max()) + 1
        vertices = np.zeros(wedge_count, np.int64)
        vertices[of_corner] = faces
        uvs = np.full((wedge_count, 2), np.nan)
        template_faces = np.full(int(islands.max()) + 1, -1)
        for (a, b), sides, homes in zip(seams.ends.tolist(), seams.uvs, seams.faces, strict=True):
            left, right = place[a, b], place[b, a]
            uvs[of_corner.flat[[edges.starts[left], edges.stops[left]]]] = sides[0]
            uvs[of_corner.flat[[edges.stops[right], edges.starts[right]]]] = sides[1]
            template_faces[islands[edges.faces[[left, right]]]] = homes
        if count != len(np.unique(vertices)):
            raise ValueError("A vertex of the cut mesh is in no face.")
        return cls(of_corner, vertices, islands, np.isfinite(uvs[:, 0]), uvs, template_faces)

    def island_of_wedge(self) -> NDArray[np.int64]:
        """(W,) the island of each wedge."""
        found = np.zeros(len(self.vertices), np.int64)
        found[self.of_corner] = self.islands[:, None]
        return found


@dataclass(frozen=True, slots=True)
class _HalfEdges:
    """Directed edges around faces: their vertices (N, 2), their faces, and the corners where they start and stop."""

    ends: NDArray[np.int64]
    faces: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


def _half_edges(faces: NDArray[np.int64]) -> _HalfEdges:
    rows = np.repeat(np.arange(len(faces)), 4)
    starts = np.arange(faces.size)
    stops = np.roll(starts.reshape(-1, 4), -1, axis=1).ravel()
    ends = np.column_stack([faces.flat[starts], faces.flat[stops]])
    real = ends[:, 0] != ends[:, 1]
    return _HalfEdges(ends[real], rows[real], starts[real], stops[real])


def _components(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def triangles_of(corners: NDArray[np.int64]) -> NDArray[np.int64]:
    """(T, 3) of faces (F, 4): triangles once, quads cut both ways, so that all four of their corners count."""
    single = corners[:, 2] == corners[:, 3]
    quads = corners[~single]
    halves = [quads[:, ways] for ways in ([0, 1, 2], [0, 2, 3], [0, 1, 3], [1, 2, 3])]
    return np.concatenate([corners[single][:, :3], *halves])
