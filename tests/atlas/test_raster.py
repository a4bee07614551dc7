"""Triangles are drawn where they are, and nearer ones hide farther ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.atlas.raster import rasterize, widened
from uvmap_id.atlas.view import Camera, lookup

coordinates = st.lists(st.floats(2, 62), min_size=6, max_size=6)


@given(coordinates)
def test_barycentric_weights_lead_back_to_the_pixel(values: list[float]) -> None:
    corners = np.array(values).reshape(1, 3, 2)
    first, second, third = corners[0]
    area = np.cross(np.append(second - first, 0), np.append(third - first, 0))[2]
    if abs(area) < 40:
        return
    raster = rasterize(corners, (64, 64))
    rows, columns = np.nonzero(raster.covered)
    weights = raster.barycentric[rows, columns]
    inside = ((weights > -0.45) & (weights < 1.45)).all(axis=1)  # weights are clipped outside of this
    back = weights[inside] @ corners[0]
    assert inside.any()
    assert np.abs(back - np.column_stack([columns, rows])[inside] - 0.5).max() < 0.01
    assert abs(raster.covered.sum() - abs(area) / 2) < 4 * 64


def test_the_nearer_triangle_hides_the_farther() -> None:
    square = np.array([[0, 0], [64, 0], [0, 64]], float)
    corners = np.stack([square, square])
    for near in (0, 1):
        depth = np.full((2, 3), 5.0)
        depth[near] = 1.0
        raster = rasterize(corners, (64, 64), depth)
        assert set(np.unique(raster.triangle)) == {-1, near}


def test_a_camera_turns_the_body() -> None:
    camera = Camera(np.zeros(3), 1.0, 64, yaw=90)
    assert np.allclose(camera.turn(np.array([[1.0, 0, 0]])), [[0, 1, 0]])
    left_hand = camera.turn(np.array([[0.0, -1, 0]]))  # in front of the body
    assert np.allclose(left_hand, [[1, 0, 0]])  # is now on the right of the picture


def test_lookup_has_its_origin_bottom_left() -> None:
    texture = np.zeros((8, 8, 3), np.uint8)
    texture[7, 0] = 255
    uv = np.array([[[0.5 / 8, 0.5 / 8]]], np.float32)
    assert (lookup(texture, uv) == 255).all()


def test_a_widened_raster_goes_on_in_the_plane_of_its_border_triangles() -> None:
    corners = np.array([[[20.0, 20], [44, 20], [20, 44]], [[44, 20], [44, 44], [20, 44]]])
    raster = rasterize(corners, (64, 64))
    wide = widened(raster, corners, 6)
    assert raster.covered.sum() < wide.covered.sum()
    assert not wide.covered[10, 30]  # farther off than the reach
    columns, rows = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)
    carried = wide.interpolate(corners)
    assert np.abs(carried - np.stack([columns, rows], axis=-1))[wide.covered].max() < 0.01


def test_a_near_camera_shows_near_things_larger() -> None:
    places = np.array([[0.1, -0.2, 0.0], [0.1, 0.2, 0.0]])
    flat, depth = Camera(np.zeros(3), 1.0, 100).project(places)
    near, _ = Camera(np.zeros(3), 1.0, 100, distance=1.0).project(places)
    assert np.allclose(depth, [-0.2, 0.2])
    assert np.allclose(flat, [[55, 50], [55, 50]])
    assert np.allclose(near, [[50 + 5 / 0.8, 50], [50 + 5 / 1.2, 50]])
