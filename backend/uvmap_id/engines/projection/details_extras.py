"""Details of shoes, gloves and hats; ties, scarves, emblems and badges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uvmap_id.engines.projection.cloth import Cloth, Where, box, polygon
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.engines.projection.details_upper import fur_band
from uvmap_id.engines.projection.figure import MIDDLE_X
from uvmap_id.engines.projection.garments import shaded
from uvmap_id.pictures import Floats

_FOOT_X, _SOLE_Z = 0.102, -1.106
_DARK_SOLE, _RUBBER = (34, 31, 29), (206, 204, 196)
_BRASS, _GOLD, _METAL = (182, 142, 70), (206, 166, 74), (170, 170, 172)
_HEAD_Y = -0.005


def sole(cloth: Cloth) -> None:
    """A dark sole with a welt."""
    _sole(cloth, _DARK_SOLE, -1.108)


def rubber_sole(cloth: Cloth) -> None:
    """The white rubber sole of sneakers, with a line around it."""
    _sole(cloth, _RUBBER, -1.098)
    cloth.blend(0.6 * cloth.tile.ridge(cloth.z + 1.105, 0.0012), np.array([0.1, 0.12, 0.2], np.float32))


def _sole(cloth: Cloth, colour: tuple[int, int, int], top: float) -> None:
    cloth.patch(top - cloth.z, colour, height=1.2, roughness=0.7)
    cloth.seam(cloth.z - top, dent=0.8)
    cloth.stitches(cloth.z - top - 0.003, cloth.y + cloth.x)


def toe_cap(cloth: Cloth) -> None:
    """A seam across the toes."""
    line = cloth.y + 0.098 + 6 * (np.abs(cloth.x) - _FOOT_X) ** 2
    above = cloth.z > _SOLE_Z
    cloth.seam(line, above, dent=0.6)
    cloth.stitches(line + 0.003, cloth.x, above)


def quarter_seam(cloth: Cloth) -> None:
    """The seam between a shoe's front and its sides, and the heel's counter."""
    above = cloth.z > _SOLE_Z
    cloth.seam(cloth.y + 0.030 + 0.9 * (cloth.z + 1.07), above & (np.abs(np.abs(cloth.x) - _FOOT_X) > 0.018), dent=0.5)
    cloth.seam(cloth.y - 0.072 + 0.5 * (cloth.z + 1.07), above, dent=0.5)
    cloth.seam(cloth.depth - 0.007, dent=0.4)


def laces(cloth: Cloth) -> None:
    """A tongue with laces across, and their eyelets."""
    right = np.abs(cloth.x) - _FOOT_X + 0.004
    top = (cloth.z > -1.095) & (cloth.y < 0.005)
    # How far up the instep, then up the shaft.
    along = np.where(cloth.z > -1.045, cloth.z + 1.045 + 0.055, np.clip(cloth.y + 0.088, 0, 0.055))
    where = top & (along > 0.002) & (cloth.depth > 0.006)
    tongue = 0.017 - np.abs(right)
    cloth.seam(tongue, where, dent=0.7)
    cloth.darken(0.25 * cloth.tile.step(tongue) * where)
    lace = shaded(cloth.garment.colour, -30.0 if sum(cloth.garment.colour) > 480 else 14.0)
    if cloth.garment.fabric_name == "canvas":
        lace = (236, 236, 232)
    step = 0.0125
    row = np.abs(along / step - np.round(along / step)) * step
    slanted = np.minimum(0.0027 - row, 0.019 - np.abs(right))
    cloth.patch(slanted, lace, height=1.0, roughness=0.9, where=where)
    eyelet = np.hypot(np.abs(right) - 0.0195, row)
    cloth.patch(0.0024 - eyelet, _METAL, height=0.5, roughness=0.35, where=where)


def side_flash(cloth: Cloth) -> None:
    """Three slanted bars on a sneaker's sides."""
    place = cloth.y + 0.045 + 0.55 * (cloth.z + 1.07)
    bar = 0.0038 - np.abs(place - 0.016 * np.clip(np.round(place / 0.016), 0, 2))
    side = (np.abs(np.abs(cloth.x) - _FOOT_X) > 0.026) & (cloth.z > -1.094)
    cloth.patch(bar, cloth.garment.accent, height=0.4, where=side.astype(np.float32))


