"""Details of what is worn above the waist: seams, edges, collars, cuffs, pockets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uvmap_id.engines.projection.cloth import Cloth, Where, box, polygon
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.engines.projection.cut import below_neck, beside_opening
from uvmap_id.engines.projection.figure import ARM_Y, ARM_Z, ARMHOLE, MIDDLE_X
from uvmap_id.engines.projection.garments import shaded
from uvmap_id.pictures import Floats

_CUFF, _HEM_WIDTH, _RIB_WIDTH = 0.052, 0.02, 0.05


def seams(cloth: Cloth) -> None:
    """Armholes, sides, the undersides of the sleeves and the shoulders."""
    far, trunk = np.abs(cloth.x), np.abs(cloth.x) < ARMHOLE
    if cloth.garment.sleeve > ARMHOLE + 0.03:
        cloth.seam(far - (ARMHOLE - 0.12 * (cloth.z - 0.16)), cloth.z > 0.06)
        below = (cloth.z < ARM_Z) & ~trunk
        cloth.seam(cloth.y - ARM_Y, below)
    cloth.seam(cloth.tile.behind, trunk & (cloth.z < 0.16))
    shoulder = (cloth.z > 0.21) & (far < ARMHOLE) & (below_neck(cloth.x, cloth.y, cloth.z, cloth.garment) > 0.01)
    cloth.seam(cloth.y - 0.035, shoulder)
    if cloth.garment.fabric_name != "knit":
        cloth.stitches(_hem_depth(cloth) - 0.014, cloth.x * 1.0)


def _hem_depth(cloth: Cloth) -> Floats:
    """Metres from the lower hem and the sleeves' ends, whichever is nearer."""
    sleeve = cloth.garment.sleeve - np.abs(cloth.x)
    hem = cloth.z - cloth.garment.hem
    return np.where(np.abs(cloth.x) > ARMHOLE + 0.01, sleeve, hem)


def double_hem(cloth: Cloth) -> None:
    """Two rows of stitches along hem and sleeves."""
    depth = _hem_depth(cloth)
    for inset in (0.016, 0.020):
        cloth.stitches(depth - inset, cloth.tile.middle + cloth.y)


def bound_edges(cloth: Cloth) -> None:
    """A narrow band along every edge."""
    cloth.seam(cloth.depth - 0.009, dent=0.3)
    cloth.relief += 0.4 * cloth.tile.step(0.009 - cloth.depth)


def bound_hem(cloth: Cloth) -> None:
    """A waistband sewn to a jacket."""
    band = 0.04 - (cloth.z - cloth.garment.hem)
    trunk = (np.abs(cloth.x) < ARMHOLE).astype(np.float32)
    cloth.seam(band, trunk)
    cloth.stitches(band - 0.003, cloth.x, trunk, cloth.garment.accent if cloth.garment.fabric_name == "denim" else None)


def ribbed_neck(cloth: Cloth) -> None:
    """A band of ribbing around the neck."""
    if not cloth.tile.meets((-0.2, 0.2), (0.12, 0.4)):
        return
    depth = below_neck(cloth.x, cloth.y, cloth.z, cloth.garment)
    width = 0.013 if cloth.garment.fabric_name == "cotton" else 0.02
    turn = np.arctan2(cloth.x - MIDDLE_X, 0.0 - cloth.y)
    inside = np.minimum(width - depth, depth + 0.004)
    cloth.ribs(inside, turn * 0.075, 0.0030)
    cloth.seam(depth - width, cloth.z > 0.1)


def ribbed_cuffs(cloth: Cloth) -> None:
    """Ribbing at the ends of the sleeves."""
    width = _RIB_WIDTH if cloth.garment.sleeve > 0.5 else 0.022
    inside = np.abs(cloth.x) - (cloth.garment.sleeve - width)
    if inside.max() < -0.02:
        return
    turn = np.arctan2(cloth.y - ARM_Y, cloth.z - ARM_Z)
    arm = cloth.tile.step(np.abs(cloth.x) - ARMHOLE)
    cloth.ribs(np.where(arm > 0, inside, -1.0), turn * 0.036)
    cloth.seam(inside, arm)


