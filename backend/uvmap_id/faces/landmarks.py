"""Finds faces and their 478 landmarks with mediapipe's face mesh.

The landmarks' numbers are those of mediapipe's face mesh; 468 lie on the face, 10 on the irises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from uvmap_id.faces.mediapipe_models import load_face_models

LANDMARK_COUNT = 478
MESH_LANDMARK_COUNT = 468  # without the irises, which come last
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
# The lids' edges, from the outer corner below the eye to the inner corner and back above it.
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
_CROP_MARGIN = 0.6
_SAME_FACE = 0.3
_WINDOW_PARTS = (1, 2, 4)
_SMALLEST_WINDOW = 128
# Many windows mean many chances for a cup to look like a face.
_SURE_IN_WHOLE, _SURE_IN_WINDOW = 0.5, 0.75


@dataclass(frozen=True, slots=True)
class FaceLandmarks:
    """One face in an image.

    Attributes:
        points: (478, 3) float32: x and y in pixels, origin top left; z is depth in the same unit, smaller is nearer.
    """

    points: NDArray[np.float32]

    @property
    def eye_distance(self) -> float:
        """Pixels between the outer corners of the eyes."""
        return float(np.linalg.norm(self.points[RIGHT_EYE_OUTER, :2] - self.points[LEFT_EYE_OUTER, :2]))

    @property
    def area(self) -> float:
        """Square pixels of the box around the face."""
        return float(np.prod(np.ptp(self.points[:, :2], axis=0)))


class FaceFinder:
    """Holds mediapipe's models; use it as a context manager, in one thread.

    Raises:
        UVMapError: landmarks_unavailable or weights_invalid, see `load_face_models`.
    """

    def __init__(self) -> None:
        self._models = load_face_models()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the models."""
        self._models.close()

    def find(self, image: NDArray[np.uint8]) -> list[FaceLandmarks]:
        """All faces in an image, (H, W, 3) uint8 sRGB, the largest first. Empty where there is none."""
        faces = [face for box in self._boxes(image) if (face := self._mesh_in(image, box)) is not None]
        if not faces:
            height, width = image.shape[:2]
            whole = self._mesh_in(image, np.array([0, 0, width, height], np.float64))
            faces = [] if whole is None else [whole]
        return sorted(faces, key=lambda face: face.area, reverse=True)

    def _boxes(self, image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
        """Boxes x0, y0, x1, y1 in pixels. Where the whole photo shows no face, smaller and smaller windows are tried.

        The detectors see 192 pixels at most: a face of a fortieth of the photo's width escapes them otherwise.
        """
        for parts in _WINDOW_PARTS:
            boxes: list[NDArray[np.float64]] = []
            for window in _windows(image.shape[0], image.shape[1], parts):
                surety = _SURE_IN_WHOLE if parts == 1 else _SURE_IN_WINDOW
                for box in self._boxes_in(image, window, surety):
                    if all(_overlap(box, other) < _SAME_FACE for other in boxes):
                        boxes.append(box)
            if boxes:
                return boxes
        return []

    def _boxes_in(
        self, image: NDArray[np.uint8], window: NDArray[np.int64], surety: float
    ) -> Iterator[NDArray[np.float64]]:
        left, top, right, bottom = window
        crop = np.ascontiguousarray(image[top:bottom, left:right])
        size = np.array([right - left, bottom - top] * 2)
        for sure, box in self._models.boxes(crop):
            if sure >= surety:
                yield box * size + [left, top, left, top]

    def _mesh_in(self, image: NDArray[np.uint8], box: NDArray[np.float64]) -> FaceLandmarks | None:
        """Landmarks of the face in a box. A crop around the box lets the mesh see small faces in large photos."""
        height, width = image.shape[:2]
        margin = _CROP_MARGIN * (box[2:] - box[:2]).max()
        left, top = np.clip(np.floor(box[:2] - margin), 0, [width - 1, height - 1]).astype(int)
        right, bottom = np.clip(np.ceil(box[2:] + margin), [left + 1, top + 1], [width, height]).astype(int)
        crop = np.ascontiguousarray(image[top:bottom, left:right])
        found = self._models.mesh(crop)
        if found is None:
            return None
        points = found * [right - left, bottom - top, right - left] + [left, top, 0]
        return FaceLandmarks(points.astype(np.float32))


def _windows(height: int, width: int, parts: int) -> list[NDArray[np.int64]]:
    """Boxes that cut a photo in so many parts a side, each overlapping its neighbour by half."""
    if parts > 1 and min(height, width) < parts * _SMALLEST_WINDOW:
        return []
    across, down = width // parts, height // parts
    return [
        np.array([column * across // 2, row * down // 2, column * across // 2 + across, row * down // 2 + down])
        for row in range(2 * parts - 1)
        for column in range(2 * parts - 1)
    ]


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes."""
    extent = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)
    shared = extent.prod()
    return float(shared / max((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared, 1e-9))