def boot_shaft(cloth: Cloth) -> None:
    """The shaft of a boot: a band at its top and a seam behind."""
    cloth.seam(cloth.depth - 0.018, dent=0.5)
    cloth.relief += 0.5 * cloth.tile.step(0.018 - cloth.depth)
    cloth.seam(np.abs(cloth.x) - 0.098, (cloth.tile.behind > 0.01) & (cloth.z > -1.09), dent=0.5)
    cloth.stitches(np.abs(cloth.x) - 0.103, cloth.z, (cloth.tile.behind > 0.01) & (cloth.z > -1.09))
    cloth.seam(cloth.z + 1.04, (cloth.y > -0.02) & (np.abs(np.abs(cloth.x) - 0.098) > 0.012), dent=0.4)


def fur_top(cloth: Cloth) -> None:
    """Fur around the top of a boot."""
    fur_band(cloth, 0.05 - cloth.depth)


def ribbed_top(cloth: Cloth) -> None:
    """Ribbing at the top of a sock."""
    cloth.ribs(0.035 - cloth.depth, np.arctan2(np.abs(cloth.x) - 0.096, cloth.tile.behind) * 0.04)


def glove_points(cloth: Cloth) -> None:
    """Three raised lines on the back of the hand."""
    for place in (0.012, 0.034, 0.056):
        line = cloth.tile.ridge(cloth.y + 0.012 - place, 0.0022) * (np.abs(cloth.x) > 0.685) * (np.abs(cloth.x) < 0.735)
        cloth.relief += 0.8 * line * (cloth.z > 0.205)
        cloth.darken(0.15 * line * (cloth.z > 0.205))


def _turn_of_head(cloth: Cloth) -> Floats:
    """Radians around the crown, 0 in front."""
    return np.arctan2(cloth.x - MIDDLE_X, _HEAD_Y - cloth.y)


def cap_panels(cloth: Cloth) -> None:
    """Six panels that meet in a button on the crown, with eyelets, and the seam of the visor in front."""
    turn = _turn_of_head(cloth)
    radius = np.hypot(cloth.x - MIDDLE_X, cloth.y - _HEAD_Y)
    sector = turn / (np.pi / 3)
    aside = (sector - np.round(sector)) * (np.pi / 3) * radius
    cloth.seam(aside)
    for inset in (-0.005, 0.005):
        cloth.stitches(aside - inset, cloth.z)
    middle = sector - np.floor(sector) - 0.5
    eyelet = np.hypot(middle * (np.pi / 3) * radius, cloth.z - 0.517)
    cloth.patch(np.minimum(0.0042 - eyelet, eyelet - 0.0018), height=0.5)
    cloth.darken(0.75 * cloth.tile.step(0.0018 - eyelet))
    cloth.patch(0.0085 - np.where(cloth.z > 0.5, radius, 1.0), height=1.4)
    visor = np.minimum(0.021 - 0.016 * turn * turn - cloth.depth, 1.0)
    cloth.patch(visor, shaded(cloth.garment.colour, -7.0), height=1.3)
    for inset in (0.004, 0.009, 0.014):
        cloth.stitches(visor - inset, cloth.x, visor > 0)


def hat_band(cloth: Cloth) -> None:
    """The hem of a cap."""
    cloth.seam(cloth.depth - 0.012, np.abs(_turn_of_head(cloth)) > 1.0, dent=0.4)
    cloth.stitches(cloth.depth - 0.003, cloth.x + cloth.y)


def turn_up(cloth: Cloth) -> None:
    """The ribs of a knitted hat, and its turned-up edge."""
    turn = _turn_of_head(cloth)
    cloth.ribs(np.full_like(cloth.depth, 1.0), turn * 0.078, 0.0062)
    cloth.patch(0.036 - cloth.depth, shaded(cloth.garment.colour, -2.0), height=1.6)
    cloth.ribs(0.036 - cloth.depth, turn * 0.078, 0.0062)
    cloth.darken(0.22 * smoothstep(0.046, 0.036, cloth.depth) * (cloth.depth > 0.036))


