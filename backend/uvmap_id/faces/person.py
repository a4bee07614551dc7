"""Tells the person in a photo from the background, with mediapipe's bundled selfie segmentation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.faces.landmarks import mediapipe_solutions
from uvmap_id.pictures import resize, scale

_WORKING_SIDE = 1024


class PersonFinder:
    """Holds the model; use it in one thread.

    Raises:
        UVMapError: landmarks_unavailable where mediapipe with its bundled models is not installed.
    """

    def __init__(self) -> None:
        self._model = mediapipe_solutions().selfie_segmentation.SelfieSegmentation(model_selection=0)

    def mask(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W) float32, 1 on the person and 0 on the background, of a photo (H, W, 3) uint8 sRGB."""
        height, width = image.shape[:2]
        small = scale(image, min(1.0, _WORKING_SIDE / max(height, width)))
        found = self._model.process(np.ascontiguousarray(small)).segmentation_mask
        return resize(np.asarray(found, np.float32), (height, width))
