"""Two independent ways to say who somebody is, and from where on two faces count as one person."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.faces.embedding import normalised
from uvmap_id.faces.recogniser import Recogniser
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pictures import scale

YUNET, SFACE = "face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx"
# Cosine from which two faces count as one person. ArcFace: deepface's threshold, a cosine distance of 0.68.
# SFace: OpenCV's own, best on Labeled Faces in the Wild.
ARCFACE_THRESHOLD = 0.32
SFACE_THRESHOLD = 0.363
_YUNET_SURE, _YUNET_OVERLAP, _YUNET_FACES = 0.6, 0.3, 50
_LARGEST_SIDE = 640


class FaceRecogniser(Protocol):
    """Says who is in a picture.

    Attributes:
        name: A word, such as "arcface".
        title: For a person.
        threshold: The cosine from which on two faces count as one person.
        conditions: True where textures are made with this model's embeddings, which makes its judgement circular.
    """

    name: str
    title: str
    threshold: float
    conditions: bool

    def embed(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The L2-normalised embedding of the largest face in (H, W, 3) uint8 sRGB; None where none is found."""
        ...


class ArcFace:
    """Follows `FaceRecogniser`: insightface's buffalo_l, with which UVMap-ID's textures are made."""

    name = "arcface"
    title = "ArcFace (buffalo_l)"
    threshold = ARCFACE_THRESHOLD
    conditions = True

    def __init__(self, folder: Path) -> None:
        """Load buffalo_l's files of a folder. Raises as `uvmap_id.faces.recogniser.Recogniser`."""
        self._models = Recogniser(folder)

    def embed(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """See `FaceRecogniser.embed`."""
        face = self._models.recognise(picture)
        return None if face is None else face.embedding


class SFace:
    """Follows `FaceRecogniser`: OpenCV's YuNet finds the face, SFace knows it. No texture is made with it."""

    name = "sface"
    title = "SFace (YuNet)"
    threshold = SFACE_THRESHOLD
    conditions = False

    def __init__(self, detector: Path, recogniser: Path) -> None:
        """Load both ONNX files.

        Raises:
            UVMapError: weights_incomplete where a file is missing, weights_invalid where OpenCV can't use it.
        """
        for file in (detector, recogniser):
            if not file.is_file():
                raise UVMapError(
                    ErrorCode.WEIGHTS_INCOMPLETE, f"{file} is missing.", "Get it: uvmap-id weights get yunet sface"
                )
        self._files = f"{detector.name} and {recogniser.name}"
        try:
            # OpenCV's stubs have no factory functions of these classes.
            self._detector: Any = cv2.FaceDetectorYN.create(
                str(detector), "", (_LARGEST_SIDE, _LARGEST_SIDE), _YUNET_SURE, _YUNET_OVERLAP, _YUNET_FACES
            )
            self._recogniser: Any = cv2.FaceRecognizerSF.create(str(recogniser), "")
        except cv2.error as error:
            raise self._invalid(error) from error

    def embed(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """See `FaceRecogniser.embed`."""
        small = scale(picture, min(1.0, _LARGEST_SIDE / max(picture.shape[:2])))
        bgr = np.ascontiguousarray(small[..., ::-1])
        try:
            self._detector.setInputSize((bgr.shape[1], bgr.shape[0]))
            faces = self._detector.detect(bgr)[1]
            if faces is None or not len(faces):
                return None
            largest = max(faces, key=lambda face: float(face[2] * face[3]))
            found = self._recogniser.feature(self._recogniser.alignCrop(bgr, largest))
        except cv2.error as error:
            raise self._invalid(error) from error
        values = np.asarray(found, np.float32).ravel()
        if not np.isfinite(values).all() or not values.any():
            raise self._invalid("the recogniser gives no embedding")
        return normalised(values)

    def _invalid(self, why: object) -> UVMapError:
        reason = " ".join(str(why).split())
        return UVMapError(
            ErrorCode.WEIGHTS_INVALID,
            f"OpenCV can't use {self._files}: {reason}.",
            "Check them: uvmap-id weights verify",
        )