def ribbon(cloth: Cloth) -> None:
    """The ribbon around a hat with a brim."""
    cloth.patch(0.026 - cloth.depth, shaded(cloth.garment.colour, -22.0), height=0.6, roughness=0.4)
    cloth.seam(cloth.depth - 0.026, dent=0.4)


def helmet_rim(cloth: Cloth) -> None:
    """The cover of a helmet: its rim, and the band that holds it."""
    cloth.seam(cloth.depth - 0.006, dent=0.6)
    cloth.relief += 1.2 * cloth.tile.step(0.006 - cloth.depth)
    band = 0.008 - np.abs(cloth.depth - 0.024)
    cloth.patch(band, shaded(cloth.garment.colour, -14.0), height=1.0)
    cloth.stitches(band - 0.002, cloth.x + cloth.y)


def peak_band(cloth: Cloth) -> None:
    """The dark band and shining peak of a policeman's cap."""
    turn = _turn_of_head(cloth)
    cloth.patch(0.024 - cloth.depth, (20, 20, 23), height=0.8)
    cloth.seam(cloth.depth - 0.024, dent=0.5)
    peak = np.minimum(0.017 - 0.013 * turn * turn - cloth.depth, 1.0)
    cloth.patch(peak, (12, 12, 14), height=1.4, roughness=0.12)
    cord = 0.0022 - np.abs(cloth.depth - 0.0195 + 0.013 * turn * turn)
    cloth.patch(cord, _GOLD, height=1.2, roughness=0.3, where=(np.abs(turn) < 1.1).astype(np.float32))


def cap_badge(cloth: Cloth) -> None:
    """A star in the middle of a cap's front."""
    if cloth.tile.meets((-0.05, 0.05), (0.47, 0.54), (-1, -0.03)):
        _star(cloth, MIDDLE_X, 0.513, 0.017)


def fur_brim(cloth: Cloth) -> None:
    """A band of fur around a hat, and a bobble on its crown."""
    fur_band(cloth, 0.030 - cloth.depth)
    radius = np.hypot(cloth.x - MIDDLE_X, cloth.y - _HEAD_Y - 0.01)
    fur_band(cloth, np.where(cloth.z > 0.5, 0.016 - radius, -1.0))


def _show(cloth: Cloth, inside: Floats, where: Where = 1.0) -> Floats:
    """Let a piece that lies on other garments be seen where `inside` is positive."""
    share = cloth.tile.step(inside) * where
    cloth.cover = np.maximum(cloth.cover, share).astype(np.float32)
    return share


def tie(cloth: Cloth) -> None:
    """A tie: its knot at the collar, and the blade, which widens down to its point."""
    if not cloth.tile.meets((-0.06, 0.06), (-0.2, 0.28), (-1, 0.0)):
        return
    right, z = cloth.x - MIDDLE_X, cloth.z
    top, end = 0.212, cloth.garment.hem
    width = 0.010 + 0.029 * np.clip((top - z) / (top - end), 0, 1)
    blade = np.minimum(width - np.abs(right), z - end - 0.85 * np.abs(right))
    blade = np.minimum(blade, top - z)
    knot = polygon(right, z, ((-0.019, 0.248), (0.019, 0.248), (0.012, 0.206), (-0.012, 0.206)))
    for inside, height in ((blade, 0.5), (knot, 1.2)):
        cloth.patch(inside, height=height, where=cloth.front)
        cloth.darken(0.22 * smoothstep(0.004, 0.0, inside) * (inside > 0) * cloth.front)
        _show(cloth, inside, cloth.front)
    stripes = np.abs(np.mod((right + z) / 0.026, 1) - 0.5) * 0.026
    light = shaded(cloth.garment.colour, 16.0)
    cloth.patch(np.minimum(0.0026 - stripes, np.maximum(blade, knot)), light, height=0.0)


