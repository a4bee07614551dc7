"""Where mediapipe sees its landmarks on the head of a body without a texture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.view import Camera, shade
from uvmap_id.faces.landmarks import LANDMARK_COUNT, FaceFinder

_SKIN = np.array([190, 153, 132])
_YAWS = (-20.0, 0.0, 20.0)


def head_camera(vertices: NDArray[np.floating], yaw: float) -> Camera:
    """A camera on the face of a body of about human size that stands at x = 0."""
    top = vertices[:, 2].max()
    head = vertices[vertices[:, 2] > top - 0.2]
    return Camera(np.array([0.0, head[:, 1].mean(), top - 0.14]), 0.19, 768, yaw)


def landmark_positions(
    vertices: NDArray[np.floating],
    triangles: NDArray[np.integer],
    finder: FaceFinder,
    colours: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Where mediapipe sees its landmarks on a head: (478, 3) on the surface, NaN where on none in any view.

    The head is shaded, untextured, and seen from three sides; a landmark is taken from the views whose ray
    meets the surface most squarely. `colours` (V, 3) in 0..1 tint the vertices, e.g. dark irises.
    """
    tint = np.broadcast_to(_SKIN / 255, vertices.shape) if colours is None else colours
    total = np.zeros((LANDMARK_COUNT, 3))
    weight = np.zeros((LANDMARK_COUNT, 1))
    for yaw in _YAWS:
        camera = head_camera(vertices, yaw)
        raster = camera.draw(vertices, triangles)
        colour = shade(vertices, triangles, camera)[:, None] * tint
        image = np.clip(raster.interpolate(colour[triangles]) * 255, 0, 255).astype(np.uint8)
        image[~raster.covered] = 128
        faces = finder.find(image)
        if not faces:
            continue
        pixels = np.clip(np.floor(faces[0].points[:, :2]).astype(int), 0, camera.size - 1)
        seen = raster.triangle[pixels[:, 1], pixels[:, 0]]
        position = raster.interpolate(vertices[triangles])[pixels[:, 1], pixels[:, 0]]
        first, second, third = np.moveaxis(camera.turn(vertices)[triangles[seen]], 1, 0)
        normal = np.cross(second - first, third - first)
        facing = np.abs(normal[:, 1]) / (np.linalg.norm(normal, axis=1) + 1e-12)
        share = np.where(seen >= 0, facing**4, 0)[:, None]
        total += share * position
        weight += share
    return np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), np.nan)
