"""Cuts a quad mesh along lines that run beside its edges and across its faces."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from uvmap_id.atlas.view import vertex_normals

# Where lines may cross an edge, as shares of it: far enough from its ends that no sliver is cut off.
_CROSSINGS = np.array([0.25, 0.5, 0.75])
_TIGHTNESS = 0.0015  # metres; a detour this far off the line costs twice its length
_REACH = 0.03  # metres, how far from its line a path is searched
_SAMPLE_STEP = 0.0005  # metres
_NORMAL_SHARE = 0.008  # metres of distance for each unit that two normals differ by
_EVENNESS = 0.1
_HASTE = 4.0  # A step may take the path so many times its own length on along the line.
_HASTE_COST = 0.002  # metres too far on that cost as much again as the step


class CutError(Exception):
    """A line finds no way over the mesh that crosses none of the earlier ones."""


@dataclass(frozen=True, slots=True)
class Course:
    """A line on a surface.

    Attributes:
        positions: (N, 3) metres.
        normals: (N, 3) the surface's.
        lengths: (N,) metres along the line, from any beginning.
    """

    positions: NDArray[np.float64]
    normals: NDArray[np.float64]
    lengths: NDArray[np.float64]

    def sampled(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Positions, unit normals and lengths of close points along the line, its ends included."""
        span = self.lengths[-1] - self.lengths[0]
        along = np.linspace(self.lengths[0], self.lengths[-1], max(2, int(span / _SAMPLE_STEP)))
        positions, normals = (
            np.stack([np.interp(along, self.lengths, column) for column in values.T], axis=1)
            for values in (self.positions, self.normals)
        )
        return positions, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12), along


