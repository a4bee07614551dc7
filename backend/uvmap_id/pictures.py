"""OpenCV's picture operations with numpy's types, which its own stubs leave open.

A shape is (height, width) as in numpy, never OpenCV's (width, height).
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)
# float32 in fact; numpy's types turn its product with a plain number into float64.
Floats = NDArray[np.floating[Any]]


def resize(image: NDArray[Number], shape: tuple[int, int]) -> NDArray[Number]:
    """(h, w) or (h, w, C) at another size: averaged where it shrinks, else bilinear."""
    height, width = shape
    shrinks = height < image.shape[0] and width < image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return _typed(cv2.resize(_any(image), (width, height), interpolation=method), image)


def resize_labels(labels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """(h, w) labels at another size: each pixel takes the label that lies at its middle."""
    height, width = shape
    return _typed(cv2.resize(_any(labels), (width, height), interpolation=cv2.INTER_NEAREST_EXACT), labels)


def scale(image: NDArray[Number], factor: float) -> NDArray[Number]:
    """The same picture, larger or smaller by a factor; never below one pixel."""
    return resize(image, (max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor))))


def enlarged(image: Floats, rows: slice, columns: slice, factor: float, *, cubic: bool = False) -> Floats:
    """Some rows and columns of a picture, (h, w) or (h, w, C), that is enlarged by a factor; its edge goes on."""
    step = 1 / factor
    offset_x, offset_y = ((part.start + 0.5) * step - 0.5 for part in (columns, rows))
    shape = (columns.stop - columns.start, rows.stop - rows.start)
    method = (cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    matrix = np.array([[step, 0, offset_x], [0, step, offset_y]])
    found = cv2.warpAffine(_any(image), matrix, shape, flags=method, borderMode=cv2.BORDER_REPLICATE)
    return _typed(found, image)


def lanczos(image: Floats, shape: tuple[int, int]) -> Floats:
    """(h, w) or (h, w, C) at a larger size by Lanczos' kernel over 8 x 8 pixels, which overshoots at edges."""
    height, width = shape
    return _typed(cv2.resize(_any(image), (width, height), interpolation=cv2.INTER_LANCZOS4), image)


def blur(image: Floats, sigma: float, sigma_down: float | None = None) -> NDArray[np.float32]:
    """Gaussian blur with a standard deviation in pixels, across and, if it differs, down."""
    down = sigma if sigma_down is None else sigma_down
    return np.asarray(cv2.GaussianBlur(_any(image), (0, 0), sigmaX=sigma, sigmaY=down), np.float32)


def sample(image: NDArray[Number], places: NDArray[np.floating], *, cubic: bool = False) -> NDArray[Number]:
    """Values at places (..., 2) in pixels x, y, where the middle of the top left pixel is (0.5, 0.5).

    Bilinear or bicubic; outside of the picture its edge goes on.
    """
    grid = places.reshape(-1, places.shape[-2], 2).astype(np.float32) - 0.5
    method = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    found = cv2.remap(_any(image), grid[..., 0], grid[..., 1], method, borderMode=cv2.BORDER_REPLICATE)
    return _typed(found, image).reshape(*places.shape[:-1], *image.shape[2:])


def fill_polygons(outlines: list[NDArray[np.floating]], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """(h, w) 1 inside any of the polygons, each (N, 2) in pixels x, y."""
    filled = np.zeros(shape, np.uint8)
    for outline in outlines:
        cv2.fillPoly(filled, [np.round((outline - 0.5) * 16).astype(np.int32)], (1,), shift=4)
    return filled


def distance_inside(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w) pixels from each nonzero pixel to the nearest zero, 0 on zeros."""
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 5), np.float32)


def slopes(relief: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much a (h, w) relief rises from one pixel to the next, to the right and downwards (Sobel)."""
    right = cv2.Sobel(_any(relief), cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(_any(relief), cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(right, np.float32), np.asarray(down, np.float32)


def decode_png(content: bytes) -> NDArray[Any]:
    """A PNG's pixels as they are stored, colours in the order red, green, blue. Raises `ValueError` for rubbish."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ValueError("This is no PNG.")
    return picture[..., ::-1] if picture.ndim == 3 else picture


def encode_png(image: NDArray[np.uint8] | NDArray[np.uint16], *, bilevel: bool = False) -> bytes:
    """A PNG as small as can be, without metadata; colours in the order red, green, blue."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_BILEVEL, int(bilevel)]
    stored = np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 else image
    done, content = cv2.imencode(".png", _any(stored), options)
    if not done:
        raise ValueError("The picture can't be encoded.")
    return content.tobytes()


def _any(image: NDArray[Any]) -> Any:
    return np.ascontiguousarray(image)


def _typed(found: Any, like: NDArray[Number]) -> NDArray[Number]:
    return cast("NDArray[Number]", np.asarray(found, like.dtype))
