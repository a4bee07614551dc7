"""The SMPL atlas as the engines see it: which texels are used, what they show, and where on the body they lie.

Measured once by `uvmap_id.bodies.bake` and stored as pictures in `data/`, so that it can be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.parts import JOINTS, Part
from uvmap_id.atlas.raster import spread
from uvmap_id.atlas.seams import Seams
from uvmap_id.pictures import Floats, decode_png, resize, resize_labels

__all__ = ["Atlas", "pad", "spread", "uv_grid"]

# Positions are stored as 16-bit integers over this range, in metres: 0.05 mm a step.
POSITION_LOW, POSITION_HIGH = -1.6, 1.6
# Labels are stored times this, so that a picture of them shows something.
PART_STEP, ISLAND_STEP = 7, 24
_NORMALISED_ROWS = 256


@dataclass(frozen=True, slots=True)
class Atlas:
    """SMPL's UV layout, at any size.

    Attributes:
        stored_position: (N, N, 3) float32, metres, of the body in SMPL's T-pose: x to its left, y to its back, z up.
        stored_normal: (N, N, 3) float32, outward normals in the same axes, of nearly unit length.
        stored_parts: (M, M) uint8, values of `Part`, 0 where a texel is unused.
        stored_islands: (L, L) uint8, 1 and up, 0 where a texel is unused.
        landmarks: (478, 2) float32 UVs of mediapipe's face landmarks, origin bottom left.
        seams: Where the islands touch on the body.
        joints: (3,) float32 metres in the T-pose, by the names in `JOINTS`.
    """

    stored_position: NDArray[np.float32]
    stored_normal: NDArray[np.float32]
    stored_parts: NDArray[np.uint8]
    stored_islands: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    seams: Seams
    joints: dict[str, NDArray[np.float32]]

    @classmethod
    def load(cls, folder: Path | None = None) -> Atlas:
        """Read the measured atlas, by default the one that comes with the package."""
        place = folder or resources.files("uvmap_id.atlas") / "data"
        position, normal, parts, islands = (
            decode_png((place / f"{name}.png").read_bytes()) for name in ("position", "normal", "parts", "islands")
        )
        landmarks, seams, joints = (_array(place / f"{name}.npy") for name in ("landmarks", "seams", "joints"))
        step = np.float32((POSITION_HIGH - POSITION_LOW) / 65535)
        return cls(
            stored_position=np.ascontiguousarray(position) * step + np.float32(POSITION_LOW),
            stored_normal=np.ascontiguousarray(normal) * np.float32(2 / 255) - np.float32(1),
            stored_parts=parts // np.uint8(PART_STEP),
            stored_islands=islands // np.uint8(ISLAND_STEP),
            landmarks=landmarks,
            seams=Seams(seams),
            joints=dict(zip(JOINTS, joints, strict=True)),
        )

    def position(self, size: int) -> NDArray[np.float32]:
        """(size, size, 3) metres, continued beyond the islands' edges."""
        return resize(self.stored_position, (size, size))

    def normal(self, size: int) -> NDArray[np.float32]:
        """(size, size, 3) unit vectors, outward on the body in the T-pose, continued beyond the islands' edges."""
        normal = resize(self.stored_normal, (size, size))
        for start in range(0, size, _NORMALISED_ROWS):
            rows = normal[start : start + _NORMALISED_ROWS]
            rows /= np.sqrt(np.einsum("rci,rci->rc", rows, rows))[..., None]
        return normal

    def mask(self, size: int) -> NDArray[np.bool_]:
        """(size, size), true where a texel is used."""
        used = np.where(self.stored_parts > 0, np.uint8(255), np.uint8(0))
        return resize(used, (size, size)) > 127

    def parts(self, size: int) -> NDArray[np.uint8]:
        """(size, size) what each texel shows, values of `Part`; `Part.NONE` where it is unused."""
        return resize_labels(self.stored_parts, (size, size))

    def islands(self, size: int) -> NDArray[np.uint8]:
        """(size, size) the number of each texel's island, from 1; 0 where it is unused."""
        return resize_labels(self.stored_islands, (size, size))

    def shows(self, parts: Iterable[Part], size: int) -> NDArray[np.bool_]:
        """(size, size), true where a texel shows one of the parts."""
        wanted = np.zeros(256, bool)
        wanted[list(parts)] = True
        return wanted[self.parts(size)]


def _array(file: Traversable | Path) -> NDArray[np.float32]:
    with file.open("rb") as opened:
        return np.load(opened, allow_pickle=False)


def uv_grid(size: int) -> tuple[Floats, Floats]:
    """`u` as a (1, size) row and v as a (size, 1) column, at the texels' centres; v is 1 at the top."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    return centres[None, :], 1 - centres[:, None]


def pad(image: NDArray[np.uint8], used: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Bleed the islands' edge colours outwards, 16 texels at 2K, so that no filter sees the empty space.

    Args:
        image: (S, S, C) or (S, S).
        used: (S, S), true where the image holds a result.
    """
    return spread(image, used, reach=max(4, image.shape[0] // 128))
