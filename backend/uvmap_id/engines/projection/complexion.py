"""Where skin is redder, paler or darker than elsewhere: measured on the body, drawn small because it is smooth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.engines.projection.figure import ARM_Y, ARM_Z, MIDDLE_X, side_y
from uvmap_id.pictures import Floats

_NAVEL_Z, _NAVEL_RADIUS = 0.0, 0.007


@dataclass(frozen=True, slots=True)
class Complexion:
    """(G, G) each, 0..1.

    Attributes:
        flush: Where blood shows: knuckles, fingertips, elbows, knees, heels, toes.
        pale: Where skin is thick and never tanned: palms and soles.
        crease: Fine lines over joints, and the navel: a little darker, and rough in relief.
    """

    flush: Floats
    pale: Floats
    crease: Floats


def complexion(position: Floats) -> Complexion:
    """Read it off the positions of the body, (G, G, 3) metres."""
    x, y, z = np.moveaxis(position, -1, 0)
    far = np.abs(x)
    hand, foot = smoothstep(0.66, 0.70, far), smoothstep(-1.03, -1.07, z)
    # Palms look down in the T-pose; the hand hangs a little, so that the limit falls towards the fingers.
    upper = smoothstep(-0.004, 0.008, z - (0.214 - 0.05 * (far - 0.68)))
    joints = _near(far, 0.735, 0.012) + 0.8 * _near(far, 0.775, 0.009) + 0.9 * smoothstep(0.80, 0.82, far)
    thumb = smoothstep(-0.02, -0.04, y)
    elbow = _near(far, 0.435, 0.035) * smoothstep(ARM_Y + 0.015, ARM_Y + 0.04, y) * (z > 0.1)
    knee = _near(z, -0.735, 0.04) * smoothstep(-0.005, -0.05, y - side_y(z))
    toes = foot * smoothstep(-0.09, -0.125, y)
    heel = foot * smoothstep(0.075, 0.095, y)
    ball = foot * smoothstep(-1.10, -1.115, z)
    palm, sole = hand * (1 - upper), foot * smoothstep(-1.112, -1.119, z)
    navel = smoothstep(1.0, 0.3, np.hypot(x - MIDDLE_X, 0.8 * (z - _NAVEL_Z)) / _NAVEL_RADIUS) * (y < 0)
    flush = hand * upper * (0.25 + 0.75 * np.clip(joints + 0.6 * thumb, 0, 1)) + 0.45 * palm
    flush = flush + 0.8 * elbow + 0.8 * knee + 0.7 * toes + 0.6 * heel + 0.25 * ball
    crease = 0.5 * hand * upper * (_near(far, 0.775, 0.005) + _near(far, 0.755, 0.004)) + navel + 0.25 * elbow
    inner_arm = 0.35 * smoothstep(ARM_Z + 0.01, ARM_Z - 0.02, z) * (far > 0.2) * (far < 0.66)
    pale = np.clip(palm + sole + inner_arm, 0, 1)
    return Complexion(*(np.clip(field, 0, 1).astype(np.float32) for field in (flush, pale, crease)))


def _near(value: Floats, middle: float, width: float) -> Floats:
    return np.exp(-(((value - middle) / width) ** 2))
