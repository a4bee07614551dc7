"""Meshes in the plane are unfolded, and nothing that is pinned moves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

from uvmap_id.bodies.ball_uvs import ball_uvs, halves_areas
from uvmap_id.bodies.cavity_uvs import cavity_uvs
from uvmap_id.bodies.unfolded import corner_areas, split_quads
from uvmap_id.bodies.untangle import Aims, doubled_areas, repaired, untangled

SIDE = 9


def sheet() -> tuple[NDArray, NDArray, NDArray]:
    """(81, 2) points of the unit square, triangles, and which points are on its rim."""
    x, y = np.meshgrid(np.linspace(0, 1, SIDE), np.linspace(0, 1, SIDE))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    first = (np.arange(SIDE - 1) + SIDE * np.arange(SIDE - 1)[:, None]).ravel()
    triangles = np.concatenate(
        [np.stack([first, first + 1, first + SIDE + 1], 1), np.stack([first, first + SIDE + 1, first + SIDE], 1)]
    )
    rim = ((points == 0) | (points == 1)).any(axis=1)
    return points, triangles, rim


def nothing(count: int) -> Aims:
    return Aims(csr_array((0, count)), np.zeros((0, 2)), np.zeros(0))


def test_a_tangled_sheet_becomes_the_grid_that_it_was() -> None:
    points, triangles, rim = sheet()
    tangled = points.copy()
    tangled[~rim] = np.random.default_rng(0).random((int((~rim).sum()), 2))
    assert (doubled_areas(tangled, triangles) < 0).any()
    found = untangled(tangled, triangles, points[triangles], rim, nothing(len(points)))
    assert np.array_equal(found[rim], points[rim])
    assert doubled_areas(found, triangles).min() > 0
    assert found == pytest.approx(points, abs=0.01)


def test_points_go_where_they_are_aimed_if_that_folds_nothing() -> None:
    points, triangles, rim = sheet()
    middle = SIDE * SIDE // 2
    aim = Aims(csr_array(eye_array(len(points)))[[middle]], np.array([[0.55, 0.47]]), np.array([1e3]))
    found = untangled(points, triangles, points[triangles], rim, aim)
    assert found[middle] == pytest.approx([0.55, 0.47], abs=1e-3)
    assert doubled_areas(found, triangles).min() > 0


def test_a_repair_moves_only_what_is_near() -> None:
    points, triangles, rim = sheet()
    folded = points.copy()
    folded[SIDE * 2 + 2] = folded[SIDE * 3 + 4]
    found = repaired(folded, triangles, points[triangles], rim)
    assert doubled_areas(found, triangles).min() > 0
    assert np.array_equal(found[SIDE * 7 + 7], points[SIDE * 7 + 7])


def test_a_quad_that_is_not_convex_is_split_where_both_halves_are_sound() -> None:
    dart = np.array([[0.0, 0], [1, 0], [0.2, 0.2], [0, 1]])
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    faces = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 10]])
    uvs = np.stack([np.roll(dart, 1, axis=0), square[::-1], square[[0, 1, 2, 2]]])
    rows, corners = split_quads(faces, uvs, np.array([1.0, -1, 1]))
    assert rows.tolist() == [1, 2, 0, 0]
    signs = np.array([1.0, -1, 1])[rows]
    pieces = np.take_along_axis(uvs[rows], corners[..., None], axis=1)
    assert (corner_areas(pieces, np.array([[0, 1, 2]]))[:, 0] * signs > 0).all()
    # The diagonal starts at the corner that points inwards.
    assert set(corners[2]) & set(corners[3]) >= {3}


def test_an_eyes_uvs_look_out_of_the_middle_of_their_square() -> None:
    around, up = np.meshgrid(np.arange(8), np.arange(7), indexing="ij")
    angle, height = around * np.pi / 4, (up + 0.5) * np.pi / 7
    ball = np.stack([np.sin(height) * np.cos(angle), -np.cos(height), np.sin(height) * np.sin(angle)], axis=-1)
    number = np.arange(56).reshape(8, 7)
    after = np.roll(number, -1, axis=0)
    quads = np.stack([number[:, :-1], number[:, 1:], after[:, 1:], after[:, :-1]], axis=-1).reshape(-1, 4)
    uvs = ball_uvs(ball.reshape(-1, 3), quads)
    assert uvs.min() >= 0
    assert uvs.max() <= 1
    assert (halves_areas(uvs) > 0).all()
    assert (uvs.max(axis=(0, 1)) > 0.9).all()
    front = np.linalg.norm(uvs - 0.5, axis=-1) < 0.05
    assert set(quads[front]) == set(number[:, 0])


def test_a_cup_fills_the_hole_that_its_rim_leaves() -> None:
    points, _, rim = sheet()
    first = (np.arange(SIDE - 1) + SIDE * np.arange(SIDE - 1)[:, None]).ravel()
    quads = np.stack([first, first + 1, first + SIDE + 1, first + SIDE], axis=1)
    depth = np.where(rim, 0, 0.8)
    uvs = cavity_uvs(np.column_stack([points, depth]), quads, np.where(rim[:, None], points * [0.1, 0.05] + 0.3, 0))
    assert (halves_areas(uvs) > 0).all()
    assert halves_areas(uvs).sum() == pytest.approx(0.1 * 0.05)