def bow_tie(cloth: Cloth) -> None:
    """A bow at the collar."""
    if not cloth.tile.meets((-0.06, 0.06), (0.15, 0.28), (-1, 0.0)):
        return
    right, up = cloth.tile.middle, cloth.z - 0.222
    wing = np.minimum(0.048 - right, 0.010 + 0.26 * right - np.abs(up))
    knot = box(right, up, 0.0095, 0.0115, 0.003)
    for inside, height in ((wing, 0.8), (knot, 1.5)):
        cloth.patch(inside, height=height, where=cloth.front)
        cloth.darken(0.25 * smoothstep(0.004, 0.0, inside) * (inside > 0) * cloth.front)
        _show(cloth, inside, cloth.front)


def scarf(cloth: Cloth) -> None:
    """A scarf wound around the neck."""
    neck = 0.04 + 0.258 + 0.5 * cloth.y - cloth.z
    inside = np.minimum(np.minimum(neck, 0.085 - neck), 0.13 - np.abs(cloth.x))
    _show(cloth, inside)
    turns = np.sin((neck + 0.02 * np.sin(3 * np.arctan2(cloth.x, -cloth.y))) * 220)
    cloth.relief += 1.5 * turns
    cloth.darken(0.10 - 0.10 * turns)


def emblem(cloth: Cloth) -> None:
    """A shield with a bolt of lightning, on the chest of a superhero."""
    if not cloth.tile.meets((-0.12, 0.12), (-0.03, 0.2), (-1, 0.0)):
        return
    right, z = cloth.x - MIDDLE_X, cloth.z
    shield = polygon(right, z, ((-0.062, 0.150), (0.062, 0.150), (0.088, 0.112), (0.0, 0.012), (-0.088, 0.112)))
    _show(cloth, shield, cloth.front)
    cloth.patch(shield, cloth.garment.accent, height=0.6, where=cloth.front)
    cloth.patch(shield - 0.008, cloth.garment.colour, height=0.2, where=cloth.front)
    bolt = polygon(
        right, z, ((0.012, 0.138), (-0.034, 0.082), (-0.006, 0.082), (-0.018, 0.036), (0.034, 0.096), (0.006, 0.096))
    )
    cloth.patch(bolt, cloth.garment.accent, height=0.5, where=cloth.front)
    cloth.roughness -= 0.1 * cloth.cover


def badge(cloth: Cloth) -> None:
    """A policeman's star on the left breast."""
    if cloth.tile.meets((0.03, 0.13), (0.1, 0.2), (-1, 0.0)):
        _show(cloth, _star(cloth, MIDDLE_X + 0.079, 0.145, 0.024), cloth.front)


def _star(cloth: Cloth, x: float, z: float, radius: float) -> Floats:
    """A star of metal with a round shield; returns metres inside its outline."""
    turns = np.arange(14) * (np.pi / 7) + np.pi / 2
    lengths = np.where(np.arange(14) % 2 == 0, radius, 0.66 * radius)
    corners = tuple(zip((lengths * np.cos(turns)).tolist(), (lengths * np.sin(turns)).tolist(), strict=True))
    right, up = cloth.x - x, cloth.z - z
    inside = polygon(right, up, corners)
    cloth.patch(inside, _GOLD, height=1.2, roughness=0.25, where=cloth.front)
    distance = np.hypot(right, up)
    cloth.darken(0.35 * cloth.tile.ridge(distance - 0.45 * radius, 0.001) * cloth.front)
    cloth.patch(0.36 * radius - distance, _BRASS, height=0.4, roughness=0.25, where=cloth.front)
    return inside


EXTRA_DETAILS: dict[str, Callable[[Cloth], None]] = {
    "sole": sole,
    "rubber sole": rubber_sole,
    "toe cap": toe_cap,
    "quarter seam": quarter_seam,
    "laces": laces,
    "side flash": side_flash,
    "boot shaft": boot_shaft,
    "fur top": fur_top,
    "ribbed top": ribbed_top,
    "glove points": glove_points,
    "cap panels": cap_panels,
    "hat band": hat_band,
    "turn-up": turn_up,
    "ribbon": ribbon,
    "helmet rim": helmet_rim,
    "peak band": peak_band,
    "cap badge": cap_badge,
    "fur brim": fur_brim,
    "tie": tie,
    "bow tie": bow_tie,
    "scarf": scarf,
    "emblem": emblem,
    "badge": badge,
}
