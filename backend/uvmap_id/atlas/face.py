"""The part of the atlas that holds the face: its shape in space, and masks over it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvmap_id.pictures import Floats, blur, decode_png, resize, sample

# u0, u1, v0, v1: from ear to ear, from the neck to the hairline's island edge.
LEFT, RIGHT, BOTTOM, TOP = 0.10, 0.50, 0.62, 0.985
RESOLUTION = 384
# Positions are stored as 16-bit integers over a cube of 0.5 m about this point.
_MIDDLE = np.array([0.0, -0.02, 0.40])
_SPAN = 0.5
_NORMAL_BLUR = 1.0


@dataclass(frozen=True, slots=True)
class FaceShape:
    """SMPL's face, texel by texel over the region.

    Attributes:
        position: (N, N, 3) float32 metres on the template's surface: x to its left, y to its back, z up.
        normal: (N, N, 3) float32 unit normals, outwards.
    """

    position: Floats
    normal: Floats

    @classmethod
    def load(cls, folder: Path | None = None) -> FaceShape:
        """Read what was measured, by default what comes with the package."""
        place = folder or resources.files("uvmap_id.atlas") / "data"
        encoded = decode_png((place / "face.png").read_bytes())
        position = (encoded.astype(np.float32) / 65535 - 0.5) * _SPAN + _MIDDLE
        return cls(position.astype(np.float32), _normals(blur(position, _NORMAL_BLUR)))

    def at(self, uvs: Floats) -> Floats:
        """(N, 3) positions at UVs (N, 2)."""
        return sample(self.position, region_uv_to_pixels(uvs, self.position.shape[:2])[None])[0]


def encode_positions(position: NDArray[np.float64]) -> NDArray[np.uint16]:
    """The form in which `face.png` holds positions."""
    steps = ((position - _MIDDLE) / _SPAN + 0.5) * 65535
    return np.clip(np.round(steps), 0, 65535).astype(np.uint16)


def region_slices(size: int) -> tuple[slice, slice]:
    """Rows and columns of an atlas of size x size texels that the region covers."""
    return slice(round((1 - TOP) * size), round((1 - BOTTOM) * size)), slice(round(LEFT * size), round(RIGHT * size))


def region_shape(size: int) -> tuple[int, int]:
    """(h, w) of the region in an atlas of size x size texels."""
    rows, columns = region_slices(size)
    return rows.stop - rows.start, columns.stop - columns.start


def region_uv_to_pixels(uvs: Floats, shape: tuple[int, int]) -> Floats:
    """Pixels x, y of UVs (..., 2) in a (h, w) picture of the region; the middle of the first pixel is (0.5, 0.5)."""
    height, width = shape
    return (uvs - np.array([LEFT, TOP])) / np.array([RIGHT - LEFT, BOTTOM - TOP]) * np.array([width, height])


def region_grid(shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """`u` as a (1, w) row and v as a (h, 1) column at the pixels' middles of a (h, w) picture of the region."""
    height, width = shape
    u = LEFT + (np.arange(width, dtype=np.float32) + 0.5) / width * (RIGHT - LEFT)
    v = TOP - (np.arange(height, dtype=np.float32) + 0.5) / height * (TOP - BOTTOM)
    return u[None, :], v[:, None]


def mirrored(image: Floats, axis: float) -> Floats:
    """A picture (h, w) or (h, w, C) of the region, left and right exchanged about the u of the face's middle."""
    shape = (image.shape[0], image.shape[1])
    u, v = region_grid(shape)
    other = np.stack(np.broadcast_arrays(2 * axis - u, v), axis=-1)
    return sample(image, region_uv_to_pixels(other, shape))


def upsampled(image: Floats, size: int) -> Floats:
    """A picture of the region, brought to the resolution of an atlas of size x size texels."""
    return resize(image, region_shape(size))


def _normals(position: Floats) -> Floats:
    down, across = np.gradient(position, axis=(0, 1))
    # u runs to the body's left and rows run downwards, so this points outwards.
    normal = np.cross(down, across)
    return (normal / (np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12)).astype(np.float32)
