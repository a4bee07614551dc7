"""Collars, lapels, plackets and what else a jacket's or shirt's front has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uvmap_id.engines.projection.cloth import Cloth, box, polygon
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.engines.projection.cut import below_neck, beside_opening
from uvmap_id.engines.projection.figure import ARM_Y, ARM_Z, MIDDLE_X
from uvmap_id.engines.projection.garments import shaded

_PLACKET = 0.017
_BUTTON_STEP = 0.085


def placket(cloth: Cloth) -> None:
    """A band down the front with a row of buttons."""
    bottom = cloth.garment.hem if cloth.garment.hem > -0.4 else -0.40
    top = 0.20 if cloth.garment.opening is None else cloth.garment.opening
    _placket(cloth, bottom, top)


def short_placket(cloth: Cloth) -> None:
    """The placket of a polo shirt: it ends above the breast's middle."""
    _placket(cloth, 0.075, 0.20)


def _placket(cloth: Cloth, bottom: float, top: float) -> None:
    if not cloth.tile.meets((-0.04, 0.04), (bottom, 0.3), (-1, 0.02)):
        return
    right = cloth.x - MIDDLE_X
    thread = cloth.garment.accent if cloth.garment.fabric_name == "denim" else None
    below = cloth.tile.step(cloth.z - bottom) * cloth.front * (cloth.y < 0.0)
    below = below * cloth.tile.step(top + 0.045 - cloth.z)
    cloth.patch(_PLACKET - np.abs(right), height=0.5, where=below)
    for side in (-1, 1):
        cloth.stitches(right - side * (_PLACKET - 0.004), cloth.z, below, thread)
    cloth.seam(right - _PLACKET, below, dent=0.5)
    brass = (176, 132, 84) if cloth.garment.fabric_name == "denim" else None
    for height in np.arange(top - 0.03, bottom + 0.02, -_BUTTON_STEP):
        cloth.button(MIDDLE_X, float(height), colour=brass)


def collar(cloth: Cloth) -> None:
    """A shirt's collar: a fold around the neck that ends in two points in front."""
    if not cloth.tile.meets((-0.14, 0.14), (0.12, 0.36)):
        return
    depth = below_neck(cloth.x, cloth.y, cloth.z, cloth.garment)
    middle = cloth.tile.middle
    forward = smoothstep(0.02, -0.03, cloth.y)
    points = 0.030 * np.exp(-(((middle - 0.047) / 0.022) ** 2)) * forward
    inside = np.minimum(0.034 + points - depth, 0.12 - middle)
    # In front the two halves part.
    gap = middle - (0.0035 + 0.42 * np.clip(depth - 0.004, 0, None))
    inside = np.where(cloth.y < 0.0, np.minimum(inside, gap), inside)
    cloth.patch(inside, height=1.5)
    cloth.darken(0.14 * smoothstep(-0.007, 0.0, inside) * (inside < 0))
    thread = cloth.garment.accent if cloth.garment.fabric_name == "denim" else None
    cloth.stitches(inside - 0.005, cloth.x + cloth.z, 1.0, thread)


def stand_collar(cloth: Cloth) -> None:
    """A band that stands around the neck."""
    if not cloth.tile.meets((-0.2, 0.2), (0.15, 0.4)):
        return
    depth = below_neck(cloth.x, cloth.y, cloth.z, cloth.garment)
    near = np.abs(cloth.x) < 0.2
    cloth.patch(np.where(near, 0.032 - depth, -1.0), height=0.9)
    cloth.seam(depth - 0.032, near)
    cloth.stitches(depth - 0.004, cloth.x, near)


def lapels(cloth: Cloth) -> None:
    """The turned-back fronts of a suit jacket, with their notch, and the collar they run into."""
    bottom = cloth.garment.opening
    if bottom is None or not cloth.tile.meets((-0.17, 0.17), (bottom - 0.02, 0.36)):
        return
    z = cloth.z
    edge = beside_opening(cloth.x, cloth.y, z, bottom)
    # Widest below the notch, a point at the button.
    rise = np.clip((z - bottom) / (0.165 - bottom), 0, 1)
    width = 0.058 * rise**0.75 * cloth.tile.step(0.172 - z + 0.30 * (edge - 0.02))
    front = (cloth.y < 0.015) * cloth.tile.step(z - bottom)
    lapel = np.where(front > 0, width - edge, -1.0).astype(np.float32)
    neck = below_neck(cloth.x, cloth.y, z, cloth.garment)
    fold = np.where(cloth.y < 0.015, edge, neck)
    upper = np.where(z > 0.17, 0.047 - 0.1 * np.clip(0.21 - z, 0, 0.05) - np.minimum(fold, neck), -1.0)
    upper = np.where(cloth.y < 0.015, np.minimum(upper, z - 0.182 + 0.30 * (edge - 0.02)), upper)
    for piece, height in ((lapel, 1.4), (upper.astype(np.float32), 1.6)):
        cloth.patch(piece, height=height)
        cloth.darken(0.20 * smoothstep(-0.008, 0.0, piece) * (piece < 0))
        cloth.stitches(piece - 0.004, cloth.x + z)
    cloth.seam(z - 0.177 + 0.30 * (edge - 0.02), (edge < 0.035) * (edge > 0) * (cloth.y < 0.015), dent=0.6)


