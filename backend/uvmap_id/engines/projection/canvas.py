"""What the engine paints on: colour, relief, roughness and bare skin of the whole atlas.

Everything that is as large as the canvas is worked on in strips of rows that fit a processor's cache, on all cores.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.colour import to_srgb
from uvmap_id.engines.projection.fields import GUIDE_SIZE, Guide, noise_at
from uvmap_id.pictures import Floats, blur, resize, slopes

_STRIP_TEXELS = 1 << 17
_SMALLEST_GRAIN = 512
_COARSE, _COARSE_WAVELENGTH = 256, 0.09
Job = TypeVar("Job")


def in_parallel(work: Callable[[Job], None], jobs: Iterable[Job]) -> None:
    """Do jobs that don't touch each other's results, on all cores; raises what the first failing one raises."""
    with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
        for _ in pool.map(work, jobs):
            pass


def strips(height: int, width: int) -> list[slice]:
    """Rows of a picture in portions that fit a processor's cache."""
    rows = max(1, _STRIP_TEXELS // width)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


@dataclass
class Canvas:
    """Layers are painted one over the other.

    Attributes:
        atlas: The layout.
        position: (S, S, 3) metres, where the texels lie on the body in the T-pose.
        colour: (S, S, 3) float32 linear.
        relief: (S, S) float32, height above the skin in millimetres.
        roughness: (S, S) float32, 0..1.
        skin: (S, S) float32, 0..1, how much of the skin shows.
        random: The request's own source of chance.
        guide: The body at a small, fixed size, for everything that is smooth.
    """

    atlas: Atlas
    position: Floats
    colour: Floats
    relief: Floats
    roughness: Floats
    skin: Floats
    random: np.random.Generator
    guide: Guide = field(repr=False)

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
            np.zeros(square, np.float32),
            np.random.default_rng(seed),
            Guide.of(atlas),
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
            skin=self.skin[region],
        )

    def paint(
        self,
        cover: Floats,
        colour: Floats,
        roughness: Floats | float,
        relief: Floats | float = 0.0,
        skin: Floats | float = 0.0,
    ) -> None:
        """Lay a layer over what is there; `cover` (S, S) is 0 where it is absent and 1 where it hides all."""

        def lay(rows: slice) -> None:
            share = cover[rows]
            if not share.any():
                return
            shade = colour[rows] if colour.ndim == 3 else colour
            self.colour[rows] += share[..., None] * (shade - self.colour[rows])
            for map_, value in ((self.roughness, roughness), (self.relief, relief), (self.skin, skin)):
                wanted = value[rows] if isinstance(value, np.ndarray) else np.float32(value)
                map_[rows] += share * (wanted - map_[rows])

        in_parallel(lay, strips(*self.relief.shape))

    def noise(self, wavelength: float) -> Floats:
        """(S, S) smooth noise of about unit variance in the body's space, so that it runs on across seams.

        `wavelength` is in metres. The noise is periodic, with a period of 16 wavelengths.
        """
        size = _COARSE if wavelength >= _COARSE_WAVELENGTH else GUIDE_SIZE
        places = resize(self.guide.position, (size, size)).reshape(-1, 3)
        total = noise_at(places * np.float32(4 / wavelength), self.random).reshape(size, size)
        total = blur(total, 1.5)
        total /= total.std() + 1e-6
        return resize(total, (self.size, self.size))

    def grain(self, across: float, along: float) -> Floats:
        """(S, S) fine noise of unit variance in texel space, blurred by so many texels at 1K in u and in v.

        A quarter of the canvas is drawn by chance and repeated, which nobody sees in anything as fine.
        """
        tile = self.grain_tile(across, along)
        repeats = self.size // tile.shape[0]
        return np.tile(tile, (repeats, repeats))

    def grain_tile(self, across: float, along: float) -> Floats:
        """(T, T) as `grain`, once; it joins itself at its borders. T divides the canvas's size."""
        scale = self.size / 1024
        side = min(self.size, max(_SMALLEST_GRAIN, self.size // 4))
        white = self.random.standard_normal((side, side), np.float32)
        sigma = max(across * scale, 0.3), max(along * scale, 0.3)
        reach = min(side, int(4 * max(sigma)) + 1)
        framed = np.pad(white, reach, mode="wrap")
        fine = blur(framed, *sigma)[reach:-reach, reach:-reach]
        return np.ascontiguousarray(fine / (fine.std() + 1e-6))

    def base_color(self) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 sRGB."""
        image = np.empty(self.colour.shape, np.uint8)

        def encode(rows: slice) -> None:
            image[rows] = to_srgb(self.colour[rows])

        in_parallel(encode, strips(self.size, self.size))
        return image

    def normal(self) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 tangent-space normals of the relief, OpenGL convention: +x along u, +y along v."""
        image = np.empty(self.colour.shape, np.uint8)

        def encode(rows: slice) -> None:
            top, bottom = max(rows.start - 1, 0), min(rows.stop + 1, self.size)
            right, down = slopes(self.relief[top:bottom])
            inner = slice(rows.start - top, rows.stop - top)
            width = self.guide.window(self.guide.texel, rows, slice(0, self.size), self.size) / self.size * 1000
            slope_u, slope_v = right[inner] / width[..., 0], -down[inner] / width[..., 1]
            length = 127.5 / np.sqrt(slope_u * slope_u + slope_v * slope_v + 1)
            normal = cv2.merge([127.5 - slope_u * length, 127.5 - slope_v * length, 127.5 + length])
            image[rows] = np.round(normal)

        in_parallel(encode, strips(self.size, self.size))
        return image

    def roughness_map(self) -> NDArray[np.uint8]:
        """(S, S) uint8, 255 is fully rough."""
        return _as_bytes(self.roughness)

    def skin_map(self) -> NDArray[np.uint8]:
        """(S, S) uint8, 255 where nothing covers the skin."""
        return _as_bytes(self.skin)


def _as_bytes(layer: Floats) -> NDArray[np.uint8]:
    """(S, S) uint8 of a layer of 0..1."""
    image = np.empty(layer.shape, np.uint8)

    def encode(rows: slice) -> None:
        image[rows] = np.round(np.clip(layer[rows], 0, 1) * 255)

    in_parallel(encode, strips(*layer.shape))
    return image
