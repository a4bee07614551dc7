"""Where mediapipe brings no model, its file is looked for, and a missing or a wrong one is named with the way out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from uvmap_id.faces import mediapipe_models
from uvmap_id.faces.mediapipe_models import (
    LANDMARKER,
    BundledModels,
    TaskModels,
    landmarker_file,
    load_face_models,
    load_mediapipe,
    read_landmarker,
)
from uvmap_id.link.connection import STATE_DIR_VARIABLE
from uvmap_id.link.errors import ErrorCode, UVMapError

COMMAND = "uvmap-id weights get face-landmarker"


def test_the_file_lies_in_the_folder_for_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_DIR_VARIABLE, str(tmp_path / "state"))
    monkeypatch.delenv("UVMAP_ID_WEIGHTS_DIR", raising=False)
    assert landmarker_file() == tmp_path / "state" / "weights" / "face-landmarker" / "face_landmarker.task"
    monkeypatch.setenv("UVMAP_ID_WEIGHTS_DIR", str(tmp_path / "disk"))
    assert landmarker_file() == tmp_path / "disk" / LANDMARKER


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UVMapError) as caught:
        read_landmarker(tmp_path / LANDMARKER)
    assert caught.value.failure.code == ErrorCode.LANDMARKS_UNAVAILABLE
    assert COMMAND in caught.value.failure.hint


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 but no model", b"<html>Not found</html>"])
def test_a_wrong_file_is_never_used(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "face_landmarker.task"
    file.write_bytes(content)
    with pytest.raises(UVMapError) as caught:
        read_landmarker(file)
    assert caught.value.failure.code == ErrorCode.WEIGHTS_INVALID
    assert COMMAND in caught.value.failure.hint


def test_the_right_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "face_landmarker.task"
    file.write_bytes(b"a model")
    monkeypatch.setattr(mediapipe_models, "_LANDMARKER_SHA256", hashlib.sha256(b"a model").hexdigest())
    assert read_landmarker(file) == b"a model"


def test_without_bundled_models_the_file_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a mediapipe does that has no `solutions`."""
    monkeypatch.setenv("UVMAP_ID_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setattr(mediapipe_models, "load_mediapipe", lambda: SimpleNamespace(__version__="1.2.2"))
    with pytest.raises(UVMapError) as caught:
        load_face_models()
    assert caught.value.failure.code == ErrorCode.LANDMARKS_UNAVAILABLE


@pytest.mark.skipif(not hasattr(load_mediapipe(), "solutions"), reason="this mediapipe brings no models")
def test_bundled_models_are_preferred() -> None:
    models = load_face_models()
    assert isinstance(models, BundledModels)
    assert models.mesh(np.zeros((64, 64, 3), np.uint8)) is None
    models.close()


def test_the_landmarkers_names_exist() -> None:
    """What `TaskModels` calls is there in the mediapipe that is installed, old or new."""
    mediapipe = load_mediapipe()
    vision = mediapipe.tasks.vision
    options = vision.FaceLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=b"no model"),
        num_faces=8,
        min_face_detection_confidence=0.5,
    )
    assert options.num_faces == 8
    assert callable(vision.FaceLandmarker.create_from_options)
    assert callable(vision.FaceLandmarker.detect)
    assert mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.zeros((8, 8, 3), np.uint8)).width == 8
    assert callable(TaskModels.mesh)
