"""Photos of every kind: a good result or a named error, and never more memory than a photo needs."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from uvmap_id.faces.photo import WORKING_SIDE, read_photo
from uvmap_id.link.errors import ErrorCode, UVMapError

RED_OVER_BLUE = np.repeat(np.array([[[220, 30, 30]], [[30, 30, 220]]], np.uint8), 80, axis=0).repeat(100, axis=1)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def error_of(content: bytes) -> str:
    with pytest.raises(UVMapError) as caught:
        read_photo(content)
    assert caught.value.failure.hint
    return caught.value.failure.code


@pytest.mark.parametrize(
    "convert",
    [
        lambda image: encoded(image),
        lambda image: encoded(image, "JPEG", quality=95),
        lambda image: encoded(image, "WEBP", lossless=True),
        lambda image: encoded(image, "TIFF"),
        lambda image: encoded(image, "BMP"),
        lambda image: encoded(image.convert("CMYK"), "TIFF"),
        lambda image: encoded(image.convert("RGBA")),
        lambda image: encoded(image.quantize(16)),
        lambda image: encoded(image, "GIF", save_all=True, append_images=[Image.new("RGB", image.size)]),
    ],
    ids=["png", "jpeg", "webp", "tiff", "bmp", "cmyk", "alpha", "palette", "animated"],
)
def test_every_usual_format_gives_the_same_picture(convert: Callable[[Image.Image], bytes]) -> None:
    read = read_photo(convert(Image.fromarray(RED_OVER_BLUE)))
    assert read.shape == RED_OVER_BLUE.shape
    assert read.dtype == np.uint8
    assert np.abs(read[20:60].astype(int) - RED_OVER_BLUE[20:60]).mean() < 6
    assert np.abs(read[100:140].astype(int) - RED_OVER_BLUE[100:140]).mean() < 6


def test_transparency_is_laid_over_white() -> None:
    clear = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    assert (read_photo(encoded(clear)) == 255).all()


def test_grey_and_sixteen_bit_keep_their_brightness() -> None:
    ramp = np.tile(np.linspace(0, 65535, 128).astype(np.uint16), (64, 1))
    read = read_photo(encoded(Image.fromarray(ramp)))
    assert read.shape == (64, 128, 3)
    assert abs(int(read[0, 64, 0]) - 128) <= 2
    grey = read_photo(encoded(Image.fromarray((ramp // 257).astype(np.uint8))))
    assert np.abs(grey.astype(int) - read).max() <= 1


def test_exif_orientation_is_followed() -> None:
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(RED_OVER_BLUE)))
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned: rotate by 270 degrees counter-clockwise to see it upright.
    read = read_photo(encoded(turned, "JPEG", quality=95, exif=exif))
    assert read.shape == RED_OVER_BLUE.shape
    assert read[20, 50, 0] > 180
    assert read[140, 50, 2] > 180


def test_a_large_photo_is_reduced() -> None:
    read = read_photo(encoded(Image.new("L", (12_000, 900)), "JPEG"))
    assert max(read.shape) == WORKING_SIDE


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"<svg></svg>", b"%PDF-1.4"])
def test_no_image(content: bytes) -> None:
    assert error_of(content) == ErrorCode.IMAGE_UNREADABLE


@pytest.mark.parametrize("size", [(1, 1), (63, 500), (500, 63)])
def test_too_small(size: tuple[int, int]) -> None:
    assert error_of(encoded(Image.new("RGB", size))) == ErrorCode.IMAGE_TOO_SMALL


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_truncated(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    content = encoded(Image.fromarray(noise), form)
    assert error_of(content[: len(content) // 2]) == ErrorCode.IMAGE_TRUNCATED


@pytest.mark.parametrize("side", [13_000, 20_000, 60_000])
def test_a_small_file_with_too_many_pixels_is_refused_before_it_is_decoded(side: int) -> None:
    """A PNG of this size that Pillow would open; its header alone decides, so the file needs no pixels."""
    content = bytearray(encoded(Image.new("1", (100, 100))))
    content[16:24] = struct.pack(">II", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    assert error_of(bytes(content)) == ErrorCode.IMAGE_TOO_LARGE


@given(st.binary(max_size=400), st.integers(0, 600))
def test_damaged_files_never_crash(garbage: bytes, place: int) -> None:
    content = encoded(Image.fromarray(RED_OVER_BLUE))
    damaged = content[:place] + garbage + content[place + len(garbage) :]
    try:
        read = read_photo(damaged)
    except UVMapError as error:
        assert error.failure.code.startswith("image_")
    else:
        assert read.ndim == 3
        assert read.shape[2] == 3
