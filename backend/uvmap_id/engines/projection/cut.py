"""The outline of each kind of garment: how far a place on the body is from its edge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.engines.projection.figure import MIDDLE_X, side_y
from uvmap_id.engines.projection.garments import Garment
from uvmap_id.pictures import Floats

_SLEEVELESS = 0.18
_OPENING_TOP, _OPENING_WIDTH = 0.27, 0.056
Outline = Callable[[Floats, Floats, Floats, Garment], Floats]


def depth_of(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    """(h, w) metres from the garment's nearest edge, positive where there is cloth.

    Raises `ValueError` for a slot that no rule knows.
    """
    outline = _OUTLINES.get(garment.slot)
    if outline is None:
        raise ValueError(f"wardrobe.toml has a garment in an unknown slot: {garment.slot}")
    return outline(x, y, z, garment)


def below_neck(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    """Metres below the neckline, a plane that is lower in front and rises beside the neck to spare the shoulders."""
    beside = np.clip(np.abs(x - MIDDLE_X) - 0.06, 0, None)
    # A low neckline must rise faster to leave its straps.
    steep = 9.0 if garment.neckline >= 0 else 22.0
    return np.float32(0.258 + garment.neckline) + 0.5 * y + steep * beside * beside - z


def beside_opening(x: Floats, y: Floats, z: Floats, bottom: float) -> Floats:
    """Metres from the edge of a front that stands open down to a height: negative in the opening."""
    width = np.clip((z - bottom) / (_OPENING_TOP - bottom), 0, None) * _OPENING_WIDTH
    edge = np.abs(x - MIDDLE_X) - width
    below = bottom - z
    return np.where(y > 0.01, 1.0, np.maximum(edge, below)).astype(np.float32)


def _upper(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    far = np.abs(x)
    limit: Floats | float = garment.sleeve
    if garment.sleeve < _SLEEVELESS:
        # Straps on the shoulders, room for the arms below them.
        limit = garment.sleeve - 0.045 * smoothstep(0.135, 0.24, z)
    # Below the armpits no sleeve can end: hips may be wider than an armhole.
    limit = limit + 4 * np.clip(np.float32(0.05) - z, 0, None)
    depth = np.minimum(np.minimum(limit - far, z - garment.hem), below_neck(x, y, z, garment))
    if garment.opening is not None:
        depth = np.minimum(depth, beside_opening(x, y, z, garment.opening))
    return depth


def _lower(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    depth = np.minimum(garment.waist - z, z - garment.hem)
    if garment.waist > 0:
        # A bib: only its straps and the chest piece reach above the waist.
        width = np.where(side_y(z) > y, 0.095, 0.02 + 0.4 * np.clip(0.0 - z, 0, None))
        bib = np.minimum(garment.waist - z, width - np.abs(x - MIDDLE_X))
        strap = np.minimum(0.019 - np.abs(np.abs(x - MIDDLE_X) - 0.078), 0.145 - np.abs(x))
        depth = np.minimum(z - garment.hem, np.maximum(np.maximum(-0.06 - z, bib), np.minimum(strap, z + 0.06)))
    return depth


def _feet(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    del x
    # Low shoes leave the ankle free in front and behind it.
    dip = 0.16 * np.clip(np.abs(y - 0.045) - 0.02, 0, None) if garment.hem < -1.0 else 0.0
    return garment.hem - dip - z


def _hands(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    del y, z
    return np.abs(x) - garment.sleeve


def _head(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    del x
    # Lower at the back, as a hat sits, but above the ears.
    return z - (garment.hem - 0.20 * y)


def _waist(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    del x, y
    return np.minimum(garment.waist - z, z - garment.hem)


def _briefs(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    rise = 1.15 - 4.0 * np.clip(y - side_y(z), -0.08, 0.08)
    leg = 0.75 * (z - garment.hem - rise * np.clip(np.abs(x - MIDDLE_X) - 0.03, 0, 0.16))
    return np.minimum(garment.waist - z, leg)


def _neck(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    """Ties, scarves, badges: their own drawing says how far they reach."""
    del y, garment
    return np.minimum(0.32 - z, np.minimum(0.16 - np.abs(x), z + 0.25))


def _eyes(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    del x, garment
    return np.minimum(0.05 - np.abs(z - 0.43), 0.03 - y)


_OUTLINES: dict[str, Outline] = {
    "upper": _upper,
    "lower": _lower,
    "feet": _feet,
    "hands": _hands,
    "head": _head,
    "waist": _waist,
    "briefs": _briefs,
    "neck": _neck,
    "eyes": _eyes,
}
