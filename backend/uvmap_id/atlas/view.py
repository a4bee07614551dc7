"""Small orthographic pictures of a body, by texture lookup: no lights, no GPU, the same bytes everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.raster import Raster, rasterize
from uvmap_id.pictures import sample


@dataclass(frozen=True, slots=True)
class Camera:
    """An orthographic camera in a room where z is up; at yaw 0 it looks along +y, at a body that faces -y.

    Attributes:
        centre: The point in the middle of the picture, metres.
        extent: Metres from the middle to the picture's edge.
        size: Side of the square picture in pixels.
        yaw: Degrees by which the body is turned about z, counter-clockwise seen from above.
    """

    centre: NDArray[np.float64]
    extent: float
    size: int
    yaw: float = 0.0

    def draw(self, vertices: NDArray[np.floating], triangles: NDArray[np.integer]) -> Raster:
        """Which triangle is seen at each pixel. `vertices` (V, 3), `triangles` (T, 3)."""
        turned = self.turn(vertices - self.centre)
        pixels = (turned[:, [0, 2]] * [1, -1] / self.extent * 0.5 + 0.5) * self.size
        return rasterize(pixels[triangles], (self.size, self.size), turned[:, 1][triangles])

    def turn(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Room to camera directions: x right, y away from the eye, z up."""
        angle = np.radians(self.yaw)
        cosine, sine = np.cos(angle), np.sin(angle)
        rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        return np.asarray(vectors, np.float64) @ rotation.T


def lookup(texture: NDArray[np.uint8], uvs: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colours of a texture, (S, S, C), at (H, W, 2) UVs with the origin bottom left, bilinear."""
    size = texture.shape[0]
    return sample(texture, uvs * np.array([1, -1]) * size + np.array([0, size]))


def shade(vertices: NDArray[np.floating], triangles: NDArray[np.integer], camera: Camera) -> NDArray[np.float32]:
    """Brightness, (V,), of each vertex under a lamp above the camera's shoulder, 0.25 in full shadow."""
    turned = camera.turn(vertices)
    first, second, third = np.moveaxis(turned[triangles], 1, 0)
    across = np.cross(second - first, third - first)
    normals = np.zeros_like(turned)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    return (0.25 + 0.8 * np.clip(normals @ [0.2, -0.84, 0.5], 0, 1)).astype(np.float32)
