"""What the engine paints on: colour, relief and roughness of the whole atlas."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.colour import to_srgb
from uvmap_id.pictures import Floats, blur, resize, slopes

_NOISE_LATTICE = 64
_NOISE_SIZE = 512


@dataclass
class Canvas:
    """Layers are painted one over the other.

    Attributes:
        atlas: The layout.
        position: (S, S, 3) metres, where the texels lie on the body in the T-pose.
        colour: (S, S, 3) float32 linear.
        relief: (S, S) float32, height above the skin in millimetres.
        roughness: (S, S) float32, 0..1.
        random: The request's own source of chance.
    """

    atlas: Atlas
    position: Floats
    colour: Floats
    relief: Floats
    roughness: Floats
    random: np.random.Generator

    @classmethod
    def blank(cls, atlas: Atlas, size: int, seed: int) -> Canvas:
        """An empty canvas of size x size texels."""
        square = (size, size)
        return cls(
            atlas,
            atlas.position(size),
            np.zeros((*square, 3), np.float32),
            np.zeros(square, np.float32),
            np.full(square, 0.5, np.float32),
            np.random.default_rng(seed),
        )

    @property
    def size(self) -> int:
        """Texels on a side."""
        return self.colour.shape[0]

    def part(self, region: tuple[slice, slice]) -> Canvas:
        """A window of the canvas: what is painted there is painted here."""
        return dataclasses.replace(
            self,
            position=self.position[region],
            colour=self.colour[region],
            relief=self.relief[region],
            roughness=self.roughness[region],
        )

    def paint(
        self,
        cover: Floats,
        colour: Floats,
        roughness: Floats | float,
        relief: Floats | float = 0.0,
    ) -> None:
        """Lay a layer over what is there; `cover` (S, S) is 0 where it is absent and 1 where it hides all."""
        self.colour += cover[..., None] * (colour - self.colour)
        self.roughness += cover * (roughness - self.roughness)
        self.relief += cover * (relief - self.relief)

    def noise(self, wavelength: float) -> Floats:
        """(S, S) smooth noise of about unit variance in the body's space, so that it runs on across seams.

        `wavelength` is in metres. The noise is periodic, with a period of 64 wavelengths / 4.
        """
        lattice = self.random.standard_normal((_NOISE_LATTICE,) * 3).astype(np.float32)
        places = self.atlas.position(_NOISE_SIZE) / (wavelength / 4)
        low = np.floor(places).astype(np.int32)
        share = places - low
        total = np.zeros(places.shape[:2], np.float32)
        for corner in np.ndindex(2, 2, 2):
            index = (low + corner) % _NOISE_LATTICE
            weight = np.prod(np.where(corner, share, 1 - share), axis=2)
            total += weight * lattice[index[..., 0], index[..., 1], index[..., 2]]
        total = blur(total, 1.5)
        total /= total.std() + 1e-6
        return resize(total, (self.size, self.size))

    def grain(self, across: float, along: float) -> Floats:
        """(S, S) fine noise of unit variance in texel space, blurred by so many texels at 1K in u and in v."""
        scale = self.size / 1024
        white = self.random.standard_normal((self.size, self.size)).astype(np.float32)
        fine = blur(white, max(across * scale, 0.3), max(along * scale, 0.3))
        return fine / (fine.std() + 1e-6)

    def base_color(self) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 sRGB."""
        return to_srgb(self.colour)

    def normal(self) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 tangent-space normals of the relief, OpenGL convention: +x along u, +y along v."""
        # A texel of the body islands is about 2.1 mm wide at 1K.
        texel = 2.1 * 1024 / self.size
        right, down = slopes(self.relief)
        slope_u, slope_v = right / texel, -down / texel
        length = np.sqrt(slope_u**2 + slope_v**2 + 1)
        normal = np.stack([-slope_u / length, -slope_v / length, 1 / length], axis=-1)
        return np.round((normal * 0.5 + 0.5) * 255).astype(np.uint8)

    def roughness_map(self) -> NDArray[np.uint8]:
        """(S, S) uint8, 255 is fully rough."""
        return np.round(np.clip(self.roughness, 0, 1) * 255).astype(np.uint8)
