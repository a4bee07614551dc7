"""Smooth fields over the atlas: computed at a small, fixed size and enlarged where they are wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.layout import Atlas, spread
from uvmap_id.pictures import Floats, blur, enlarged, resize

GUIDE_SIZE = 512
_LATTICE = 64
_TEXEL_SIZE = 128


@dataclass(frozen=True, slots=True)
class Guide:
    """The body at a small size.

    Attributes:
        position: (G, G, 3) float32 metres.
        near: (G, G) true where a texel is used or beside a used one.
        texel: (T, T, 2) float32, metres on the body for the whole width of the atlas, along u and along v. Islands
            are drawn at different scales: the head is five times as fine as the body.
    """

    position: Floats
    near: NDArray[np.bool_]
    texel: Floats

    @classmethod
    def of(cls, atlas: Atlas) -> Guide:
        """Measure an atlas."""
        position = atlas.position(GUIDE_SIZE)
        used = atlas.mask(GUIDE_SIZE)
        near = blur(used.astype(np.float32), 2.0) > 0.02
        return cls(position, near, _texel_widths(atlas))

    def window(self, image: Floats, rows: slice, columns: slice, size: int, *, cubic: bool = False) -> Floats:
        """A part of a small picture, (h, w) or (h, w, C), as if it had been enlarged to size x size."""
        return enlarged(image, rows, columns, size / image.shape[0], cubic=cubic)


def _texel_widths(atlas: Atlas) -> Floats:
    size = GUIDE_SIZE // 2
    position, used = atlas.position(size), atlas.mask(size)
    widths = np.zeros((size, size, 2), np.float32)
    across = (position[1:-1, 2:] - position[1:-1, :-2]) * (size / 2)
    down = (position[2:, 1:-1] - position[:-2, 1:-1]) * (size / 2)
    widths[1:-1, 1:-1, 0] = np.sqrt((across * across).sum(axis=2))
    widths[1:-1, 1:-1, 1] = np.sqrt((down * down).sum(axis=2))
    inside = blur(used.astype(np.float32), 1.0) > 0.99
    filled = spread(widths, inside)
    smooth = np.stack([blur(filled[..., axis], 2.0) for axis in range(2)], axis=2)
    return np.clip(resize(smooth, (_TEXEL_SIZE, _TEXEL_SIZE)), 0.15, 8.0)


def noise_at(places: Floats, random: np.random.Generator) -> Floats:
    """(N,) smooth noise at (N, 3) places in lattice units, of about unit variance; periodic, 64 units."""
    lattice = random.standard_normal(_LATTICE**3, np.float32)
    floor = np.floor(places)
    share = (places - floor).astype(np.float32)
    share = share * share * (3 - 2 * share)
    low = floor.astype(np.int32) & (_LATTICE - 1)
    high = (low + 1) & (_LATTICE - 1)
    columns = [(low[:, axis], high[:, axis]) for axis in range(3)]
    total = np.zeros(len(places), np.float32)
    for i in range(2):
        weight_x = share[:, 0] if i else 1 - share[:, 0]
        for j in range(2):
            weight_xy = weight_x * (share[:, 1] if j else 1 - share[:, 1])
            row = (columns[0][i] * _LATTICE + columns[1][j]) * _LATTICE
            near, far = lattice[row + columns[2][0]], lattice[row + columns[2][1]]
            total += weight_xy * (near + share[:, 2] * (far - near))
    return total * np.float32(1.7)
