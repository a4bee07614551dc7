"""What is said of a photo before anything is made of it is what the engine would say."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from uvmap_id import face_check
from uvmap_id.face_check import THUMBNAIL_SIDE, check_face
from uvmap_id.link.errors import UVMapError

PORTRAIT = skimage.data.astronaut()


def saved(path: Path, pixels: NDArray[np.uint8]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_the_portrait_is_seen_with_its_landmarks(tmp_path: Path) -> None:
    report = check_face(saved(tmp_path / "face.png", PORTRAIT), tmp_path / "kept")
    assert (report.faces, report.width, report.height, report.failure) == (1, 512, 512, None)
    points = np.array(report.landmarks).reshape(478, 2)
    # The tip of the nose, read off the photo by eye.
    assert np.linalg.norm(points[4] - (224, 125)) < 6
    assert [warning for warning in report.warnings if "small" in warning]
    with Image.open(report.thumbnail) as picture:
        assert picture.size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        drawn = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert (drawn == face_check._DOT).all(axis=1).sum() > 200
    for path in (tmp_path / "kept").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_faces_are_counted(tmp_path: Path) -> None:
    both = np.concatenate([PORTRAIT, PORTRAIT[:, ::-1]], axis=1)
    report = check_face(saved(tmp_path / "two.png", both), tmp_path / "kept")
    assert report.faces == 2
    assert any("2 faces" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("pixels", "code", "pictured"),
    [
        (np.full((400, 400, 3), 90, np.uint8), "face_not_found", True),
        (PORTRAIT // 20, "photo_too_dark", True),
        (np.zeros((20, 20, 3), np.uint8), "image_too_small", False),
    ],
)
def test_what_the_engine_refuses_is_refused_before(
    tmp_path: Path, pixels: NDArray[np.uint8], code: str, pictured: bool
) -> None:
    report = check_face(saved(tmp_path / "face.png", pixels), tmp_path / "kept")
    assert report.failure is not None
    assert (report.failure.code, bool(report.failure.hint), bool(report.thumbnail)) == (code, True, pictured)


def test_the_same_content_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "face.png", PORTRAIT)
    first = check_face(path, tmp_path / "kept")
    looked = []
    monkeypatch.setattr(face_check, "_looked_at", lambda *arguments: looked.append(arguments))
    assert check_face(path.rename(tmp_path / "renamed.png"), tmp_path / "kept") == first
    assert not looked


@pytest.mark.parametrize("content", [b"", b"[]", b'{"sha256": 3}', b"\xff", b'{"sha256": "0"}'])
def test_a_damaged_answer_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = saved(tmp_path / "face.png", np.full((200, 200, 3), 90, np.uint8))
    first = check_face(path, tmp_path / "kept")
    (tmp_path / "kept" / f"{first.sha256}.json").write_bytes(content)
    assert check_face(path, tmp_path / "kept") == first
    assert json.loads((tmp_path / "kept" / f"{first.sha256}.json").read_bytes())["code"] == "face_not_found"


def test_an_answer_without_its_picture_is_made_anew(tmp_path: Path) -> None:
    path = saved(tmp_path / "face.png", np.full((200, 200, 3), 90, np.uint8))
    first = check_face(path, tmp_path / "kept")
    Path(first.thumbnail).unlink()
    assert check_face(path, tmp_path / "kept") == first
    assert Path(first.thumbnail).is_file()


def test_few_answers_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_check, "_KEPT", 2)
    for shade in (10, 20, 30, 40):
        check_face(saved(tmp_path / "face.png", np.full((100, 100, 3), shade, np.uint8)), tmp_path / "kept")
    assert sorted(path.suffix for path in (tmp_path / "kept").iterdir()) == [".json", ".json", ".png", ".png"]


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UVMapError, match="face_file_missing"):
        check_face(tmp_path / "none.png", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_the_command_answers_in_json_and_in_words(tmp_path: Path) -> None:
    good, bad = saved(tmp_path / "good.png", PORTRAIT), tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    command = [sys.executable, "-m", "uvmap_id", "face", "--cache", str(tmp_path / "kept")]
    seen = subprocess.run([*command, str(good), "--json"], capture_output=True, text=True, check=False)
    assert (seen.returncode, json.loads(seen.stdout)["faces"]) == (0, 1)
    again = subprocess.run([*command, str(good)], capture_output=True, text=True, check=False)
    assert again.stdout.startswith("1 face in 512 x 512 pixels.\nwarning: ")
    refused = subprocess.run([*command, str(bad), "--json"], capture_output=True, text=True, check=False)
    assert (refused.returncode, json.loads(refused.stdout)["code"]) == (1, "image_unreadable")


def test_a_photo_of_a_phone_is_seen_upright(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(PORTRAIT)).save(buffer, "JPEG", exif=exif)
    (tmp_path / "phone.jpg").write_bytes(buffer.getvalue())
    assert check_face(tmp_path / "phone.jpg", tmp_path / "kept").faces == 1
