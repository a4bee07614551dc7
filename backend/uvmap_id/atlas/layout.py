"""The SMPL atlas as the engines see it: which texels are used, where on the body they lie, where the face is.

Measured once by `uvmap_id.bodies.bake` and stored as pictures in `data/`, so that it can be looked at.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

# Positions are stored as 16-bit integers over this range, in metres: 0.05 mm a step.
POSITION_LOW, POSITION_HIGH = -1.6, 1.6


@dataclass(frozen=True)
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
        encoded = _read_picture((place / "position.png").read_bytes())
        position = encoded[..., ::-1].astype(np.float32) / 65535 * (POSITION_HIGH - POSITION_LOW) + POSITION_LOW
        mask = _read_picture((place / "mask.png").read_bytes())
        with (place / "landmarks.npy").open("rb") as file:
            landmarks = np.load(file, allow_pickle=False)
        return cls(position, mask, landmarks)

    @functools.lru_cache(maxsize=2)  # noqa: B019 - an engine holds one atlas for its whole life
    def position(self, size: int) -> NDArray[np.float32]:
        """(size, size, 3) metres, continued beyond the islands' edges."""
        return cv2.resize(self.stored_position, (size, size), interpolation=cv2.INTER_LINEAR)

    @functools.lru_cache(maxsize=2)  # noqa: B019
    def mask(self, size: int) -> NDArray[np.bool_]:
        """(size, size), true where a texel is used."""
        return cv2.resize(self.stored_mask, (size, size), interpolation=cv2.INTER_LINEAR) > 127

    def __hash__(self) -> int:
        return id(self)


def uv_grid(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """u as a (1, size) row and v as a (size, 1) column, at the texels' centres; v is 1 at the top."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    return centres[None, :], 1 - centres[:, None]


def pad(image: NDArray[np.uint8], used: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Bleed the islands' edge colours outwards, 16 texels at 2K, so that no filter sees the empty space.

    Args:
        image: (S, S, C) or (S, S).
        used: (S, S), true where the image holds a result.
    """
    return spread(image, used, reach=max(4, image.shape[0] // 128))


def spread(image: NDArray[np.generic], used: NDArray[np.bool_], reach: float = np.inf) -> NDArray:
    """Give every unused texel within `reach` the value of the used texel nearest to it."""
    distance, label = cv2.distanceTransformWithLabels(
        (~used).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(label.max() + 1, np.int64)
    source[label[used]] = np.flatnonzero(used)
    wanted = ~used & (distance <= reach)
    flat = image.reshape(used.size, -1).copy()
    flat[wanted.ravel()] = flat[source[label[wanted]]]
    return flat.reshape(image.shape)


def _read_picture(content: bytes) -> NDArray:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ValueError("A picture of the atlas is damaged; install the package again.")
    return picture
