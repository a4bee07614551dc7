"""Cutting a mesh across its faces, and the UV points that it then has."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from uvmap_id.bodies.cut import Course, CutError, CutMesh, Web, cut_faces
from uvmap_id.bodies.freed import freed
from uvmap_id.bodies.seam_routes import SeamEdges
from uvmap_id.bodies.wedges import Wedges

SIDE = 5


def grid() -> tuple[NDArray, NDArray]:
    """(25, 3) vertices 1 cm apart and (16, 4) quads in the plane z = 0."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(SIDE * SIDE)], axis=1) * 0.01
    first = (np.arange(SIDE - 1) + SIDE * np.arange(SIDE - 1)[:, None]).ravel()
    return vertices, np.stack([first, first + 1, first + 1 + SIDE, first + SIDE], axis=1)


def straight(web: Web, start: int, end: int) -> list[int]:
    positions = web.positions[[start, end]]
    course = Course(positions, np.tile([0.0, 0, 1], (2, 1)), np.array([0, np.linalg.norm(positions[1] - positions[0])]))
    path, places = web.route(start, end, course)
    assert (np.diff(places) > 0).all()
    web.mark(path)
    return path


def area(mesh: CutMesh, vertices: NDArray) -> NDArray:
    corners = (mesh.vertices_of @ vertices)[mesh.faces]
    return np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])[:, 2] / 2


def edges(faces: NDArray) -> set[tuple[int, int]]:
    return {tuple(sorted(pair)) for face in faces.tolist() for pair in zip(face, face[1:] + face[:1], strict=True)}


def cut_corner_to_corner() -> tuple[CutMesh, SeamEdges, NDArray]:
    vertices, quads = grid()
    web = Web.over(vertices, quads)
    # From (0, 1 cm) to (4 cm, 3 cm): no edge of the grid runs that way.
    path = straight(web, SIDE, 4 + 3 * SIDE)
    mesh = cut_faces(web)
    number = np.full(len(web.positions), -1)
    number[mesh.points] = np.arange(len(mesh.points))
    ends = number[np.column_stack([path[:-1], path[1:]])]
    places = web.positions[path][:, :2]
    one_side = np.stack([places[:-1], places[1:]], axis=1)
    uvs = np.stack([one_side, one_side + 1], axis=1)
    return mesh, SeamEdges(ends, uvs, np.tile([0, 1], (len(ends), 1))), vertices


def test_a_path_across_faces_becomes_edges_and_the_surface_stays() -> None:
    mesh, seams, vertices = cut_corner_to_corner()
    assert {tuple(sorted(pair)) for pair in seams.ends.tolist()} <= edges(mesh.faces)
    assert area(mesh, vertices).min() > 0
    assert area(mesh, vertices).sum() == pytest.approx(0.04**2)
    assert np.asarray(mesh.vertices_of.sum(axis=1)).ravel() == pytest.approx(1)
    assert np.bincount(mesh.source_faces, area(mesh, vertices)) == pytest.approx(0.01**2)
    on_line = (mesh.vertices_of @ vertices)[seams.ends]
    assert np.abs(on_line[..., 1] - 0.01 - on_line[..., 0] / 2).max() < 0.003


def test_no_path_crosses_an_earlier_one() -> None:
    vertices, quads = grid()
    web = Web.over(vertices, quads)
    straight(web, 2, 2 + 4 * SIDE)
    with pytest.raises(CutError):
        straight(web, 2 * SIDE, 4 + 2 * SIDE)


def test_a_freed_mesh_has_no_edge_between_points_of_the_seam_but_the_seam() -> None:
    mesh, seams, vertices = cut_corner_to_corner()
    mesh = freed(mesh, seams.ends)
    cut = {tuple(sorted(pair)) for pair in seams.ends.tolist()}
    on_seam = set(seams.ends.ravel().tolist())
    inner = {edge for edge in edges(mesh.faces) if edge[0] != edge[1] and set(edge) <= on_seam}
    assert inner == cut
    assert area(mesh, vertices).min() > 0
    assert area(mesh, vertices).sum() == pytest.approx(0.04**2)


def test_both_sides_of_a_cut_have_uvs_of_their_own() -> None:
    mesh, seams, vertices = cut_corner_to_corner()
    mesh = freed(mesh, seams.ends)
    wedges = Wedges.of(mesh.faces, seams)
    assert wedges.islands.max() == 1
    assert sorted(wedges.template_faces) == [0, 1]
    assert wedges.pinned.sum() == 2 * (len(seams.ends) + 1)
    heights = (mesh.vertices_of @ vertices)[mesh.faces].mean(axis=1)
    above = heights[:, 1] > 0.01 + heights[:, 0] / 2
    left = wedges.template_faces[wedges.islands] == 0
    # The path runs to the right: its left side is above.
    clear = np.abs(heights[:, 1] - 0.01 - heights[:, 0] / 2) > 0.005
    assert np.array_equal(left[clear], above[clear])
    shift = np.floor(wedges.uvs[wedges.pinned].mean(axis=1))
    assert sorted(np.unique(shift)) == [0, 1]


def test_two_quads_around_a_vertex_with_two_edges_become_triangles() -> None:
    vertices = np.array([[0.0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0], [1, 1, 0]])
    quads = np.array([[0, 1, 2, 4], [0, 4, 2, 3]])
    mesh = freed(cut_faces(Web.over(vertices, quads)), np.zeros((0, 2), int))
    assert len(mesh.faces) == 4
    assert all(4 in face for face in mesh.faces.tolist())
