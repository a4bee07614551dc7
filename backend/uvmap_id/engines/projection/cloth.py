"""One garment on one tile of the canvas, in the making: cloth, and the tools to sew on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.engines.projection.colour import linear, smoothstep
from uvmap_id.engines.projection.figure import Tile
from uvmap_id.engines.projection.garments import Garment, Rgb, shaded
from uvmap_id.pictures import Floats

# Where something is sewn on: a share 0..1, or yes and no.
Where = Floats | NDArray[np.bool_] | float
_STITCH, _STITCH_GAP = 0.0032, 0.0014
_PUCKER = 0.011  # How far beside a seam cloth puckers, metres.
_RIM = 0.005  # How far a piece sewn on darkens what is beside it, metres.
_SHOWN = 0.0009  # The largest texel that still shows single stitches, metres.


@dataclass(slots=True)
class Cloth:
    """All fields are (h, w) float32.

    Attributes:
        tile: Where.
        garment: What.
        depth: Metres from the garment's nearest edge, positive where there is cloth.
        cover: 0..1, how much of what is beneath is hidden.
        colour: (h, w, 3) linear.
        relief: Millimetres above the cloth's plane.
        roughness: 0..1.
        grain: The weave's noise, of unit variance.
    """

    tile: Tile
    garment: Garment
    depth: Floats
    cover: Floats
    colour: Floats
    relief: Floats
    roughness: Floats
    grain: Floats

    @property
    def x(self) -> Floats:
        """Metres to the body's left."""
        return self.tile.x

    @property
    def y(self) -> Floats:
        """Metres to the back."""
        return self.tile.y

    @property
    def z(self) -> Floats:
        """Metres up."""
        return self.tile.z

    @property
    def front(self) -> Floats:
        """1 on the body's front, 0 on its back."""
        return self.tile.front

    @property
    def back(self) -> Floats:
        """1 on the body's back, 0 on its front."""
        return self.tile.back

    def seam(self, distance: Floats, where: Where = 1.0, *, dent: float = 0.45) -> None:
        """A seam: cloth sinks into it and puckers a little beside it."""
        if _far(distance, _PUCKER, where):
            return
        line = self.tile.ridge(distance, 0.0016) * where
        beside = smoothstep(_PUCKER, 0.002, np.abs(distance)) * where
        self.darken(0.28 * line + 0.05 * beside)
        self.relief += (0.25 * beside * (1 + 0.35 * self.grain)) - dent * line

    def stitches(self, distance: Floats, along: Floats, where: Where = 1.0, thread: Rgb | None = None) -> None:
        """A row of stitches; they merge into a thin line where texels are too large to show them."""
        if _far(distance, max(0.0009, 1.3 * self.tile.texel), where):
            return
        line = self.tile.ridge(distance, 0.0009) * where
        if self.tile.texel < _SHOWN:
            phase = np.mod(along, _STITCH + _STITCH_GAP)
            line = line * smoothstep(0, 0.0006, phase) * smoothstep(_STITCH, _STITCH - 0.0006, phase)
        colour = linear(shaded(self.garment.colour, -12.0) if thread is None else thread)
        self.blend(0.65 * line, colour)
        self.relief += 0.22 * line

    def darken(self, amount: Floats) -> None:
        """Take light away by a share 0..1."""
        self.colour *= (1 - amount)[..., None]

    def blend(self, share: Floats, colour: Floats) -> None:
        """Mix another colour, linear, into the cloth."""
        self.colour += share[..., None] * (colour - self.colour)

    def patch(
        self,
        inside: Floats,
        colour: Rgb | None = None,
        *,
        height: float = 0.6,
        roughness: float | None = None,
        where: Where = 1.0,
    ) -> Floats:
        """Sew a piece on, where `inside` is positive metres from its edge. Returns its cover, 0..1."""
        if float(inside.max()) < -_RIM:
            return np.zeros_like(inside)
        share = self.tile.step(inside) * where
        if colour is not None:
            shade = linear(colour)[None, None] * np.exp(self.garment.fabric.mottle * self.grain)[..., None]
            self.blend(share, shade)
        if roughness is not None:
            self.roughness += share * (roughness - self.roughness)
        rim = smoothstep(-_RIM, 0.0, inside) * (1 - share) * where
        self.darken(0.16 * rim)
        self.relief += height * share
        return share

    def button(self, x: float, z: float, radius: float = 0.0058, colour: Rgb | None = None) -> None:
        """A button on the front, with its rim, two holes and the thread between them."""
        if not self.tile.meets((x - 0.02, x + 0.02), (z - 0.02, z + 0.02), (-1, 0.03)):
            return
        right, up = self.x - x, self.z - z
        distance = np.hypot(right, up)
        colour = colour or shaded(self.garment.colour, -22.0 if sum(self.garment.colour) > 300 else 22.0)
        share = self.patch(radius - distance, colour, height=1.4, roughness=0.3, where=self.front)
        self.relief -= 0.7 * share * smoothstep(0.75 * radius, 0.55 * radius, distance)
        holes = self.tile.ridge(np.hypot(np.abs(right) - 0.25 * radius, up), 0.16 * radius)
        self.darken(0.6 * share * holes * smoothstep(0.003, 0.001, np.full_like(holes, self.tile.texel)))

    def ribs(self, inside: Floats, phase: Floats, width: float = 0.0045) -> None:
        """Ribbing of `width` metres, where `inside` is positive; `phase` is metres across the ribs."""
        if float(inside.max()) < -self.tile.texel:
            return
        share = self.tile.step(inside)
        wave = np.cos(phase * np.float32(2 * np.pi / max(width, 2.5 * self.tile.texel)))
        self.relief += share * 0.5 * wave
        self.darken(share * (0.07 - 0.07 * wave))


def _far(distance: Floats, reach: float, where: Where) -> bool:
    """True where nothing of a line would be seen."""
    near = np.abs(distance) < reach
    if isinstance(where, np.ndarray):
        near &= where != 0
    return not near.any()


def polygon(x: Floats, z: Floats, corners: tuple[tuple[float, float], ...]) -> Floats:
    """Metres from a polygon's outline, positive inside; `corners` are x, z in order."""
    nearest = np.full(x.shape, 1e9, np.float32)
    inside = np.zeros(x.shape, bool)
    for (x0, z0), (x1, z1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        right, up = x - np.float32(x0), z - np.float32(z0)
        across, along = x1 - x0, z1 - z0
        share = np.clip((right * across + up * along) / (across * across + along * along), 0, 1)
        nearest = np.minimum(nearest, (right - share * across) ** 2 + (up - share * along) ** 2)
        if z0 != z1:
            crosses = (z < z0) != (z < z1)
            inside ^= crosses & (right < up * np.float32(across / along))
    return np.where(inside, 1, -1) * np.sqrt(nearest)


def box(x: Floats, z: Floats, half_width: float, half_height: float, corner: float = 0.0) -> Floats:
    """Metres from a rectangle's outline around (0, 0), positive inside; its corners rounded by a radius."""
    right = np.abs(x) - np.float32(half_width - corner)
    up = np.abs(z) - np.float32(half_height - corner)
    outside = np.hypot(np.maximum(right, 0), np.maximum(up, 0))
    return corner - outside - np.minimum(np.maximum(right, up), 0)
