"""Details of trousers, skirts and belts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uvmap_id.engines.projection.cloth import Cloth, box, polygon
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.engines.projection.figure import CROTCH_Z, MIDDLE_X, side_y
from uvmap_id.engines.projection.garments import Rgb, shaded
from uvmap_id.pictures import Floats

_WAISTBAND = 0.036
_LEG_X = 0.09


def _thread(cloth: Cloth) -> Rgb | None:
    return cloth.garment.accent if cloth.garment.fabric_name == "denim" else None


def leg_seams(cloth: Cloth) -> None:
    """Seams down the outer and the inner sides of the legs, around the seat, and the hems' stitches."""
    behind = cloth.tile.behind
    outer = np.abs(cloth.x) > _LEG_X
    inner = ~outer & (cloth.z < CROTCH_Z + 0.03)
    cloth.seam(behind, outer | inner)
    if cloth.garment.fabric_name == "denim":
        for inset in (0.004, 0.009):
            cloth.stitches(behind + inset, cloth.z, inner | (outer & (cloth.z > -0.30)), _thread(cloth))
    middle = (cloth.z > CROTCH_Z - 0.03) & (np.abs(cloth.x) < 0.03)
    cloth.seam(cloth.x - MIDDLE_X * smoothstep(-0.4, -0.3, cloth.z), middle, dent=0.7)
    if cloth.garment.fabric_name not in ("spandex", "fleece"):
        cloth.seam(cloth.z - cloth.garment.hem - 0.020, dent=0.25)
        cloth.stitches(cloth.z - cloth.garment.hem - 0.018, cloth.x + cloth.y, 1.0, _thread(cloth))


def waistband(cloth: Cloth) -> None:
    """The band around the waist."""
    inside = cloth.z - (cloth.garment.waist - _WAISTBAND)
    if inside.max() < -0.02:
        return
    cloth.relief += 0.8 * cloth.tile.step(inside)
    cloth.seam(inside, inside > -0.05, dent=0.6)
    around = np.arctan2(cloth.x - MIDDLE_X, side_y(cloth.z) - cloth.y) * 0.14
    for inset in (0.004, _WAISTBAND - 0.005):
        cloth.stitches(inside - inset, around, inside > -0.05, _thread(cloth))


def belt_loops(cloth: Cloth) -> None:
    """Loops on the waistband: two in front, one over each hip, three behind."""
    up = cloth.z - (cloth.garment.waist - _WAISTBAND / 2)
    if np.abs(up).min() > 0.04:
        return
    far = cloth.tile.middle
    for place, side in ((0.075, cloth.front), (0.075, cloth.back), (0.0, cloth.back)):
        inside = box(far - place, up, 0.0055, 0.021, 0.001)
        cloth.patch(inside, height=1.3, where=side)
        cloth.stitches(inside - 0.002, up, side, _thread(cloth))


def fly(cloth: Cloth) -> None:
    """The fly: an edge in the middle, and the curved stitches beside it."""
    if not cloth.tile.meets((-0.06, 0.06), (-0.36, -0.08), (-1, 0)):
        return
    top = cloth.garment.waist - _WAISTBAND
    right, up = cloth.x - MIDDLE_X, cloth.z
    cloth.seam(right, cloth.front * (up < top) * (up > top - 0.17), dent=0.9)
    # A J: straight down, then round to the middle.
    bend = top - 0.105
    straight = np.where(up > bend, right - 0.032, 1.0)
    curve = np.where((up <= bend) & (right > 0), np.hypot(right, 0.75 * (up - bend)) - 0.032, 1.0)
    for inset in (0.0, 0.004):
        line = np.where(np.abs(straight) < np.abs(curve), straight, curve) + inset
        cloth.stitches(line, cloth.z, cloth.front * (up < top), _thread(cloth))


