"""Padding: texels that nothing was painted on take their colour from those around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def filled(pixels: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill what isn't known, however far it is from what is: by averages of ever larger squares.

    The pull-push of Gortler and others ("The Lumigraph", 1996), with squares of 2, 4, 8, ... texels.

    Args:
        pixels: (N, N, C); N is a power of two.
        known: (N, N) how much each texel is to be trusted, 0 to 1.

    Returns:
        (N, N, C); as it was where `known` is 1.
    """
    if len(pixels) == 1:
        return pixels
    trust = known[..., None]
    weight = _quarters(trust)
    mean = _quarters(pixels * trust)
    mean /= np.maximum(weight, 1e-6)
    coarse = filled(mean, weight[..., 0].clip(max=1))
    whole = coarse.repeat(2, axis=0).repeat(2, axis=1)
    whole += (pixels - whole) * trust
    return whole


def _quarters(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sums of two by two texels."""
    return pixels[0::2, 0::2] + pixels[1::2, 0::2] + pixels[0::2, 1::2] + pixels[1::2, 1::2]
