"""Where the islands of the atlas touch on the body, and how large the step of colour is there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.pictures import sample

_NO_STEP = 1e-4  # CIE76


@dataclass(frozen=True, slots=True)
class Seams:
    """The cuts through the body's surface. Every cut is in the atlas twice, once on each side.

    Attributes:
        corners: (E, 2, 3, 2) float32 UVs, origin bottom left. For each edge of the body mesh that was cut, and each
            of its sides: where the edge starts and ends, and the third corner of the triangle that lies there.
            Starts and ends of both sides are the same places of the body.
    """

    corners: NDArray[np.float32]

    def pairs(self, spacing: float = 1 / 1024, inset: float = 0.0) -> NDArray[np.float32]:
        """(P, 2, 2) places in UV on both sides of the seams, `spacing` apart at most.

        Args:
            spacing: In atlas units, 1 is the whole side.
            inset: How far from the cut the places lie inside their islands, in atlas units.
        """
        start, end, third = np.moveaxis(self.corners, 2, 0)
        along = end - start
        length = np.linalg.norm(along, axis=-1, keepdims=True)
        across = along[..., ::-1] * np.array([-1, 1], np.float32) / np.maximum(length, 1e-9)
        across *= np.sign(((third - start) * across).sum(axis=-1, keepdims=True))
        count = np.maximum(1, np.ceil(length.max(axis=(1, 2)) / spacing).astype(int))
        edge = np.repeat(np.arange(len(count)), count)
        step = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
        share = ((step + 0.5) / count[edge]).astype(np.float32)[:, None, None]
        return start[edge] + share * along[edge] + np.float32(inset) * across[edge]


@dataclass(frozen=True, slots=True)
class SeamStep:
    """Mean steps of colour between places two texels apart: CIE76, the distance in CIE Lab.

    Attributes:
        across: From one texel inside an island, over a seam, to one texel inside the other.
        inside: From one to three texels inside an island, straight away from the same seams.
    """

    across: float
    inside: float

    @property
    def ratio(self) -> float:
        """1 where nothing tells a seam from its surroundings; 1 also where there is no step at all."""
        # Rounding gives steps of a ten-millionth; both far below what could be seen are no step at all.
        return 1.0 if max(self.across, self.inside) < _NO_STEP else self.across / max(self.inside, 1e-6)


def seam_step(image: NDArray[np.uint8], seams: Seams, used: NDArray[np.bool_]) -> SeamStep:
    """How visible the seams of a texture are.

    Args:
        image: (S, S, 3) uint8 sRGB.
        seams: The atlas's seams.
        used: (S, S) the atlas's mask. Where an island is narrower than three texels nothing is measured.
    """
    size = image.shape[0]
    near, far = (seams.pairs(1 / size, inset / size) for inset in (1, 3))
    lab = np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32)
    inside = _at(used.astype(np.float32), np.concatenate([near, far], axis=1)).min(axis=1) > 0.5
    first, second = _at(lab, near[inside]), _at(lab, far[inside])
    across = np.linalg.norm(first[:, 0] - first[:, 1], axis=-1)
    return SeamStep(float(across.mean()), float(np.linalg.norm(first - second, axis=-1).mean()))


def _at(image: NDArray[np.float32], uvs: NDArray[np.float32]) -> NDArray[np.float32]:
    size = image.shape[0]
    return sample(image, uvs * np.array([1, -1], np.float32) * size + np.array([0, size], np.float32))
