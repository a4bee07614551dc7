"""Colour conversions against a library that is not used inside the engine."""

from __future__ import annotations

import numpy as np
from skimage import color

from uvmap_id.engines.projection.colour import from_lab, to_lab, to_linear, to_srgb

EVERY_BYTE = np.arange(256, dtype=np.uint8)


def test_bytes_survive_the_way_there_and_back() -> None:
    assert (to_srgb(to_linear(EVERY_BYTE)) == EVERY_BYTE).all()


def test_linear_light_of_middle_grey() -> None:
    assert abs(float(to_linear(np.array([188], np.uint8))[0]) - 0.5) < 0.005


def test_lab_agrees_with_scikit_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    expected = color.rgb2lab(image)
    assert np.abs(to_lab(to_linear(image)) - expected).max() < 0.6
    assert np.abs(to_srgb(from_lab(expected)).astype(int) - image).max() <= 3


def test_any_shape_is_taken() -> None:
    colours = to_linear(np.array([[200, 150, 120], [20, 30, 40]], np.uint8))
    assert to_lab(colours).shape == (2, 3)
    assert np.allclose(from_lab(to_lab(colours[0])), colours[0], atol=0.01)
