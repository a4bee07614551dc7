"""Renders of a body by texture lookup: the camera never moves, so that all but the colours is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.view import Camera, shade
from uvmap_id.metrics.body import EYE, MOUTH, SKIN, Body
from uvmap_id.metrics.inception import SIDE
from uvmap_id.pictures import resize

BACKGROUND = 200
_GAMMA = 2.2
_FACE_SIDE = 448
_OVERSAMPLING = 2
MOUTH_COLOUR = (74, 24, 22)
# Of pupil, iris, its rim and the white, each as far from the middle of the eyes' square as it goes.
EYE_COLOURS = {0.022: (8, 7, 7), 0.055: (105, 72, 42), 0.062: (40, 29, 24), 1.0: (230, 223, 218)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fixed camera stands.

    Attributes:
        title: For a person.
        yaw: Degrees by which the body is turned.
        side: Pixels of the square picture.
        texels: Side to which a texture is averaged first, so that about one texel falls on a pixel.
        face: True for the face alone, else the whole body is seen.
    """

    title: str
    yaw: float
    side: int
    texels: int
    face: bool = False


PLACES = {
    "front": Place("front", 0.0, SIDE, 512),
    "back": Place("back", 180.0, SIDE, 512),
    "three_quarter": Place("three quarters", 35.0, SIDE, 512),
    "face": Place("face", 0.0, _FACE_SIDE, 1024, face=True),
}


class Render:
    """Follows `FaceView`: a body in a texture, seen by a fixed camera, lit from above the camera's shoulder.

    Each pixel is the mean of 2 x 2. Eyes and mouth, which the texture doesn't hold, are the same for everybody.
    """

    def __init__(self, body: Body, name: str) -> None:
        """`name` is one of `PLACES`."""
        place = PLACES[name]
        self.name, self.title = name, f"render, {place.title}"
        self._place = place
        camera = _camera(body, place)
        raster = camera.draw(body.vertices, body.triangles)
        rows, columns = (np.flatnonzero(raster.covered.any(axis=axis)) for axis in (1, 0))
        # Whole pixels of the picture, of which only those that show the body change.
        self._box = tuple(_whole(line) for line in (rows, columns))
        box = tuple(slice(line.start * _OVERSAMPLING, line.stop * _OVERSAMPLING) for line in self._box)
        uvs = raster.interpolate(body.uvs)[box]
        material = np.where(raster.covered, body.materials[raster.triangle], SKIN)[box]
        covered = raster.covered[box]
        light = raster.interpolate(shade(body.vertices, body.triangles, camera)[body.triangles][..., None])[box]
        # The power of a product is the product of the powers: light on encoded colours.
        light = np.clip(light, 0, 1) ** (1 / _GAMMA)
        self._maps = cv2.convertMaps(*_texel_maps(uvs, place.texels), cv2.CV_16SC2)
        own = _own_colours(uvs, material)
        skin = (covered & (material == SKIN))[..., None]
        self._light = np.ascontiguousarray(np.round(np.where(skin, light, 0) * 255).repeat(3, axis=2).astype(np.uint8))
        rest = np.where(covered[..., None], own * light, BACKGROUND)
        self._rest = np.ascontiguousarray(np.round(np.where(skin, 0, rest)).astype(np.uint8))

    def show(self, texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `FaceView.show`: (side, side, 3)."""
        place = self._place
        texels = texture if texture.shape[0] == place.texels else resize(texture, (place.texels, place.texels))
        seen = cv2.remap(texels, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        lit = cv2.add(cv2.multiply(seen, self._light, scale=1 / 255), self._rest)
        picture = np.full((place.side, place.side, 3), BACKGROUND, np.uint8)
        rows, columns = self._box
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        picture[rows, columns] = resize(np.asarray(lit, np.uint8), shape)
        return picture


def _camera(body: Body, place: Place) -> Camera:
    low, high = body.vertices.min(axis=0), body.vertices.max(axis=0)
    height, side = float(high[2]), place.side * _OVERSAMPLING
    if place.face:
        centre = np.array([(low[0] + high[0]) / 2, 0, height - 0.074 * height])
        return Camera(centre, 0.114 * height, side, place.yaw)
    extent = max(height, float(high[0] - low[0])) * 0.52
    return Camera(np.array([(low[0] + high[0]) / 2, 0, height / 2]), extent, side, place.yaw)


def _whole(line: NDArray[np.int64]) -> slice:
    return slice(int(line[0]) // _OVERSAMPLING, int(line[-1]) // _OVERSAMPLING + 1)


def _texel_maps(uvs: NDArray[np.float32], size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where `cv2.remap` finds UVs, (h, w, 2), in a texture of size x size."""
    across, down = uvs[..., 0] * size - 0.5, (1 - uvs[..., 1]) * size - 0.5
    return np.ascontiguousarray(across, np.float32), np.ascontiguousarray(down, np.float32)


def _own_colours(uvs: NDArray[np.float32], material: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(h, w, 3) sRGB of eyes and mouth, 0 elsewhere."""
    colours = np.zeros((*material.shape, 3))
    eye = material == EYE
    ring = np.searchsorted(list(EYE_COLOURS), np.linalg.norm(uvs[eye] - 0.5, axis=1))
    colours[eye] = np.array(list(EYE_COLOURS.values()))[np.minimum(ring, len(EYE_COLOURS) - 1)]
    colours[material == MOUTH] = MOUTH_COLOUR
    return colours
