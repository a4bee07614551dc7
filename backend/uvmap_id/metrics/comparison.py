"""How far two pictures, or two colours, are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

_SSIM_SIGMA = 1.5
_SSIM_REACH = 8  # pixels beyond a region that its edge's windows see


def median_lab(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(3,) CIE Lab, D65: the median of each channel over (N, 3) sRGB colours."""
    return np.median(rgb2lab(colours[None])[0], axis=0)


def ciede2000(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The difference of two colours, (3,) CIE Lab (Sharma, Wu and Dalal 2005); about 1 is just noticed."""
    return float(deltaE_ciede2000(one, other))


def psnr(image: NDArray[np.uint8], truth: NDArray[np.uint8], region: NDArray[np.bool_]) -> float:
    """Peak signal to noise in dB over all channels of (H, W, 3) sRGB within a region (H, W)."""
    error = image[region].astype(np.float64) - truth[region]
    return float(10 * np.log10(255**2 / max(float((error**2).mean()), 1e-9)))


def ssim(image: NDArray[np.uint8], truth: NDArray[np.uint8], region: NDArray[np.bool_]) -> float:
    """Structural similarity (Wang et al. 2004: Gaussian window of sigma 1.5) of (H, W, 3) sRGB within a region (H, W).

    The mean over channels and over the region, which may not be empty; 1 for the same picture.
    """
    rows, columns = np.nonzero(region)
    low = np.maximum(0, (rows.min() - _SSIM_REACH, columns.min() - _SSIM_REACH))
    box = np.s_[low[0] : rows.max() + _SSIM_REACH + 1, low[1] : columns.max() + _SSIM_REACH + 1]
    similar = structural_similarity(
        image[box],
        truth[box],
        data_range=255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=_SSIM_SIGMA,
        use_sample_covariance=False,
        full=True,
    )[1]
    return float(similar[region[box]].mean())
