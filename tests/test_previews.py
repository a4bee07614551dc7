"""Pictures of a texture in the making: small in pixels and in bytes, whatever the engine shows."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import PREVIEW_LIMIT
from uvmap_id.previews import SIDE_LIMIT, preview_png


@pytest.mark.parametrize(
    ("shape", "size"),
    [((1, 1, 3), (1, 1)), ((128, 64, 3), (64, 128)), ((256, 1024, 3), (128, 32)), ((9, 4000, 3), (128, 1))],
)
def test_a_picture_keeps_its_proportions(shape: tuple[int, int, int], size: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(preview_png(np.full(shape, 70, np.uint8)))) as picture:
        assert picture.size == size
        assert picture.getpixel((0, 0)) == (70, 70, 70)


def test_noise_is_shrunk_until_it_fits() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (SIDE_LIMIT, SIDE_LIMIT, 3), np.uint8)
    content = preview_png(noise)
    assert len(content) <= PREVIEW_LIMIT
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (SIDE_LIMIT // 2, SIDE_LIMIT // 2)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)],
)
def test_what_is_no_picture_is_told_off(pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(UVMapError) as caught:
        preview_png(pixels)
    assert caught.value.failure.code == ErrorCode.INTERNAL