def suit_buttons(cloth: Cloth) -> None:
    """Two buttons below the opening."""
    if cloth.garment.opening is not None:
        for step in (0.012, 0.105):
            cloth.button(MIDDLE_X - 0.010, cloth.garment.opening - step, 0.0085)


def sleeve_buttons(cloth: Cloth) -> None:
    """Four small buttons at the back of each sleeve."""
    if not cloth.tile.meets((-1, 1), (0.15, 0.3)) or float(np.abs(cloth.x).max()) < 0.5:
        return
    behind = (cloth.y > ARM_Y).astype(np.float32)
    place = cloth.garment.sleeve - 0.020 - np.abs(cloth.x)
    number = np.clip(np.round(place / 0.015), 0, 3)
    distance = np.hypot(place - number * 0.015, cloth.z - ARM_Z + 0.006)
    colour = shaded(cloth.garment.colour, -18.0 if sum(cloth.garment.colour) > 300 else 18.0)
    cloth.patch(0.0056 - distance, colour, height=1.1, roughness=0.3, where=behind)


def breast_pocket(cloth: Cloth) -> None:
    """The slanted welt on the left breast, with the edge of a handkerchief."""
    if cloth.tile.meets((0.02, 0.14), (0.03, 0.14), (-1, 0.0)):
        right, up = cloth.x - 0.092, cloth.z - 0.083 - 0.12 * (cloth.x - 0.092)
        cloth.patch(box(right, up - 0.012, 0.030, 0.008), (226, 226, 222), height=0.6, where=cloth.front)
        cloth.patch(box(right, up, 0.038, 0.0095), shaded(cloth.garment.colour, 2.0), height=0.7, where=cloth.front)
        cloth.stitches(box(right, up, 0.034, 0.0065), right, cloth.front)


def welt_pockets(cloth: Cloth) -> None:
    """Hip pockets with flaps."""
    if not cloth.tile.meets((-0.17, 0.17), (-0.26, -0.05), (-1, 0.0)):
        return
    height = -0.135 if cloth.garment.hem < -0.2 else -0.09
    right = cloth.tile.middle - 0.098
    up = cloth.z - height + 0.12 * right
    flap = box(right, up + 0.012, 0.050, 0.020, 0.008)
    cloth.patch(flap, height=1.0, where=cloth.front)
    cloth.seam(up - 0.008, (np.abs(right) < 0.05) * cloth.front, dent=0.8)
    cloth.stitches(flap - 0.004, right + up, cloth.front)


def slanted_pockets(cloth: Cloth) -> None:
    """Welts in which the hands of a jacket's wearer go."""
    if cloth.tile.meets((-0.17, 0.17), (-0.25, 0.02), (-1, 0.0)):
        right, up = cloth.tile.middle - 0.098, cloth.z + 0.10
        along, across = 0.90 * up + 0.43 * right, 0.90 * right - 0.43 * up
        welt = box(across, along, 0.0085, 0.066, 0.002)
        cloth.patch(welt, height=0.9, where=cloth.front)
        cloth.seam(across, (np.abs(along) < 0.06) * cloth.front, dent=0.7)
        cloth.stitches(welt - 0.0025, along, cloth.front)


def bib(cloth: Cloth) -> None:
    """The chest piece of overalls: its pocket, straps' buckles and waist seam."""
    thread = cloth.garment.accent
    cloth.stitches(cloth.depth - 0.006, cloth.x + cloth.z, cloth.z > -0.06, thread)
    cloth.seam(cloth.z + 0.075)
    cloth.stitches(cloth.z + 0.071, cloth.x, 1.0, thread)
    if cloth.tile.meets((-0.1, 0.1), (-0.02, 0.15), (-1, 0)):
        inside = polygon(
            cloth.x - MIDDLE_X, cloth.z, ((-0.055, 0.09), (0.055, 0.09), (0.055, 0.01), (0.0, -0.005), (-0.055, 0.01))
        )
        cloth.patch(inside, height=0.8, where=cloth.front)
        cloth.stitches(inside - 0.004, cloth.x + cloth.z, cloth.front, thread)
        for side in (-1, 1):
            cloth.button(MIDDLE_X + side * 0.078, 0.112, 0.009, (188, 160, 96))


FRONT_DETAILS: dict[str, Callable[[Cloth], None]] = {
    "placket": placket,
    "short placket": short_placket,
    "collar": collar,
    "stand collar": stand_collar,
    "lapels": lapels,
    "suit buttons": suit_buttons,
    "sleeve buttons": sleeve_buttons,
    "breast pocket": breast_pocket,
    "welt pockets": welt_pockets,
    "slanted pockets": slanted_pockets,
    "bib": bib,
}
