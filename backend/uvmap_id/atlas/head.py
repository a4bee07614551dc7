"""Where hair grows and where the ears are, on the atlas's head."""

from __future__ import annotations

import numpy as np

from uvmap_id.pictures import Floats

# The hairline from the forehead past the ear to the nape, in the T-pose: y (front to back) and z, metres.
_HAIRLINE_Y = (-0.110, -0.085, -0.060, -0.035, -0.015, 0.010, 0.030, 0.055, 0.100)
_HAIRLINE_Z = (0.516, 0.508, 0.486, 0.452, 0.428, 0.425, 0.395, 0.345, 0.332)
# The ears: middles and half axes, in UV.
_EARS = ((0.130, 0.780), (0.469, 0.780))
_EAR_AXES = (0.029, 0.053)


def hairline(back: Floats) -> Floats:
    """(...) the height z above which hair grows at these y, metres in the T-pose."""
    return np.interp(back, _HAIRLINE_Y, _HAIRLINE_Z)


def ear_distance(u: Floats, v: Floats) -> Floats:
    """(...) how far from the nearer ear's middle, as a share of the way to its edge."""
    return np.min([np.hypot((u - x) / _EAR_AXES[0], (v - y) / _EAR_AXES[1]) for x, y in _EARS], axis=0)
