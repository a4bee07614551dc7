"""Glasses, sunglasses and eye masks, painted around the eyes where the atlas has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.cloth import Cloth, Where, box
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.engines.projection.garments import Garment
from uvmap_id.pictures import Floats, sample

# Landmarks around the eyes: corners, upper and lower lid.
_RIGHT_EYE, _LEFT_EYE = (33, 133, 159, 145), (263, 362, 386, 374)
_HALF_WIDTH, _HALF_HEIGHT, _CORNER = 0.0255, 0.0195, 0.011
_FRAME, _TEMPLE = 0.0030, 0.0026
_EAR_Y = -0.005
_DARK_LENS = (16, 17, 19)


@dataclass(frozen=True, slots=True)
class Eyewear:
    """Where the eyes are, (3,) metres each, and what is worn before them."""

    right_eye: Floats
    left_eye: Floats
    garment: Garment

    @classmethod
    def measured(cls, atlas: Atlas, position: Floats, garment: Garment) -> Eyewear:
        """Find the eyes on the body. `position` (G, G, 3) as in `Guide`."""
        size = position.shape[0]
        places = np.stack([atlas.landmarks[:, 0], 1 - atlas.landmarks[:, 1]], axis=1) * size
        right, left = (sample(position, places[None, list(eye)])[0].mean(axis=0) for eye in (_RIGHT_EYE, _LEFT_EYE))
        return cls(right, left, garment)

    def draw(self, cloth: Cloth) -> None:
        """Draw them on the face; the temples run to the ears."""
        if not cloth.tile.meets((-0.1, 0.1), (0.38, 0.48), (-1, 0.03)):
            return
        middle = float(self.right_eye[0] + self.left_eye[0]) / 2
        apart = float(self.left_eye[0] - self.right_eye[0]) / 2
        height = float(self.right_eye[2] + self.left_eye[2]) / 2 - 0.002
        far, up = np.abs(cloth.x - middle), cloth.z - height
        if "domino" in self.garment.details:
            _domino(cloth, far - apart, up)
        else:
            _glasses(cloth, far, up, apart, "dark lenses" in self.garment.details)


def _glasses(cloth: Cloth, far: Floats, up: Floats, apart: float, dark: bool) -> None:
    larger = 1.1 if dark else 1.0
    # Frames taper towards the nose's side below.
    lens = box(
        far - apart - 0.001, up * (1 + 2.5 * (apart - far)), larger * _HALF_WIDTH, (2 - larger) * _HALF_HEIGHT, _CORNER
    )
    before = (cloth.y < -0.03).astype(np.float32)
    frame = np.minimum(lens + _FRAME, -lens)
    bridge = np.minimum(0.0018 - np.abs(up - 0.006 + 40 * far * far), apart - _HALF_WIDTH * larger + 0.002 - far)
    outer = apart + larger * _HALF_WIDTH
    temple = np.minimum(_TEMPLE - np.abs(up - 0.008 + 0.10 * np.clip(cloth.y + 0.02, -1, 1)), far - outer + 0.002)
    temple = np.minimum(temple, _EAR_Y - cloth.y)
    if dark:
        _cover(cloth, lens, before)
        cloth.patch(lens, _DARK_LENS, height=0.8, roughness=0.06, where=before)
    for piece, where in ((frame, before), (bridge, before), (temple, 1.0)):
        _cover(cloth, piece, where)
        cloth.patch(piece, cloth.garment.colour, height=1.6, roughness=0.22, where=where)


def _domino(cloth: Cloth, aside: Floats, up: Floats) -> None:
    """A mask across the eyes, which stay free."""
    mask = np.minimum(0.030 - 0.010 * smoothstep(0.0, -0.03, aside) - np.abs(up), 0.046 - aside)
    hole = 1 - np.hypot(aside / 0.0175, up / 0.0085)
    _cover(cloth, np.minimum(mask, -0.01 * hole), (cloth.y < -0.02).astype(np.float32))


def _cover(cloth: Cloth, inside: Floats, where: Where) -> None:
    cloth.cover = np.maximum(cloth.cover, cloth.tile.step(inside) * where).astype(np.float32)
