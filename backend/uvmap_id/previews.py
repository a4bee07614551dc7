"""Small pictures of a texture in the making, for whoever waits for it."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import PREVIEW_LIMIT

SIDE_LIMIT = 128


def preview_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of at most `SIDE_LIMIT` pixels a side and `PREVIEW_LIMIT` bytes; larger pictures are shrunk.

    Args:
        pixels: (H, W, 3) uint8, sRGB.

    Raises:
        UVMapError: `internal`: this is no such picture.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0 or pixels.dtype != np.uint8:
        raise UVMapError(ErrorCode.INTERNAL, f"The engine's preview is {pixels.shape} of {pixels.dtype}.")
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE_LIMIT, SIDE_LIMIT))
    # The first steps are noise, which doesn't compress.
    while len(content := _encoded(picture)) > PREVIEW_LIMIT:
        picture.thumbnail((max(1, picture.width // 2), max(1, picture.height // 2)))
    return content


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
