"""insightface's `buffalo_l` on ONNX files that lie in a folder: finds faces in a photo and says who they are.

Nothing here reaches for the network: the files are looked for first, and insightface is given their folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvmap_id.faces.embedding import EMBEDDING_SIZE, normalised
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.onnx_runtime import Runtime, import_package, load_runtime

DETECTOR, RECOGNISER, ATTRIBUTES = "det_10g.onnx", "w600k_r50.onnx", "genderage.onnx"
_DETECTION_SIZE = (640, 640)
_MODULES = ("detection", "recognition", "genderage")
_GENDERS = ("woman", "man")  # by the attribute model's classes
_TIGHT_MARGIN = 0.5
_PURPOSE = "To recognise a face, the backend"
_REPAIR = "uvmap-id weights verify"


@dataclass(frozen=True, slots=True)
class KnownFace:
    """The largest face of a photo.

    Attributes:
        embedding: (512,) float32, L2-normalised.
        gender: "man", "woman", or None without the model for it.
        faces: How many faces the photo shows.
    """

    embedding: NDArray[np.float32]
    gender: str | None
    faces: int


class Recogniser:
    """Holds the models. The same photo gives the same bytes, whatever else the machine does."""

    def __init__(self, folder: Path) -> None:
        """Load the models.

        Args:
            folder: Holds `DETECTOR` and `RECOGNISER`, and `ATTRIBUTES` if there is to be a gender.

        Raises:
            UVMapError: package_missing, identity_unavailable, weights_incomplete or weights_invalid.
        """
        _check_files(folder)
        _check_runtimes()
        self._analysis = _loaded(folder, load_runtime(_PURPOSE), import_package("insightface.app", _PURPOSE))

    def recognise(self, photo: NDArray[np.uint8]) -> KnownFace | None:
        """The largest face in a photo, (H, W, 3) uint8 sRGB; None where none is found."""
        faces = self._analysis.get(_bgr(photo)) or self._analysis.get(_bgr(_framed(photo)))
        if not faces:
            return None
        largest = max(faces, key=_area)
        gender = None if largest.gender is None else _GENDERS[int(largest.gender)]
        return KnownFace(_checked(largest.embedding), gender, len(faces))


def _check_files(folder: Path) -> None:
    missing = [name for name in (DETECTOR, RECOGNISER) if not (folder / name).is_file()]
    if missing:
        raise UVMapError(
            ErrorCode.WEIGHTS_INCOMPLETE,
            f"The identity models in {folder} lack {' and '.join(missing)}.",
            "Fetch them again: uvmap-id weights get buffalo-l",
        )


def _check_runtimes() -> None:
    """Two distributions bring a package `onnxruntime`; whichever was installed last has overwritten half the other."""
    installed = []
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            installed.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    if len(installed) > 1:
        raise UVMapError(
            ErrorCode.IDENTITY_UNAVAILABLE,
            f"Both {' and '.join(installed)} are installed, and they overwrite each other.",
            "pip uninstall -y onnxruntime onnxruntime-gpu, then install one: onnxruntime-gpu for NVIDIA cards.",
        )


def _loaded(folder: Path, runtime: Runtime, app: Any) -> Any:
    options = runtime.module.SessionOptions()
    # Sums of floats depend on how many threads share them.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        # A folder in place of a model's name is taken as it is, with no look at insightface's download site.
        analysis = app.FaceAnalysis(
            name=str(folder.resolve()),
            allowed_modules=list(_MODULES),
            providers=runtime.providers,
            sess_options=options,
        )
    # insightface asserts that it has a detector, and lets the runtime's own errors through.
    except (AssertionError, ValueError, *runtime.errors) as error:
        raise _invalid(folder, str(error) or "there is no face detector among them") from error
    if "recognition" not in analysis.models:
        raise _invalid(folder, "there is no face recogniser among them")
    analysis.prepare(ctx_id=0, det_size=_DETECTION_SIZE)
    return analysis


def _invalid(folder: Path, reason: str) -> UVMapError:
    return UVMapError(
        ErrorCode.WEIGHTS_INVALID,
        f"The identity models in {folder} can't be used: {reason}.",
        f"Check them: {_REPAIR}",
    )


def _bgr(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(photo[..., ::-1])


def _framed(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The photo with an empty margin: the detector overlooks faces that fill all of a photo."""
    margin = round(_TIGHT_MARGIN * max(photo.shape[:2]))
    return np.pad(photo, ((margin, margin), (margin, margin), (0, 0)))


def _area(face: Any) -> float:
    left, top, right, bottom = (float(value) for value in face.bbox[:4])
    return (right - left) * (bottom - top)


def _checked(embedding: NDArray[np.floating]) -> NDArray[np.float32]:
    if embedding.shape != (EMBEDDING_SIZE,) or not np.isfinite(embedding).all() or not embedding.any():
        raise UVMapError(
            ErrorCode.WEIGHTS_INVALID,
            f"The face recogniser gives {embedding.shape} numbers that are no embedding of {EMBEDDING_SIZE}.",
            f"Check the identity models: {_REPAIR}",
        )
    return normalised(embedding)
