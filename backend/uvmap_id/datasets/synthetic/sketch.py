"""Soft shapes over the face's region of the atlas, drawn at twice its resolution."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas import face as region
from uvmap_id.pictures import Floats, blur, fill_polygons, resize

_FINER = 2
_SHIFT = 4


class Sketch:
    """Draws over the face's region of an atlas of a size; places are UVs, lengths are atlas units.

    Every picture is (h, w) float32, 0 where nothing is drawn.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.shape = region.region_shape(size)
        self._fine = (self.shape[0] * _FINER, self.shape[1] * _FINER)
        self.u, self.v = region.region_grid(self.shape)

    def spot(self, middle: Floats, radius: float, radius_v: float | None = None, turn: float = 0.0) -> Floats:
        """A round spot that fades like a Gaussian; `turn` is radians, counter-clockwise."""
        u, v = self.u - np.float32(middle[0]), self.v - np.float32(middle[1])
        if turn:
            cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
            u, v = u * cosine + v * sine, v * cosine - u * sine
        upright = radius if radius_v is None else radius_v
        return np.exp(-((u / np.float32(radius)) ** 2) - (v / np.float32(upright)) ** 2).astype(np.float32)

    def filled(self, outline: NDArray[np.floating], soft: float = 0.0) -> Floats:
        """1 inside a polygon (N, 2); its edge is blurred by `soft`."""
        drawn = fill_polygons([self._pixels(outline)], self._fine).astype(np.float32)
        return self._softened(resize(drawn, self.shape), soft)

    def line(self, points: NDArray[np.floating], width: float, soft: float = 0.0) -> Floats:
        """A line through points (N, 2), rounded off between them; its edge is blurred by `soft`."""
        return self.strokes([smoothed(points)], width, soft)

    def strokes(self, lines: list[NDArray[np.floating]], width: float, soft: float = 0.0) -> Floats:
        """Many lines, each through points (N, 2)."""
        drawn: NDArray[Any] = np.zeros(self._fine, np.uint8)
        wide = width * self.size * _FINER
        thick, strength = max(1, round(wide)), min(1.0, max(wide, 0.2))
        paths = [np.round((self._pixels(points) - 0.5) * (1 << _SHIFT)).astype(np.int32) for points in lines]
        cv2.polylines(drawn, paths, False, (255,), thick, cv2.LINE_AA, _SHIFT)
        return self._softened(resize(drawn.astype(np.float32) * np.float32(strength / 255), self.shape), soft)

    def _pixels(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        return region.region_uv_to_pixels(np.asarray(points, np.float64), self._fine)

    def _softened(self, drawn: Floats, soft: float) -> Floats:
        return blur(drawn, soft * self.size) if soft * self.size > 0.2 else drawn


def smoothed(points: NDArray[np.floating], steps: int = 8) -> NDArray[np.float64]:
    """(M, 2) a Catmull-Rom curve through points (N, 2)."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]]).astype(np.float64)
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = (np.arange(steps) / steps)[:, None, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), points[-1:].astype(np.float64)])