def jeans_button(cloth: Cloth) -> None:
    """The metal button of jeans, and rivets at the pockets."""
    copper = (168, 120, 82)
    cloth.button(MIDDLE_X, cloth.garment.waist - 0.018, 0.0085, copper)
    if cloth.tile.meets((-0.17, 0.17), (-0.26, -0.14), (-1, 0.02)):
        for x, z in ((0.062, -0.167), (0.138, -0.212)):
            distance = np.hypot(cloth.tile.middle - x, cloth.z - z)
            cloth.patch(0.0034 - distance, copper, height=0.9, roughness=0.35, where=cloth.front)


def jeans_pockets(cloth: Cloth) -> None:
    """The curved front pockets of jeans, and the small one for coins."""
    top = cloth.garment.waist - _WAISTBAND if cloth.garment.waist < 0 else -0.16
    if not cloth.tile.meets((-0.2, 0.2), (-0.28, -0.1), (-1, 0.03)):
        return
    far = cloth.tile.middle
    # A quarter of an ellipse whose middle is where waistband and side seam meet.
    if not cloth.front.any():
        return
    bow = (1 - np.hypot((far - 0.157) / 0.098, (cloth.z - top) / 0.066)) * 0.066
    where = cloth.front * (cloth.z < top + 0.001)
    cloth.relief -= 0.5 * cloth.tile.step(bow) * where
    cloth.darken(0.22 * smoothstep(-0.001, 0.001, bow) * smoothstep(0.012, 0.001, bow) * where)
    for inset in (0.004, 0.009):
        cloth.stitches(bow + inset, far + cloth.z, where, _thread(cloth))
    coin = np.minimum(0.020 - np.abs(cloth.x + 0.118), top - 0.022 - cloth.z)
    share = cloth.tile.step(bow) * where
    cloth.stitches(coin - 0.002, cloth.x + cloth.z, share, _thread(cloth))


def back_pockets(cloth: Cloth) -> None:
    """The patch pockets on the seat, and the yoke above them."""
    if not cloth.tile.meets((-0.17, 0.17), (-0.42, -0.1), (-0.02, 1)):
        return
    far = cloth.tile.middle
    shape = ((0.030, -0.212), (0.118, -0.204), (0.112, -0.305), (0.072, -0.330), (0.036, -0.310))
    inside = polygon(far, cloth.z, shape)
    share = cloth.patch(inside, height=0.9, where=cloth.back)
    cloth.darken(-0.06 * share * smoothstep(0.05, 0.0, inside))
    for inset in (0.003, 0.008):
        cloth.stitches(inside - inset, far + cloth.z, cloth.back, _thread(cloth))
    cloth.stitches(cloth.z + 0.224 - 0.012 * np.cos((far - 0.072) * 90), far, share, _thread(cloth))
    wings = cloth.z + 0.268 + 0.35 * np.abs(far - 0.074) - 0.008 * np.cos((far - 0.074) * 130)
    cloth.stitches(wings, far, share * (inside > 0.012), _thread(cloth))
    yoke = cloth.z + 0.196 - 0.22 * (far - 0.075)
    cloth.seam(yoke, cloth.back)
    cloth.stitches(yoke - 0.004, far, cloth.back, _thread(cloth))


def slanted_hips(cloth: Cloth) -> None:
    """Side pockets of trousers: slanted edges on the hips."""
    top = cloth.garment.waist - _WAISTBAND
    if cloth.tile.meets((-0.2, 0.2), (top - 0.2, top + 0.02), (-1, 0.05)):
        across = 0.93 * (cloth.tile.middle - 0.105) - 0.36 * (top - cloth.z)
        where = cloth.front * (cloth.z < top) * (cloth.z > top - 0.145)
        cloth.seam(across, where, dent=0.9)
        cloth.stitches(across + 0.005, cloth.z, where)