def ribbed_hem(cloth: Cloth) -> None:
    """Ribbing at the lower hem."""
    inside = cloth.garment.hem + _RIB_WIDTH - cloth.z
    if inside.max() < -0.02:
        return
    turn = np.arctan2(cloth.x - MIDDLE_X, -0.02 - cloth.y)
    trunk = np.abs(cloth.x) < 0.25
    cloth.ribs(np.where(trunk, inside, -1.0), turn * 0.14)
    cloth.seam(inside, trunk)


def cuffs(cloth: Cloth) -> None:
    """Shirt cuffs: a band, stitched, with a button."""
    inside = np.abs(cloth.x) - (cloth.garment.sleeve - _CUFF)
    if inside.max() < -0.02:
        return
    cloth.relief += 0.7 * cloth.tile.step(inside)
    cloth.seam(inside)
    around = np.arctan2(cloth.y - ARM_Y, cloth.z - ARM_Z) * 0.033
    for inset in (0.004, _CUFF - 0.004):
        cloth.stitches(inside - inset, around)
    # The placket's slit and its button lie on the arm's back.
    behind = (cloth.y > ARM_Y).astype(np.float32)
    slit = (np.abs(cloth.x) > cloth.garment.sleeve - 0.15) * behind
    cloth.seam(cloth.z - ARM_Z, slit, dent=0.6)
    distance = np.hypot(np.abs(cloth.x) - (cloth.garment.sleeve - 0.026), cloth.z - ARM_Z - 0.009)
    lighter = 25.0 if sum(cloth.garment.colour) < 300 else -22.0
    cloth.patch(0.0052 - distance, shaded(cloth.garment.colour, lighter), height=1.2, roughness=0.3, where=behind)


def zipped_cuffs(cloth: Cloth) -> None:
    """A short zip on the back of each cuff."""
    behind = (cloth.y > ARM_Y) * cloth.tile.step(np.abs(cloth.x) - (cloth.garment.sleeve - 0.13))
    _zip_line(cloth, cloth.z - ARM_Z, np.abs(cloth.x), behind)
    cloth.seam(cloth.garment.sleeve - 0.012 - np.abs(cloth.x), np.abs(cloth.x) > ARMHOLE)


def _zip_line(cloth: Cloth, distance: Floats, along: Floats, where: Floats) -> None:
    """The teeth of a zip between two tapes."""
    share = cloth.tile.step(0.0032 - np.abs(distance)) * where
    teeth = np.cos(along * np.float32(2 * np.pi / max(0.0036, 2.5 * cloth.tile.texel)))
    metal = np.array([0.45, 0.44, 0.42], np.float32) * (0.75 + 0.25 * teeth)[..., None]
    cloth.colour += share[..., None] * (metal - cloth.colour)
    cloth.roughness += share * (0.32 - cloth.roughness)
    cloth.relief += share * (0.5 + 0.35 * teeth)
    for side in (-1, 1):
        cloth.stitches(distance - side * 0.010, along, where)
    cloth.darken(0.25 * smoothstep(0.006, 0.0035, np.abs(distance)) * where * (1 - share))


def zip_front(cloth: Cloth) -> None:
    """A zip down the whole front."""
    if cloth.tile.meets((MIDDLE_X - 0.03, MIDDLE_X + 0.03)):
        _zip_line(cloth, cloth.x - MIDDLE_X, cloth.z, cloth.front * (cloth.y < 0))


def back_zip(cloth: Cloth) -> None:
    """A hidden zip in the middle of the back."""
    if cloth.tile.meets((MIDDLE_X - 0.03, MIDDLE_X + 0.03), (-0.3, 0.3)):
        cloth.seam(cloth.x - MIDDLE_X, cloth.back * (cloth.z > -0.28))


def waist_seam(cloth: Cloth) -> None:
    """The seam between bodice and skirt, gathered a little, and darts below the breast."""
    cloth.seam(cloth.z + 0.03, dent=0.7)
    for side in (-0.07, 0.07):
        cloth.seam(cloth.x - MIDDLE_X - side, (cloth.z > -0.03) * (cloth.z < 0.08) * cloth.front, dent=0.3)


def chest_pocket(cloth: Cloth) -> None:
    """One pocket on the left breast."""
    if cloth.tile.meets((0.0, 0.15), (-0.02, 0.17)):
        shape = ((0.042, 0.115), (0.112, 0.115), (0.112, 0.045), (0.077, 0.032), (0.042, 0.045))
        _pocket(cloth, polygon(cloth.x, cloth.z, shape), cloth.z - 0.101)


