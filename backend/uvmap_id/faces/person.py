"""Tells the person in a photo from the background, with mediapipe's selfie segmentation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.faces.mediapipe_models import load_mediapipe
from uvmap_id.pictures import resize, scale

_WORKING_SIDE = 1024


class PersonFinder:
    """Holds the model, if the installed mediapipe brings it; use it in one thread.

    Raises:
        UVMapError: landmarks_unavailable where mediapipe is not installed.
    """

    def __init__(self) -> None:
        solutions = getattr(load_mediapipe(), "solutions", None)
        self._model = None if solutions is None else solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)

    def mask(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W) float32, 1 on the person and 0 on the background, of a photo (H, W, 3) uint8 sRGB.

        Without the model everything counts as the person.
        """
        height, width = image.shape[:2]
        if self._model is None:
            return np.ones((height, width), np.float32)
        small = scale(image, min(1.0, _WORKING_SIDE / max(height, width)))
        found = self._model.process(np.ascontiguousarray(small)).segmentation_mask
        return resize(np.asarray(found, np.float32), (height, width))
