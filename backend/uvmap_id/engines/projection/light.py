"""Takes the photo's light out of a face: what remains is the colour of the skin itself.

Skin reflects light that comes from far and all around almost as nine spherical harmonics of the surface normal say
(Ramamoorthi and Hanrahan 2001, "An efficient representation for irradiance environment maps"). Their weights are
fitted to the brightness of what is surely skin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.pictures import Floats, blur, resize

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
_ROUNDS = 5
_WORKING_SIDE = 160
_FEWEST_PIXELS = 100
_NORMAL_BLUR = 0.035  # Standard deviation, as a share of the region's width.
_RIDGE = 0.02
_DARKEST = 0.45  # No shading below this share of the brightest is divided out: it would only raise noise.
_FULLY_LIT = 92  # Percentile of the shading that counts as fully lit, and so keeps its brightness.
# Harmonics that are odd in x: they tell the sides of a face apart, which its own colours hardly do.
_SIDED = np.array([False, True, False, False, True, True, False, False, False])
# How unlike the sides are, as a share of the mean light: below the first the light is even and is left alone, for
# what is fitted then is mostly the face itself; from the second on it is taken out in full.
_EVEN, _ONE_SIDED = 0.12, 0.40


def harmonics(normals: NDArray[np.floating]) -> Floats:
    """(..., 9) the real spherical harmonics up to the second order, without their constants, of (..., 3) normals."""
    x, y, z = np.moveaxis(normals, -1, 0)
    return np.stack([np.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - z * z, 3 * y * y - 1], axis=-1)


def shading(colour: Floats, normals: Floats, weight: Floats) -> Floats:
    """(h, w) the light on each pixel of a face, 1 where it is fully lit, and everywhere if the light is even.

    Args:
        colour: (h, w, 3) float32 linear.
        normals: (h, w, 3) unit normals in body axes, so that x tells left from right. They are smoothed: light on
            the sides of a nose follows no nine harmonics, and a smooth error is not seen.
        weight: (h, w) 1 on what is surely skin and seen.
    """
    # Light is smooth: a small picture tells as much as a large one.
    small = (_WORKING_SIDE, _WORKING_SIDE)
    basis = harmonics(_smoothed(resize(normals, small)))
    brightness, sure = resize(colour, small) @ _LUMINANCE, resize(weight, small)
    chosen = sure > 0.3
    if chosen.sum() < _FEWEST_PIXELS:
        return np.ones(weight.shape, np.float32)
    light = _fit(basis[chosen], brightness[chosen], sure[chosen])
    light *= _one_sidedness(basis[chosen], light)
    light[0] = 0
    field = basis @ light
    # What was left of the mean carries the level that the fit found.
    level = np.average(brightness[chosen], weights=sure[chosen]) - field[chosen].mean()
    full = np.percentile((field + level)[chosen], _FULLY_LIT)
    shaded = np.maximum((field + level) / full, _DARKEST).astype(np.float32)
    return resize(shaded, (weight.shape[0], weight.shape[1]))


def _smoothed(normals: NDArray[np.floating]) -> Floats:
    soft = blur(normals, normals.shape[1] * _NORMAL_BLUR)
    return soft / (np.linalg.norm(soft, axis=-1, keepdims=True) + 1e-9)


def _fit(basis: Floats, brightness: Floats, weight: Floats) -> NDArray[np.float64]:
    """Weights of the harmonics by iterated least squares, in which beards, brows and shine count less and less."""
    robust = weight.astype(np.float64)
    light = np.zeros(basis.shape[1])
    penalty = _RIDGE * np.eye(basis.shape[1]) * robust.sum()
    penalty[0, 0] = 0
    for _ in range(_ROUNDS):
        weighted = basis * robust[:, None]
        light = np.linalg.solve(weighted.T @ basis + penalty, weighted.T @ brightness)
        error = brightness - basis @ light
        spread = 1.5 * np.median(np.abs(error)) + 1e-4
        robust = weight / (1 + (error / (2 * spread)) ** 2)
    return light


def _one_sidedness(basis: Floats, light: NDArray[np.float64]) -> float:
    """0..1 how much of the fitted shading is taken for light and not for the face itself."""
    mean = float((basis @ light).mean())
    sided = float((basis[:, _SIDED] @ light[_SIDED]).std())
    t = np.clip((sided / max(mean, 1e-4) - _EVEN) / (_ONE_SIDED - _EVEN), 0, 1)
    return float(t * t * (3 - 2 * t))