def welt_seat(cloth: Cloth) -> None:
    """Two narrow back pockets, each with a button, below darts."""
    if cloth.tile.meets((-0.17, 0.17), (-0.3, -0.1), (-0.02, 1)):
        right, up = cloth.tile.middle - 0.078, cloth.z + 0.225
        cloth.patch(box(right, up, 0.048, 0.0055), height=0.6, where=cloth.back)
        cloth.seam(up, (np.abs(right) < 0.046) * cloth.back, dent=0.7)
        cloth.seam(right, (up > 0.006) * (cloth.z < cloth.garment.waist - _WAISTBAND) * cloth.back, dent=0.3)
        darker = shaded(cloth.garment.colour, -10.0 if sum(cloth.garment.colour) > 200 else 14.0)
        cloth.patch(0.0055 - np.hypot(right, up + 0.016), darker, height=1.0, roughness=0.35, where=cloth.back)


def crease(cloth: Cloth) -> None:
    """The pressed line down front and back of a suit's trousers."""
    below = smoothstep(-0.24, -0.42, cloth.z)
    line = cloth.tile.ridge(np.abs(cloth.x) - 0.092, 0.004) * below
    cloth.relief += smoothstep(0.020, 0.0, np.abs(np.abs(cloth.x) - 0.092)) * below
    cloth.darken(-0.10 * line)


def cargo_pockets(cloth: Cloth) -> None:
    """Large pockets with flaps on the outer thighs."""
    if not cloth.tile.meets((-0.2, 0.2), (-0.75, -0.42)):
        return
    outer = (np.abs(cloth.x) > _LEG_X).astype(np.float32)
    right, up = cloth.tile.behind + 0.006, cloth.z + 0.59
    bag = box(right, up, 0.058, 0.078, 0.006)
    cloth.patch(bag, height=1.4, where=outer)
    cloth.stitches(bag - 0.004, right + up, outer)
    cloth.seam(right, (bag > 0) * outer, dent=0.4)
    flap = box(right, up - 0.062, 0.061, 0.024, 0.006)
    cloth.patch(flap, height=1.4, where=outer)
    cloth.stitches(flap - 0.004, right + up, outer)


def knee_patches(cloth: Cloth) -> None:
    """A second layer of cloth on the knees."""
    if cloth.tile.meets((-0.2, 0.2), (-0.9, -0.6), (-1, 0.05)):
        inside = box(np.abs(cloth.x) - _LEG_X, cloth.z + 0.75, 0.046, 0.095, 0.012)
        cloth.patch(inside, height=0.7, where=cloth.front)
        cloth.stitches(inside - 0.004, cloth.x + cloth.z, cloth.front)


def denim_fade(cloth: Cloth) -> None:
    """Jeans lose their indigo on thighs, knees and seat, first on the crests of folds."""
    legs = np.exp(-(((np.abs(cloth.x) - 0.09) / 0.035) ** 2))
    thigh = np.exp(-(((cloth.z + 0.52) / 0.16) ** 2)) + 0.7 * np.exp(-(((cloth.z + 0.76) / 0.07) ** 2))
    seat = 0.7 * np.exp(-(((cloth.z + 0.30) / 0.08) ** 2)) * smoothstep(0.02, 0.07, cloth.tile.behind)
    worn = np.clip(legs * thigh * smoothstep(0.0, -0.04, cloth.tile.behind) + seat * legs, 0, 1)
    amount = 0.34 * worn * (1 + 0.12 * np.clip(cloth.grain, -2, 2))
    cloth.blend(amount, np.array([0.30, 0.38, 0.50], np.float32) * float(min(1.0, 0.25 + cloth.colour.mean() * 4)))
    hem = smoothstep(0.02, 0.0, cloth.depth)
    cloth.blend(0.18 * hem, np.array([0.30, 0.36, 0.45], np.float32))


def side_stripes(cloth: Cloth) -> None:
    """Two stripes down the legs' outer sides, in the accent's colour."""
    outer = (np.abs(cloth.x) > _LEG_X).astype(np.float32)
    for place in (-0.010, 0.010):
        cloth.patch(0.0065 - np.abs(cloth.tile.behind - place), cloth.garment.accent, height=0.3, where=outer)


