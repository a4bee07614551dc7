"""The face of a texture as an upright picture, with the proportions that it has on the body."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.face import FaceShape
from uvmap_id.atlas.layout import Atlas
from uvmap_id.faces.landmarks import MESH_LANDMARK_COUNT
from uvmap_id.pictures import resize, sample

_HEIGHT = 448
_MARGIN = 0.22  # of the face's height, on every side
_LARGEST = 1024  # finer texels than these would only alias


class FaceView(Protocol):
    """Shows a texture's face as recognisers want to see one."""

    name: str
    title: str

    def show(self, texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 sRGB from a texture, (S, S, 3) uint8 sRGB."""
        ...


class AtlasFace:
    """Follows `FaceView`: the face's part of the atlas itself, stretched to the proportions of the face.

    Attributes:
        uvs: (H, W, 2) where each pixel lies in the atlas.
    """

    name = "atlas"
    title = "face of the atlas"

    def __init__(self, atlas: Atlas, shape: FaceShape) -> None:
        landmarks = atlas.landmarks[:MESH_LANDMARK_COUNT].astype(np.float64)
        places = shape.at(landmarks)
        # Metres to a unit of the atlas, across and up.
        across, up = (np.polyfit(landmarks[:, axis], places[:, place], 1)[0] for axis, place in ((0, 0), (1, 2)))
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        margin = _MARGIN * (high[1] - low[1]) * np.array([up / across, 1.0])
        low, high = low - margin, high + margin
        width = round(_HEIGHT * (high[0] - low[0]) * across / ((high[1] - low[1]) * up))
        columns = low[0] + (np.arange(width) + 0.5) / width * (high[0] - low[0])
        rows = high[1] - (np.arange(_HEIGHT) + 0.5) / _HEIGHT * (high[1] - low[1])
        self.uvs = np.stack(np.meshgrid(columns, rows), axis=-1)

    def show(self, texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `FaceView.show`."""
        size = min(texture.shape[0], _LARGEST)
        small = resize(texture, (size, size)) if texture.shape[0] != size else texture
        return sample(small, self.uvs * [size, -size] + [0, size], cubic=True)
