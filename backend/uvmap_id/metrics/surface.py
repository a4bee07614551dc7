"""What can be told of a texture alone: the steps at its seams, and its sharpness."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.seams import seam_step
from uvmap_id.metrics.base import Sample
from uvmap_id.metrics.means import MeanMetric, square_texture
from uvmap_id.pictures import resize

_SHARPNESS_SIZE = 1024
_EDGE = 5  # texels from an island's edge that are left out


class SeamStepRatio(MeanMetric):
    """The step of colour over the seams, over the step beside them, at the texture's own size; 1 shows no seam."""

    name = "seams"
    title = "Seam step"
    unit = "x"
    higher_is_better = False

    def __init__(self, atlas: Atlas) -> None:
        super().__init__()
        self._atlas = atlas
        self._used: dict[int, NDArray[np.bool_]] = {}

    def score(self, sample: Sample) -> float:
        """See `MeanMetric.score`; `uvmap_id.atlas.seams.seam_step` says how it is measured."""
        texture = square_texture(sample)
        size = texture.shape[0]
        if size not in self._used:
            self._used[size] = self._atlas.mask(size)
        return seam_step(texture, self._atlas.seams, self._used[size]).ratio


class Sharpness(MeanMetric):
    """The variance of the Laplacian of the grey texture (Pech-Pacheco et al. 2000) over its used texels.

    Every texture is brought to 1024 x 1024 first: on a body a small texture is as blurred as its enlargement. Noise
    counts as sharpness.
    """

    name = "sharpness"
    title = "Sharpness"
    higher_is_better = True

    def __init__(self, atlas: Atlas) -> None:
        super().__init__()
        used = atlas.mask(_SHARPNESS_SIZE).astype(np.uint8)
        # The empty space is no part of the texture, and neither is the step to it.
        used[[0, -1]] = used[:, [0, -1]] = 0
        self._inside = cv2.erode(used, np.ones((2 * _EDGE + 1,) * 2, np.uint8), borderValue=0) > 0

    def score(self, sample: Sample) -> float:
        """See `MeanMetric.score`: squares of steps of 8-bit grey."""
        texture = resize(square_texture(sample), self._inside.shape)
        grey = cv2.cvtColor(texture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return float(cv2.Laplacian(grey, cv2.CV_32F)[self._inside].var(dtype=np.float64))