@dataclass(slots=True)
class Web:
    """The ways over a quad mesh: from vertex or edge point to the others around the same face.

    Attributes:
        quads: (F, 4).
        positions: (P, 3) of the V vertices, then of three points on each of the E edges.
        normals: (P, 3) of unit length, outwards.
        edges: (E, 2) vertex indices, the lower first.
        rings: (F, 16) the points around each face in order, corners at every fourth place.
        used: Points that earlier paths took.
        chords: Of each crossed face the pairs of points between which it is cut.
        seams: Pairs of points between which the mesh is cut.
    """

    quads: NDArray[np.int64]
    positions: NDArray[np.float64]
    normals: NDArray[np.float64]
    edges: NDArray[np.int64]
    rings: NDArray[np.int64]
    used: set[int] = field(default_factory=set)
    chords: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    seams: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def over(cls, vertices: NDArray[np.floating], quads: NDArray[np.integer]) -> Web:
        """The web of a mesh: vertices (V, 3) and quads (F, 4)."""
        vertices, quads = np.asarray(vertices, np.float64), np.asarray(quads, np.int64)
        directed = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1)
        edges, number = np.unique(np.sort(directed.reshape(-1, 2), axis=1), axis=0, return_inverse=True)
        number = number.reshape(-1, 4)
        one, other = vertices[edges[:, :1]], vertices[edges[:, 1:]]
        crossings = one + (other - one) * _CROSSINGS[:, None]
        halves = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
        normals = vertex_normals(vertices, halves)
        between = np.repeat(normals[edges].sum(axis=1), len(_CROSSINGS), axis=0)
        between /= np.maximum(np.linalg.norm(between, axis=1, keepdims=True), 1e-12)
        count = len(_CROSSINGS)
        along = len(vertices) + number[..., None] * count + np.arange(count)
        backward = directed[..., 0] > directed[..., 1]
        along[backward] = along[backward][:, ::-1]
        rings = np.concatenate([quads[..., None], along], axis=-1).reshape(len(quads), -1)
        positions = np.concatenate([vertices, crossings.reshape(-1, 3)])
        return cls(quads, positions, np.concatenate([normals, between]), edges, rings)

    @property
    def vertex_count(self) -> int:
        """How many of the points are vertices."""
        return len(self.positions) - len(self.edges) * len(_CROSSINGS)

    def weights_of(self, points: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(P, 2) vertices and their weights, of which points are the means."""
        points = np.asarray(points, np.int64)
        beyond = np.maximum(points - self.vertex_count, 0)
        on_edge = points >= self.vertex_count
        ends = np.where(on_edge[:, None], self.edges[beyond // len(_CROSSINGS)], points[:, None])
        share = np.where(on_edge, _CROSSINGS[beyond % len(_CROSSINGS)], 0.0)
        return ends, np.column_stack([1 - share, share])

    def route(self, start: int, end: int, course: Course) -> tuple[list[int], NDArray[np.float64]]:
        """The points of the best path from `start` to `end` beside a course, and how far along it each belongs.

        A path that leaves out a part of the course, as between two toes, is as bad as one that is far from it.

        Raises:
            CutError: there is none.
        """
        samples, normals, along = course.sampled()
        free = cKDTree(samples).query(self.positions, distance_upper_bound=_REACH)[0] < np.inf
        free[list(self.used)] = False
        free[[start, end]] = True
        names = np.flatnonzero(free)
        index = np.full(len(self.positions), -1)
        index[names] = np.arange(len(names))
        tree = cKDTree(np.column_stack([samples, normals * _NORMAL_SHARE]))
        offset, nearest = tree.query(np.column_stack([self.positions[names], self.normals[names] * _NORMAL_SHARE]))
        progress = along[nearest]
        progress[index[[start, end]]] = along[[0, -1]]
        offset[index[[start, end]]] = 0
        arcs = index[self._arcs(free)]
        one, other = arcs.T
        length = np.linalg.norm(self.positions[names[one]] - self.positions[names[other]], axis=1)
        haste = np.maximum(np.abs(progress[one] - progress[other]) - _HASTE * length, 0)
        cost = length * (1 + ((offset[one] + offset[other]) / 2 / _TIGHTNESS) ** 2 + (haste / _HASTE_COST) ** 2) + 1e-9
        graph = coo_array((cost, (one, other)), shape=(len(names), len(names))).tocsr()
        _, before = dijkstra(graph, directed=False, indices=index[start], return_predecessors=True)
        path = [int(index[end])]
        while path[-1] != index[start]:
            path.append(int(before[path[-1]]))
            if path[-1] < 0:
                raise CutError(f"No way is left from point {start} to point {end}.")
        path = path[::-1]
        places = np.asarray(isotonic_regression(progress[path]).x)
        lengths = _lengths(self.positions[names[path]])
        # A little of the path's own length, so that no two points share a place.
        places = (1 - _EVENNESS) * places + _EVENNESS * (along[0] + (along[-1] - along[0]) * lengths / lengths[-1])
        return [int(names[step]) for step in path], places

    def _arcs(self, free: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(N, 2) each pair of free points that a path may join."""
        size = self.rings.shape[1]
        side = size // 4
        one, other = np.triu_indices(size, 1)
        # Both on one edge of the face: only neighbours are joined, along the edge.
        same = (one // side == (other - 1) // side) | ((other - one >= size - side) & (one == 0))
        beside = (other - one == 1) | ((one == 0) & (other == size - 1))
        across = ~same
        whole = np.ones(len(self.rings), bool)
        whole[list(self.chords)] = False
        near = free[self.rings].sum(axis=1) >= 2
        arcs = [self.rings[near & whole][:, np.column_stack([one[across], other[across]])].reshape(-1, 2)]
        arcs.append(self.rings[near][:, np.column_stack([one[beside], other[beside]])].reshape(-1, 2))
        found = np.sort(np.concatenate(arcs), axis=1)
        return np.unique(found[free[found].all(axis=1)], axis=0)

    def mark(self, path: list[int]) -> None:
        """Cut along a path: no other one may cross it."""
        self.used.update(path)
        self.seams.extend(pairwise(path))
        for face, chord in self._chords(path):
            self.chords[face].append(chord)

    def _chords(self, path: list[int]) -> list[tuple[int, tuple[int, int]]]:
        """The faces that a path crosses, and between which points."""
        size = self.rings.shape[1]
        found = []
        for one, other in pairwise(path):
            around = (self.rings == one).any(axis=1) & (self.rings == other).any(axis=1)
            face = int(np.argmax(around))
            places = sorted((int(np.argmax(self.rings[face] == one)), int(np.argmax(self.rings[face] == other))))
            if places[1] - places[0] not in (1, size - 1):
                found.append((face, (one, other)))
        return found


def _lengths(positions: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.append(0, np.cumsum(np.linalg.norm(np.diff(positions, axis=0), axis=1)))


@dataclass(frozen=True, slots=True)
class CutMesh:
    """A mesh that was cut.

    Attributes:
        vertices_of: (V, A) sparse, the vertices as weighted means of the A vertices of the mesh before.
        faces: (F, 4); a triangle repeats its last index.
        source_faces: (F,) the quad that each face is or lies in.
        points: (V,) the web's point that each vertex is.
    """

    vertices_of: csr_array
    faces: NDArray[np.int64]
    source_faces: NDArray[np.int64]
    points: NDArray[np.int64]

    @property
    def vertex_count(self) -> int:
        """V."""
        return len(self.vertices_of.indptr) - 1


def cut_faces(web: Web) -> CutMesh:
    """Split every face that a path crosses, so that all paths run along edges."""
    crossed = np.array(sorted(point for point in web.used if point >= web.vertex_count), np.int64)
    kept = np.zeros(len(web.positions), bool)
    kept[: web.vertex_count] = True
    kept[crossed] = True
    seams = {frozenset(pair) for pair in web.seams}
    changed = np.flatnonzero((kept[web.rings].sum(axis=1) > 4) | np.isin(np.arange(len(web.quads)), list(web.chords)))
    whole = np.setdiff1d(np.arange(len(web.quads)), changed)
    faces, sources = [web.quads[whole]], [whole]
    for face in changed:
        pieces = _pieces([int(point) for point in web.rings[face] if kept[point]], web.chords.get(int(face), []))
        triangles = [triangle for piece in pieces for triangle in _triangles(piece, web.positions, seams)]
        faces.append(np.array([(*triangle, triangle[2]) for triangle in triangles]))
        sources.append(np.full(len(triangles), face))
    points = np.append(np.arange(web.vertex_count), crossed)
    number = np.full(len(web.positions), -1)
    number[points] = np.arange(len(points))
    ends, weights = web.weights_of(points)
    rows = np.repeat(np.arange(len(points)), 2)
    matrix = coo_array((weights.ravel(), (rows, ends.ravel())), shape=(len(points), web.vertex_count)).tocsr()
    matrix.eliminate_zeros()
    return CutMesh(matrix, number[np.concatenate(faces)], np.concatenate(sources), points)


def _pieces(ring: list[int], chords: list[tuple[int, int]]) -> list[list[int]]:
    pieces = [ring]
    for one, other in chords:
        home = next(piece for piece in pieces if one in piece and other in piece)
        low, high = sorted((home.index(one), home.index(other)))
        pieces.remove(home)
        pieces += [home[low : high + 1], home[high:] + home[: low + 1]]
    return pieces


def _triangles(
    ring: list[int], positions: NDArray[np.float64], seams: set[frozenset[int]]
) -> list[tuple[int, int, int]]:
    """The triangulation of a small polygon whose worst triangle is best."""
    return _best(tuple(ring), positions, seams)[1]


def _best(
    ring: tuple[int, ...], positions: NDArray[np.float64], seams: set[frozenset[int]]
) -> tuple[float, list[tuple[int, int, int]]]:
    if len(ring) < 3:
        return np.inf, []
    best: tuple[float, list[tuple[int, int, int]]] = (-1.0, [])
    for middle in range(1, len(ring) - 1):
        triangle = (ring[0], ring[middle], ring[-1])
        left, right = _best(ring[: middle + 1], positions, seams), _best(ring[middle:], positions, seams)
        worst = min(_quality(triangle, positions, seams), left[0], right[0])
        if worst > best[0]:
            best = worst, [*left[1], triangle, *right[1]]
    return best


def _quality(triangle: tuple[int, int, int], positions: NDArray[np.float64], seams: set[frozenset[int]]) -> float:
    """Area by squared lengths; less where two sides are on a seam, whose UVs may be in one straight line."""
    first, second, third = positions[list(triangle)]
    squares = ((second - first) ** 2 + (third - second) ** 2 + (first - third) ** 2).sum()
    quality = float(np.linalg.norm(np.cross(second - first, third - first)) / max(squares, 1e-18))
    pairs = [frozenset(pair) for pair in ((triangle[0], triangle[1]), (triangle[1], triangle[2]), triangle[::2])]
    return quality * (0.05 if sum(pair in seams for pair in pairs) > 1 else 1.0)
