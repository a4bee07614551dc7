"""Small pictures of a body, by texture lookup: no lights, no GPU, the same bytes everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.raster import Raster, rasterize
from uvmap_id.pictures import sample


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera in a room where z is up; at yaw 0 it looks along +y, at a body that faces -y.

    Attributes:
        centre: The point in the middle of the picture, metres.
        extent: Metres from the middle to the picture's edge.
        size: Side of the square picture in pixels.
        yaw: Degrees by which the body is turned about z, counter-clockwise seen from above.
        distance: Metres from the eye to the centre; infinite for an orthographic picture.
    """

    centre: NDArray[np.float64]
    extent: float
    size: int
    yaw: float = 0.0
    distance: float = np.inf

    def draw(self, vertices: NDArray[np.floating], triangles: NDArray[np.integer]) -> Raster:
        """Which triangle is seen at each pixel. `vertices` (V, 3), `triangles` (T, 3)."""
        pixels, depth = self.project(vertices)
        return rasterize(pixels[triangles], (self.size, self.size), depth[triangles])

    def project(self, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where points, (..., 3), are in the picture, (..., 2) pixels, and how far behind the centre, (...) metres."""
        turned = self.turn(points - self.centre)
        depth = turned[..., 1]
        flat = turned[..., [0, 2]] / (1.0 + depth[..., None] / self.distance)
        return (flat * [1, -1] / self.extent * 0.5 + 0.5) * self.size, depth

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
    normals = vertex_normals(turned, triangles)
    return (0.25 + 0.8 * np.clip(normals @ [0.2, -0.84, 0.5], 0, 1)).astype(np.float32)


def vertex_normals(vertices: NDArray[np.floating], triangles: NDArray[np.integer]) -> NDArray[np.float64]:
    """(V, 3) unit normals, weighted by area."""
    first, second, third = np.moveaxis(vertices[triangles], 1, 0)
    across = np.cross(second - first, third - first)
    normals = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    return normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
