"""Smooth surfaces through known values: what gradient-domain blending and filling come down to."""

from __future__ import annotations

import cv2
import numpy as np

from uvmap_id.pictures import Floats, resize

_COARSEST = 6
_ROUNDS = 14
_STIFF = 50.0  # How much a known value outweighs its four neighbours.


def membrane(values: Floats, known: Floats, reach: float = np.inf) -> Floats:
    """The smooth field that goes through known values.

    It minimises the squared difference from the known values, the squared gradient and, where `reach` is finite, its
    own square, so that it decays to zero away from them: Laplace's equation, or the screened Poisson equation (Bhat
    et al. 2008, "Fourier analysis of the 2D screened Poisson equation for gradient domain problems"). Solved by
    relaxation from coarse to fine.

    Args:
        values: (h, w, C) float32; anything where nothing is known.
        known: (h, w) 0..1, how much a value is to be trusted.
        reach: Pixels within which the field falls to a third; infinite to have it go on for ever.

    Returns:
        (h, w, C) float32; zeros where nothing is known at all.
    """
    pyramid = [(values * known[..., None], known.astype(np.float32))]
    while min(pyramid[-1][1].shape) > _COARSEST:
        total, weight = pyramid[-1]
        shape = ((weight.shape[0] + 1) // 2, (weight.shape[1] + 1) // 2)
        pyramid.append((resize(total, shape), resize(weight, shape)))
    total, weight = pyramid[-1]
    mean = total.sum(axis=(0, 1)) / max(float(weight.sum()), 1e-6)
    field = np.broadcast_to(mean, total.shape).astype(np.float32)
    for total, weight in reversed(pyramid):
        step = values.shape[1] / weight.shape[1]
        field = _relaxed(resize(field, weight.shape), total, weight, (step / reach) ** 2)
    return field


def _relaxed(field: Floats, total: Floats, weight: Floats, screen: float) -> Floats:
    kernel = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)
    share = (1 / (4 + screen + _STIFF * weight))[..., None]
    pull = _STIFF * total * share
    for _ in range(_ROUNDS):
        field = np.asarray(cv2.filter2D(field, -1, kernel, borderType=cv2.BORDER_REPLICATE)) * share + pull
    return field.astype(np.float32)
