"""Patterns of cloth, drawn around trunk and limbs, so that they meet at the seams of the atlas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from uvmap_id.engines.projection.colour import linear
from uvmap_id.engines.projection.figure import Tile, Wrap, wrap
from uvmap_id.engines.projection.garments import Garment, shaded
from uvmap_id.pictures import Floats

_BAND = 0.052  # Metres from one horizontal stripe to the next.
_CHECK = 0.03
_CAMOUFLAGE_STEPS = ((-0.35, -14.0), (0.75, 16.0))


@dataclass(frozen=True, slots=True)
class PatternFields:
    """Noise over the atlas at a small size, (G, G), for patterns that have no order; else None."""

    patches: tuple[Floats, ...] = ()


def pattern_colour(tile: Tile, garment: Garment, fields: PatternFields) -> Floats:
    """(h, w, 3) linear, the garment's cloth; (1, 1, 3) where it is plain."""
    plain = linear(garment.colour)[None, None]
    if not garment.pattern:
        return plain
    if garment.pattern == "camouflage":
        return _camouflage(tile, garment, fields)
    draw = _PATTERNS.get(garment.pattern)
    if draw is None:
        raise ValueError(f"wardrobe.toml has an unknown pattern: {garment.pattern}")
    share = draw(tile, wrap(tile.x, tile.y, tile.z, legs=garment.slot == "lower"))
    return plain + share[..., None] * (linear(garment.accent)[None, None] - plain)


def _wave(tile: Tile, phase: Floats, period: Floats | float, share: float) -> Floats:
    """1 on stripes, `phase` in periods; `period` in metres says how soft an edge must be."""
    distance = (share / 2 - np.abs(phase - np.round(phase))) * period
    return np.clip(distance / (1.2 * tile.texel) + 0.5, 0, 1)


def _stripes(tile: Tile, at: Wrap) -> Floats:
    return _wave(tile, at.along / _BAND, _BAND, 0.5)


def _upright(tile: Tile, at: Wrap, number: int, share: float) -> Floats:
    count = number * at.girth
    return _wave(tile, at.around * count, 2 * np.pi * at.radius / count, share)


def _vertical(tile: Tile, at: Wrap) -> Floats:
    return _upright(tile, at, 36, 0.45)


def _pinstripes(tile: Tile, at: Wrap) -> Floats:
    return 0.45 * _upright(tile, at, 60, max(0.07, 1.5 * tile.texel / 0.015))


def _check(tile: Tile, at: Wrap) -> Floats:
    return 0.5 * _upright(tile, at, 30, 0.5) + 0.5 * _wave(tile, at.along / _CHECK, _CHECK, 0.5)


def _plaid(tile: Tile, at: Wrap) -> Floats:
    period = 0.075
    across = _wave(tile, at.along / period, period, 0.42)
    upright = _upright(tile, at, 12, 0.42)
    fine = _wave(tile, at.along / period + 0.5, period, 0.06)
    count = 12 * at.girth
    fine_upright = _wave(tile, at.around * count + 0.5, 2 * np.pi * at.radius / count, 0.06)
    return np.clip(0.42 * across + 0.42 * upright + 0.3 * np.maximum(fine, fine_upright), 0, 1)


def _dots(tile: Tile, at: Wrap) -> Floats:
    count, rows = 24 * at.girth, 0.034
    row = np.round(at.along / rows)
    place = at.around * count + 0.5 * np.mod(row, 2)
    right = (place - np.round(place)) * 2 * np.pi * at.radius / count
    return tile.step(0.0085 - np.hypot(right, at.along - row * rows))


def _camouflage(tile: Tile, garment: Garment, fields: PatternFields) -> Floats:
    colour = np.broadcast_to(linear(garment.colour), (*tile.x.shape, 3)).copy()
    shades = [shaded(garment.colour, lift) for _, lift in _CAMOUFLAGE_STEPS]
    shades.append(shaded(garment.colour, -26.0))
    limits = (0.35, 0.55, 0.75)
    for patch, limit, shade in zip(fields.patches, limits, shades, strict=True):
        noise = tile.enlarged(patch, cubic=True)
        # An edge a millimetre or two wide: the noise changes by about 1 over 3 cm.
        edge = max(0.04, 1.5 * tile.texel / 0.03)
        share = np.clip((noise - limit) / edge + 0.5, 0, 1)
        colour += share[..., None] * (linear(shade) - colour)
    return colour


_PATTERNS: dict[str, Callable[[Tile, Wrap], Floats]] = {
    "stripes": _stripes,
    "vertical stripes": _vertical,
    "pinstripes": _pinstripes,
    "check": _check,
    "plaid": _plaid,
    "dots": _dots,
}
