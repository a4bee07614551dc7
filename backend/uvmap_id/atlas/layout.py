"""The SMPL atlas as the engines see it: which texels are used, where on the body they lie, where the face is.

Measured once by `uvmap_id.bodies.bake` and stored as pictures in `data/`, so that it can be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.pictures import Floats, Number, decode_png, resize

# Positions are stored as 16-bit integers over this range, in metres: 0.05 mm a step.
POSITION_LOW, POSITION_HIGH = -1.6, 1.6


@dataclass(frozen=True, slots=True)
class Atlas:
    """SMPL's UV layout, at any size.

    Attributes:
        stored_position: (N, N, 3) float32, metres, of the body in SMPL's T-pose: x to its left, y to its back, z up.
        stored_mask: (M, M) uint8, 255 where a texel is used.
        landmarks: (478, 2) float32 UVs of mediapipe's face landmarks, origin bottom left.
    """

    stored_position: NDArray[np.float32]
    stored_mask: NDArray[np.uint8]
    landmarks: NDArray[np.float32]

    @classmethod
    def load(cls, folder: Path | None = None) -> Atlas:
        """Read the measured atlas, by default the one that comes with the package."""
        place = folder or resources.files("uvmap_id.atlas") / "data"
        encoded = decode_png((place / "position.png").read_bytes())
        position = encoded.astype(np.float32) / 65535 * (POSITION_HIGH - POSITION_LOW) + POSITION_LOW
        mask = decode_png((place / "mask.png").read_bytes())
        with (place / "landmarks.npy").open("rb") as file:
            landmarks = np.load(file, allow_pickle=False)
        return cls(position.astype(np.float32), mask, landmarks)

    def position(self, size: int) -> NDArray[np.float32]:
        """(size, size, 3) metres, continued beyond the islands' edges."""
        return resize(self.stored_position, (size, size))

    def mask(self, size: int) -> NDArray[np.bool_]:
        """(size, size), true where a texel is used."""
        return resize(self.stored_mask, (size, size)) > 127


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