def _pocket(cloth: Cloth, inside: Floats, top_hem: Floats) -> None:
    share = cloth.patch(inside, height=0.7, where=cloth.front)
    cloth.seam(inside, cloth.front, dent=0.3)
    cloth.stitches(inside - 0.003, cloth.x + cloth.z, cloth.front)
    cloth.stitches(top_hem, cloth.x, share)


def flap_pockets(cloth: Cloth) -> None:
    """Pockets with buttoned flaps on both breasts."""
    if not cloth.tile.meets((-0.15, 0.15), (-0.05, 0.17), (-1, 0.03)):
        return
    far = cloth.tile.middle
    bag = polygon(
        far, cloth.z, ((0.040, 0.10), (0.118, 0.10), (0.118, 0.01), (0.110, 0.002), (0.048, 0.002), (0.040, 0.01))
    )
    flap = polygon(far, cloth.z, ((0.037, 0.118), (0.121, 0.118), (0.121, 0.088), (0.079, 0.072), (0.037, 0.088)))
    _pocket(cloth, bag, np.full_like(bag, 1.0))
    cloth.seam(far - 0.079, (bag > 0) * (flap < 0) * cloth.front, dent=0.3)
    cloth.patch(flap, height=0.9, where=cloth.front)
    cloth.stitches(flap - 0.004, cloth.x + cloth.z, cloth.front)
    for side in (-1, 1):
        cloth.button(MIDDLE_X + side * 0.079, 0.083, 0.0052)


def yoke(cloth: Cloth) -> None:
    """A seam across chest and shoulder blades."""
    trunk = np.abs(cloth.x) < ARMHOLE
    line = cloth.z - np.where(cloth.tile.behind < 0, 0.125, 0.17)
    cloth.seam(line, trunk)
    thread = cloth.garment.accent if cloth.garment.fabric_name == "denim" else None
    cloth.stitches(line + 0.004, cloth.x, trunk, thread)


def shoulder_straps(cloth: Cloth) -> None:
    """Straps on the shoulders, buttoned at the neck."""
    if not cloth.tile.meets((-0.17, 0.17), (0.2, 0.32)):
        return
    inside = box(np.abs(cloth.x) - 0.118, cloth.y - 0.035, 0.042, 0.019, 0.008)
    top = cloth.tile.step(cloth.z - 0.2)
    cloth.patch(inside, shaded(cloth.garment.colour, -4.0), height=0.9, where=top)
    cloth.stitches(inside - 0.003, np.abs(cloth.x) + cloth.y, top)
    button = 0.0052 - np.hypot(np.abs(cloth.x) - 0.085, cloth.y - 0.035)
    cloth.patch(button, (178, 150, 88), height=1.0, roughness=0.35, where=top)


def hood(cloth: Cloth) -> None:
    """A hood that lies on the back, its edge around the neck, and its cords in front."""
    if not cloth.tile.meets((-0.25, 0.25), (0.05, 0.4)):
        return
    neck = below_neck(cloth.x, cloth.y, cloth.z, cloth.garment)
    turn = np.abs(np.arctan2(cloth.x - MIDDLE_X, cloth.y - 0.0))
    length = 0.022 + 0.085 * smoothstep(1.6, 0.3, turn)
    inside = np.minimum(length - neck, 1.0)
    cloth.patch(inside, height=1.6)
    cloth.darken(0.10 * smoothstep(0.02, 0.0, np.abs(inside)) * (inside < 0))
    cloth.stitches(length - 0.006 - neck, cloth.x)
    cloth.seam(cloth.x - MIDDLE_X, (inside > 0) * cloth.back, dent=0.4)
    if cloth.tile.meets((-0.06, 0.06), (0.05, 0.27), (-1, 0.0)):
        cord = np.abs(cloth.tile.middle - 0.030 - 0.004 * np.sin(cloth.z * 60))
        hangs = cloth.front * (cloth.z > 0.085) * (cloth.z < 0.215)
        cloth.patch(0.0030 - cord, cloth.garment.accent, height=1.2, where=hangs)
        tip = cloth.front * (cloth.z > 0.075) * (cloth.z < 0.085)
        cloth.patch(0.0030 - cord, (150, 150, 152), height=1.2, roughness=0.3, where=tip)


