"""Draws triangles into index and barycentric rasters: for atlas maps and for small, fixed-camera renders."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.pictures import Number

_SHIFT = 4
_SLACK, _SLACK_BEYOND = 0.5, 1.5


@dataclass(frozen=True, slots=True)
class Raster:
    """Which triangle covers each pixel, and where in it.

    Attributes:
        triangle: (H, W) int32, index of the triangle or -1.
        barycentric: (H, W, 3) float32 at the pixel's centre; zero where there is no triangle. A pixel that a
            triangle only touches is covered too, so a weight may lie slightly outside 0..1.
    """

    triangle: NDArray[np.int32]
    barycentric: NDArray[np.float32]

    @property
    def covered(self) -> NDArray[np.bool_]:
        """(H, W), true where a triangle was drawn."""
        return self.triangle >= 0

    def interpolate(self, corners: NDArray[np.floating]) -> NDArray[np.float32]:
        """Values at the corners of each triangle, (T, 3, C), carried to the pixels, (H, W, C)."""
        values = np.zeros((*self.triangle.shape, corners.shape[-1]), np.float32)
        rows, columns = np.nonzero(self.covered)
        weights = self.barycentric[rows, columns]
        chosen = corners[self.triangle[rows, columns]].astype(np.float32)
        values[rows, columns] = np.einsum("nk,nkc->nc", weights, chosen)
        return values


def rasterize(
    corners: NDArray[np.floating], shape: tuple[int, int], depth: NDArray[np.floating] | None = None
) -> Raster:
    """Draw triangles.

    Args:
        corners: (T, 3, 2) pixel coordinates x, y; the centre of the top left pixel is (0.5, 0.5).
        shape: Height and width of the raster.
        depth: (T, 3) distance from the eye. Nearer triangles hide farther ones by their mean distance, which is
            enough for the small triangles of body meshes. Without it later triangles cover earlier ones.
    """
    index = np.full(shape, -1, np.int32)
    order = np.arange(len(corners)) if depth is None else np.argsort(-depth.mean(axis=1), kind="stable")
    fixed = np.ascontiguousarray(np.round((corners - 0.5) * (1 << _SHIFT)), dtype=np.int32)
    for triangle in order:
        cv2.fillConvexPoly(index, fixed[triangle], (int(triangle),), cv2.LINE_8, _SHIFT)
    return Raster(index, _barycentric(index, np.asarray(corners, np.float64), _SLACK))


def widened(raster: Raster, corners: NDArray[np.floating], reach: float) -> Raster:
    """The raster with its border triangles continued over the empty pixels within `reach` of them.

    Args:
        raster: As drawn from `corners` by `rasterize`.
        corners: (T, 3, 2) pixel coordinates.
        reach: In pixels.
    """
    index = spread(raster.triangle, raster.covered, reach)
    return Raster(index, _barycentric(index, np.asarray(corners, np.float64), _SLACK_BEYOND))


def spread(image: NDArray[Number], used: NDArray[np.bool_], reach: float = np.inf) -> NDArray[Number]:
    """Give every unused texel within `reach` the value of the used texel nearest to it."""
    found = cv2.distanceTransformWithLabels(
        (~used).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    distance, label = np.asarray(found[0], np.float32), np.asarray(found[1], np.int64)
    source = np.zeros(label.max() + 1, np.int64)
    source[label[used]] = np.flatnonzero(used)
    wanted = ~used & (distance <= reach)
    flat = image.reshape(used.size, -1).copy()
    flat[wanted.ravel()] = flat[source[label[wanted]]]
    return flat.reshape(image.shape)


def _barycentric(index: NDArray[np.int32], corners: NDArray[np.float64], slack: float) -> NDArray[np.float32]:
    weights = np.zeros((*index.shape, 3), np.float32)
    rows, columns = np.nonzero(index >= 0)
    first, second, third = np.moveaxis(corners[index[rows, columns]], 1, 0)
    across, along = second - first, third - first
    offset = np.stack([columns + 0.5, rows + 0.5], axis=1) - first
    area = across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0]
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    beta = (offset[:, 0] * along[:, 1] - offset[:, 1] * along[:, 0]) / area
    gamma = (across[:, 0] * offset[:, 1] - across[:, 1] * offset[:, 0]) / area
    # A sliver's weights explode a pixel away from it: keep them near the triangle.
    beta, gamma = np.clip(beta, -slack, 1 + slack), np.clip(gamma, -slack, 1 + slack)
    weights[rows, columns] = np.stack([1 - beta - gamma, beta, gamma], axis=1)
    return weights
