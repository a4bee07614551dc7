"""Colour spaces. Inside the engine colours are float32, linear, with sRGB's primaries."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.pictures import Floats


def _decode(encoded: Floats) -> Floats:
    """IEC 61966-2-1, from sRGB's curve to linear."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR_OF_BYTE = _decode(np.arange(256, dtype=np.float32) / 255)
_STEPS = 4096
_BYTE_OF_STEP = np.searchsorted(
    (_LINEAR_OF_BYTE[1:] + _LINEAR_OF_BYTE[:-1]) / 2, (np.arange(_STEPS + 1) / _STEPS) ** 2
).astype(np.uint8)


def to_linear(image: NDArray[np.uint8]) -> Floats:
    """uint8 sRGB to float32 linear, any shape."""
    return _LINEAR_OF_BYTE[image]


def to_srgb(image: Floats) -> NDArray[np.uint8]:
    """Float linear to uint8 sRGB, any shape. A table over the square root stands in for the exact curve."""
    root = np.sqrt(np.clip(image, 0, 1))
    return _BYTE_OF_STEP[np.round(root * _STEPS).astype(np.int32)]


def linear(colour: tuple[int, int, int]) -> Floats:
    """(3,) float32 linear of an sRGB triple 0..255."""
    return _LINEAR_OF_BYTE[np.array(colour)]


def to_lab(image: Floats) -> Floats:
    """Float linear (..., 3) to CIE Lab, D65."""
    return _converted(image, cv2.COLOR_LRGB2Lab)


def from_lab(image: Floats) -> Floats:
    """CIE Lab (..., 3), D65, to float linear; colours outside sRGB are clipped."""
    return np.clip(_converted(image, cv2.COLOR_Lab2LRGB), 0, 1)


def _converted(image: Floats, conversion: int) -> Floats:
    # OpenCV wants a picture: anything else is laid out as one row of pixels.
    pixels = np.ascontiguousarray(image, np.float32).reshape(1, -1, 3) if image.ndim != 3 else image
    converted = cv2.cvtColor(pixels.astype(np.float32, copy=False), conversion)
    return np.asarray(converted, np.float32).reshape(image.shape)


def smoothstep(low: float, high: float, value: Floats) -> Floats:
    """0 at `low`, 1 at `high`, with no kink between; `low` may be above `high`."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)
