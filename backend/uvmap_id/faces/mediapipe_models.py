"""mediapipe's two ways of finding faces: models that come inside its package, and a model file of its own.

Up to 0.10.21 the package brings its models and the module `solutions`. Later ones bring neither; their
`FaceLandmarker` reads `face_landmarker.task`, which `uvmap-id weights get face-landmarker` downloads.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uvmap_id.link.connection import state_dir
from uvmap_id.link.errors import ErrorCode, UVMapError

WEIGHTS_DIR_VARIABLE = "UVMAP_ID_WEIGHTS_DIR"
LANDMARKER = Path("face-landmarker", "face_landmarker.task")
_LANDMARKER_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
_GET_LANDMARKER = "Download it: uvmap-id weights get face-landmarker"
_LEAST_SURE, _MESH_SURE = 0.5, 0.4
_MOST_FACES = 8


class FaceModels(Protocol):
    """Finds faces in pictures, (H, W, 3) uint8 sRGB, and their meshes. For one thread."""

    def boxes(self, image: NDArray[np.uint8]) -> Iterator[tuple[float, NDArray[np.float64]]]:
        """How sure each face is, 0..1, and its box x0, y0, x1, y1 as shares of the picture's width and height."""
        ...

    def mesh(self, image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """(478, 3) landmarks of one face: x and y as shares of width and height, depth as a share of the width."""
        ...

    def close(self) -> None:
        """Free the models."""
        ...


def load_face_models() -> FaceModels:
    """The models of the mediapipe that is installed.

    Raises:
        UVMapError: landmarks_unavailable where mediapipe or its model is missing, weights_invalid where the model's
            file is another one.
    """
    mediapipe = load_mediapipe()
    return BundledModels(mediapipe) if hasattr(mediapipe, "solutions") else TaskModels(mediapipe, landmarker_file())


def load_mediapipe() -> ModuleType:
    """The package itself. Raises `UVMapError` (landmarks_unavailable)."""
    # The models log to stderr through glog and TensorFlow Lite; only what is wrong is worth a line.
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        return importlib.import_module("mediapipe")
    except ImportError as error:
        raise UVMapError(
            ErrorCode.LANDMARKS_UNAVAILABLE,
            "The package mediapipe, which finds faces, is not installed.",
            "Install the backend again: pip install uvmap-id.",
        ) from error


def landmarker_file() -> Path:
    """Where the model's file is looked for: in the folder for weights."""
    chosen = os.environ.get(WEIGHTS_DIR_VARIABLE)
    return (Path(chosen).absolute() if chosen else state_dir() / "weights") / LANDMARKER


def read_landmarker(file: Path) -> bytes:
    """The model's bytes, which are known.

    Raises:
        UVMapError: landmarks_unavailable where there is no such file, weights_invalid where it holds something else.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UVMapError(
            ErrorCode.LANDMARKS_UNAVAILABLE,
            f"The installed mediapipe comes without its face model, and {file} can't be read.",
            _GET_LANDMARKER,
        ) from error
    if hashlib.sha256(content).hexdigest() != _LANDMARKER_SHA256:
        raise UVMapError(
            ErrorCode.WEIGHTS_INVALID, f"{file} is damaged, or not the face model that is known.", _GET_LANDMARKER
        )
    return content


class BundledModels:
    """`mediapipe.solutions`, see `FaceModels`."""

    def __init__(self, mediapipe: Any) -> None:
        solutions = mediapipe.solutions
        self._detectors = [
            solutions.face_detection.FaceDetection(model_selection=model, min_detection_confidence=_LEAST_SURE)
            for model in (1, 0)
        ]
        self._mesh = solutions.face_mesh.FaceMesh(
            static_image_mode=True, refine_landmarks=True, max_num_faces=1, min_detection_confidence=_MESH_SURE
        )

    def boxes(self, image: NDArray[np.uint8]) -> Iterator[tuple[float, NDArray[np.float64]]]:
        """See `FaceModels.boxes`."""
        for detector in self._detectors:
            for detection in detector.process(image).detections or []:
                relative = detection.location_data.relative_bounding_box
                corner = np.array([relative.xmin, relative.ymin])
                extent = np.array([relative.width, relative.height])
                yield detection.score[0], np.concatenate([corner, corner + extent])

    def mesh(self, image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """See `FaceModels.mesh`."""
        found = self._mesh.process(image).multi_face_landmarks
        return _points(found[0].landmark) if found else None

    def close(self) -> None:
        """See `FaceModels.close`."""
        for model in (*self._detectors, self._mesh):
            model.close()


class TaskModels:
    """`mediapipe.tasks.vision.FaceLandmarker`, see `FaceModels`. It says of no face how sure it is."""

    def __init__(self, mediapipe: Any, file: Path) -> None:
        content = read_landmarker(file)
        self._mediapipe, vision = mediapipe, mediapipe.tasks.vision
        options = vision.FaceLandmarkerOptions(
            base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=content),
            num_faces=_MOST_FACES,
            min_face_detection_confidence=_LEAST_SURE,
        )
        self._landmarker = vision.FaceLandmarker.create_from_options(options)

    def boxes(self, image: NDArray[np.uint8]) -> Iterator[tuple[float, NDArray[np.float64]]]:
        """See `FaceModels.boxes`."""
        for points in self._meshes(image):
            yield 1.0, np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])

    def mesh(self, image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """See `FaceModels.mesh`."""
        meshes = self._meshes(image)
        return max(meshes, key=lambda points: float(np.prod(np.ptp(points[:, :2], axis=0)))) if meshes else None

    def close(self) -> None:
        """See `FaceModels.close`."""
        self._landmarker.close()

    def _meshes(self, image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
        picture = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=image)
        return [_points(face) for face in self._landmarker.detect(picture).face_landmarks]


def _points(landmarks: Any) -> NDArray[np.float64]:
    return np.array([[point.x, point.y, point.z] for point in landmarks], np.float64)
