"""Takes from a cut mesh what no map into the plane can lay flat without folds.

A face between points of a seam gets a corner that can be moved. A vertex with two edges only is in two quads, of which
one would have to have a corner of more than half a turn: both become triangles.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from uvmap_id.bodies.cut import CutMesh

Edge = tuple[int, int]


def freed(mesh: CutMesh, seams: NDArray[np.integer]) -> CutMesh:
    """Halve every edge that joins two points of seams (N, 2) and is on none itself."""
    on_seam = np.zeros(mesh.vertex_count, bool)
    on_seam[seams] = True
    faces, sources = _with_triangles(mesh, on_seam)
    cut = {_edge(one, other) for one, other in seams.tolist()}
    pairs = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    inner = np.unique(pairs[on_seam[pairs].all(axis=1) & (pairs[:, 0] != pairs[:, 1])], axis=0)
    halved = [(one, other) for one, other in inner.tolist() if (one, other) not in cut]
    middles = {edge: len(on_seam) + row for row, edge in enumerate(halved)}
    new_faces, new_sources = [], []
    for face, source in zip(faces.tolist(), sources.tolist(), strict=True):
        pieces = _split(face, middles)
        new_faces += pieces
        new_sources += [source] * len(pieces)
    ends = np.array(halved, np.int64).reshape(-1, 2)
    between = (mesh.vertices_of[ends[:, 0]] + mesh.vertices_of[ends[:, 1]]) / 2
    return replace(
        mesh,
        vertices_of=csr_array(vstack([mesh.vertices_of, between])),
        faces=np.array(new_faces),
        source_faces=np.array(new_sources),
    )


def _edge(one: int, other: int) -> Edge:
    return (one, other) if one < other else (other, one)


def _with_triangles(mesh: CutMesh, on_seam: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Faces in which no quad has two points of a seam across from each other or three in a row."""
    faces = mesh.faces
    quads = faces[:, 2] != faces[:, 3]
    across = on_seam[faces[:, [0, 1]]] & on_seam[faces[:, [2, 3]]]
    edges = np.unique(np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1), axis=0)
    lone = np.bincount(edges[edges[:, 0] != edges[:, 1]].ravel(), minlength=len(on_seam))[faces] == 2
    split = quads & (across.any(axis=1) | lone.any(axis=1))
    # The diagonal goes through a lone vertex; between two points of a seam it would have to be halved.
    turn = np.where(lone.any(axis=1), lone[:, [1, 3]].any(axis=1), across[:, 0])[split]
    turned = np.where(turn[:, None], np.roll(faces[split], -1, axis=1), faces[split])
    halves = np.stack([turned[:, [0, 1, 2, 2]], turned[:, [0, 2, 3, 3]]], axis=1).reshape(-1, 4)
    sources = mesh.source_faces
    return np.concatenate([faces[~split], halves]), np.concatenate([sources[~split], np.repeat(sources[split], 2)])


def _split(face: list[int], middles: dict[Edge, int]) -> list[list[int]]:
    corners = list(dict.fromkeys(face))
    ring: list[int] = []
    for one, other in zip(corners, corners[1:] + corners[:1], strict=True):
        ring.append(one)
        if (middle := middles.get(_edge(one, other))) is not None:
            ring.append(middle)
    if len(ring) == len(corners):
        return [face]
    new = [place for place, point in enumerate(ring) if point not in corners]
    ring = ring[new[0] :] + ring[: new[0]]
    if len(new) == 1:
        return [[ring[0], *pair, pair[1]] for pair in pairwise(ring[1:])]
    # Two or more: each old corner between two middles is cut off, and what is left is a fan from a middle.
    pieces, rest = [], list(ring)
    for point in corners:
        place = rest.index(point)
        before, after = rest[place - 1], rest[(place + 1) % len(rest)]
        if before not in corners and after not in corners and len(rest) > 3:
            pieces.append([before, point, after, after])
            rest.remove(point)
    start = next(place for place, point in enumerate(rest) if point not in corners)
    rest = rest[start:] + rest[:start]
    return pieces + [[rest[0], *pair, pair[1]] for pair in pairwise(rest[1:])]