def drawstring(cloth: Cloth) -> None:
    """An elastic waist that is gathered, and a bow of cord."""
    inside = cloth.z - (cloth.garment.waist - _WAISTBAND)
    if inside.max() < -0.02 and not cloth.tile.meets((-0.05, 0.05), (-0.3, -0.1), (-1, 0)):
        return
    around = np.arctan2(cloth.x - MIDDLE_X, side_y(cloth.z) - cloth.y)
    cloth.ribs(inside, around * 0.14, 0.008)
    cloth.seam(inside, inside > -0.05)
    if cloth.tile.meets((-0.05, 0.05), (-0.3, -0.1), (-1, 0)):
        far, down = cloth.tile.middle, cloth.garment.waist - 0.02 - cloth.z
        cord = np.abs(far - 0.010 - 0.10 * down)
        cloth.patch(0.0028 - cord, cloth.garment.accent, height=1.2, where=cloth.front * (down > 0) * (down < 0.10))


def ribbed_ankles(cloth: Cloth) -> None:
    """Ribbing at the legs' ends."""
    inside = cloth.garment.hem + 0.045 - cloth.z
    if inside.max() < -0.02:
        return
    cloth.ribs(inside, np.arctan2(np.abs(cloth.x) - _LEG_X, cloth.tile.behind) * 0.045)
    cloth.seam(inside)


def side_zip(cloth: Cloth) -> None:
    """A skirt's seams on both hips."""
    cloth.seam(cloth.tile.behind, np.abs(cloth.x) > 0.06)


def buckle(cloth: Cloth) -> None:
    """A belt's buckle, in the middle, and the stitches along its edges."""
    cloth.relief += 1.2 * smoothstep(0.0, 0.003, cloth.depth)
    around = np.arctan2(cloth.x - MIDDLE_X, side_y(cloth.z) - cloth.y) * 0.14
    cloth.stitches(cloth.depth - 0.004, around)
    height = (cloth.garment.waist + cloth.garment.hem) / 2
    if cloth.tile.meets((-0.05, 0.05), (height - 0.05, height + 0.05), (-1, 0)):
        right, up = cloth.x - MIDDLE_X, cloth.z - height
        outer = box(right, up, 0.026, 0.0215, 0.005)
        frame = np.minimum(outer, 0.0058 - outer)
        cloth.cover = np.maximum(cloth.cover, cloth.tile.step(outer) * cloth.front)
        cloth.patch(frame, (196, 176, 128), height=2.2, roughness=0.25, where=cloth.front)
        cloth.patch(
            box(right - 0.004, up, 0.021, 0.0022), (196, 176, 128), height=2.4, roughness=0.25, where=cloth.front
        )


def belt_holes(cloth: Cloth) -> None:
    """The end of the belt beside its buckle: its holes and its loop."""
    height = (cloth.garment.waist + cloth.garment.hem) / 2
    if cloth.tile.meets((0.0, 0.14), (height - 0.03, height + 0.03), (-1, 0)):
        right, up = cloth.x - MIDDLE_X, cloth.z - height
        place = right - 0.045
        holes = np.hypot(place - 0.018 * np.clip(np.round(place / 0.018), 0, 2), up)
        cloth.darken(0.7 * cloth.tile.step(0.0021 - holes) * cloth.front)
        loop: Floats = 0.005 - np.abs(right - 0.105)
        cloth.patch(loop, height=1.0, where=cloth.front * (np.abs(up) < 0.019))


LOWER_DETAILS: dict[str, Callable[[Cloth], None]] = {
    "leg seams": leg_seams,
    "waistband": waistband,
    "belt loops": belt_loops,
    "fly": fly,
    "jeans button": jeans_button,
    "jeans pockets": jeans_pockets,
    "back pockets": back_pockets,
    "slanted hips": slanted_hips,
    "welt seat": welt_seat,
    "crease": crease,
    "cargo pockets": cargo_pockets,
    "knee patches": knee_patches,
    "denim fade": denim_fade,
    "side stripes": side_stripes,
    "drawstring": drawstring,
    "ribbed ankles": ribbed_ankles,
    "side zip": side_zip,
    "buckle": buckle,
    "belt holes": belt_holes,
}
