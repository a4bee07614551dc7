"""Folds of cloth: where joints bend, where it hangs and where it is gathered. Smooth, so drawn small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.engines.projection.fields import GUIDE_SIZE, noise_at
from uvmap_id.engines.projection.figure import ARM_Z, MIDDLE_X, on_arm, side_y
from uvmap_id.engines.projection.garments import Garment
from uvmap_id.pictures import Floats, blur

_MILLIMETRES = 3.6  # Height of a fold in cloth as loose as a shirt.


@dataclass(frozen=True, slots=True)
class _Places:
    """(N,) positions of the texels that a garment covers."""

    x: Floats
    y: Floats
    z: Floats


def fold_relief(canvas: Canvas, garment: Garment, worn: NDArray[np.bool_]) -> Floats:
    """(G, G) millimetres, about zero on average. `worn` (G, G) is true where the garment is."""
    chosen = np.flatnonzero(worn & canvas.guide.near)
    x, y, z = canvas.guide.position.reshape(-1, 3)[chosen].T
    places = _Places(x, y, z)
    draw = {"upper": _upper, "lower": _lower}.get(garment.slot)
    relief = np.zeros(GUIDE_SIZE**2, np.float32)
    if draw is not None and len(chosen):
        relief[chosen] = draw(places, garment, canvas.random) * (_MILLIMETRES * garment.loose)
    return blur(relief.reshape(GUIDE_SIZE, GUIDE_SIZE), 0.8)


def _upper(at: _Places, garment: Garment, random: np.random.Generator) -> Floats:
    far = np.abs(at.x)
    arm = on_arm(at.x, at.z)
    bend = _near(far, 0.43, 0.075) + 0.7 * _near(far, garment.sleeve - 0.03, 0.06) + 0.35
    sleeve = _creases(random, far + 0.45 * (at.z - ARM_Z), at.y, at.z, 0.042, 0.14) * bend
    # From the armpits cloth is drawn across chest and back, like the spokes of a fan.
    from_armpit = np.hypot(far - 0.165, at.z - 0.12)
    turn = np.arctan2(0.12 - at.z, 0.165 - far + 0.02)
    fan = _creases(random, 0.055 * turn, 0.4 * from_armpit, at.y, 0.028, 0.10) * _near(from_armpit, 0.06, 0.075)
    slant = at.z + 0.3 * at.x * np.sign(side_y(at.z) - at.y)
    waist = _creases(random, slant, at.x, at.y, 0.05, 0.16) * (0.25 + _near(at.z, -0.06, 0.09))
    trunk = 0.8 * fan + 0.75 * waist
    if garment.hem < -0.4:
        trunk = trunk * smoothstep(-0.2, -0.05, at.z) + _hanging(at, random)
    return np.where(arm, 1.0 * sleeve, trunk * smoothstep(0.29, 0.2, at.z))


def _lower(at: _Places, garment: Garment, random: np.random.Generator) -> Floats:
    if garment.whole:
        return _hanging(at, random)
    behind = at.y - side_y(at.z)
    knee = _near(at.z, -0.74, 0.085) * (0.55 + 0.6 * smoothstep(-0.04, 0.05, behind))
    stacked = 1.2 * _near(at.z, garment.hem + 0.03, 0.07) * (garment.hem < -0.85)
    slant = at.z + 0.5 * behind * np.sign(at.x)
    leg = _creases(random, slant, at.x, at.y, 0.042, 0.13) * (1.5 * knee + stacked + 0.25)
    # Whiskers: from the crotch outwards, and under the seat.
    far = np.hypot(at.x - MIDDLE_X, at.z + 0.375)
    turn = np.arctan2(at.z + 0.375, np.abs(at.x - MIDDLE_X) + 0.01)
    sides = np.sign(at.x - MIDDLE_X)
    whiskers = _creases(random, 0.06 * turn, 0.4 * far * sides, 0.3 * at.y, 0.030, 0.09) * _near(far, 0.085, 0.075)
    seat = _creases(random, at.z + 0.3 * behind, at.x, at.y, 0.035, 0.12) * _near(at.z, -0.40, 0.05)
    return leg + 0.8 * whiskers + 0.6 * seat * smoothstep(0.0, 0.03, behind)


def _hanging(at: _Places, random: np.random.Generator) -> Floats:
    """Folds that fall from the waist of a skirt and deepen downwards."""
    angle = np.arctan2(at.x - MIDDLE_X, side_y(at.z) - at.y)
    drop = smoothstep(-0.12, -0.5, at.z)
    across, aside = 0.16 * np.sin(angle), 0.16 * np.cos(angle)
    return 1.5 * drop * _creases(random, across, aside, at.z, 0.055, 0.055, 0.9)


def _near(value: Floats, middle: float, width: float) -> Floats:
    return np.exp(-(((value - middle) / width) ** 2))


def _creases(
    random: np.random.Generator,
    across: Floats,
    along: Floats,
    third: Floats,
    short: float,
    long: float,
    longest: float | None = None,
) -> Floats:
    """(N,) rounded ridges with narrow valleys, `short` metres from one to the next and `long` in length."""
    places = np.stack([across / short, along / long, third / (longest or long)], axis=1).astype(np.float32)
    noise = noise_at(places * 1.4, random)
    return np.sqrt(noise * noise + 0.03) - 0.8