def kangaroo_pocket(cloth: Cloth) -> None:
    """The pocket for both hands on the belly of a hooded sweatshirt."""
    if cloth.tile.meets((-0.13, 0.13), (-0.25, 0.0), (-1, 0.0)):
        bottom = cloth.garment.hem + _RIB_WIDTH + 0.002
        shape = ((-0.065, -0.03), (0.065, -0.03), (0.112, -0.13), (0.112, bottom), (-0.112, bottom), (-0.112, -0.13))
        inside = polygon(cloth.x - MIDDLE_X, cloth.z, shape)
        cloth.patch(inside, height=1.0, where=cloth.front)
        cloth.stitches(inside - 0.004, cloth.z + cloth.x, cloth.front)
        cloth.stitches(inside - 0.009, cloth.z + cloth.x, cloth.front)


def panels(cloth: Cloth) -> None:
    """Seams of a skin-tight suit: down the sides and around the shoulders."""
    cloth.seam(cloth.tile.behind, np.abs(cloth.x) < ARMHOLE, dent=0.3)
    cloth.seam(cloth.tile.middle - 0.11 - 0.25 * np.clip(cloth.z - 0.05, 0, 0.2), cloth.z < 0.25, dent=0.3)
    cloth.seam(cloth.y - ARM_Y, (cloth.z < ARM_Z) & (np.abs(cloth.x) > ARMHOLE), dent=0.3)


def fur_band(cloth: Cloth, inside: Floats, where: Where = 1.0) -> None:
    """A band of fur, in the accent's colour, where `inside` is positive; its edge is not cut with a ruler."""
    tuft = 0.004 * np.clip(cloth.grain, -1.5, 1.5)
    share = cloth.patch(inside + tuft, cloth.garment.accent, height=2.2, roughness=0.97, where=where)
    cloth.relief += share * 0.8 * cloth.grain
    cloth.darken(share * np.clip(0.05 - 0.06 * cloth.grain, 0, 0.2))


def fur_front(cloth: Cloth) -> None:
    """Fur down the front's edge."""
    fur_band(cloth, 0.024 - cloth.tile.middle, cloth.front * (cloth.y < 0.01))


def fur_hem(cloth: Cloth) -> None:
    """Fur at the lower hem."""
    fur_band(cloth, cloth.garment.hem + 0.055 - cloth.z)


def fur_cuffs(cloth: Cloth) -> None:
    """Fur at the ends of the sleeves."""
    fur_band(cloth, np.abs(cloth.x) - (cloth.garment.sleeve - 0.055))


def fur_collar(cloth: Cloth) -> None:
    """Fur around the neck."""
    fur_band(cloth, 0.045 - below_neck(cloth.x, cloth.y, cloth.z, cloth.garment), np.abs(cloth.x) < 0.2)


def front_edges(cloth: Cloth) -> None:
    """The overlap of an open front: its edge runs on from the opening down to the hem."""
    if cloth.garment.opening is None or not cloth.tile.meets((-0.13, 0.13)):
        return
    edge = beside_opening(cloth.x, cloth.y, cloth.z, cloth.garment.opening)
    closed = cloth.front * (cloth.z < cloth.garment.opening)
    cloth.seam(cloth.x - MIDDLE_X - 0.002, closed, dent=0.9)
    cloth.stitches(cloth.x - MIDDLE_X - 0.008, cloth.z, closed)
    cloth.stitches(edge - 0.006, cloth.z, cloth.front * (cloth.z > cloth.garment.opening))


UPPER_DETAILS: dict[str, Callable[[Cloth], None]] = {
    "seams": seams,
    "double hem": double_hem,
    "bound edges": bound_edges,
    "bound hem": bound_hem,
    "ribbed neck": ribbed_neck,
    "ribbed cuffs": ribbed_cuffs,
    "ribbed hem": ribbed_hem,
    "cuffs": cuffs,
    "zipped cuffs": zipped_cuffs,
    "zip": zip_front,
    "back zip": back_zip,
    "waist seam": waist_seam,
    "chest pocket": chest_pocket,
    "flap pockets": flap_pockets,
    "yoke": yoke,
    "shoulder straps": shoulder_straps,
    "hood": hood,
    "kangaroo pocket": kangaroo_pocket,
    "panels": panels,
    "fur front": fur_front,
    "fur hem": fur_hem,
    "fur cuffs": fur_cuffs,
    "fur collar": fur_collar,
    "front edges": front_edges,
}
