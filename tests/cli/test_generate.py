"""`uvmap-id generate` with the scripted worker: files, exit codes, and sentences."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from uvmap_id.link.connection import Connection, read_connection
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import PHOTO_LIMIT
from uvmap_id.link.request import MAPS, SETTINGS
from uvmap_id.link.texture_set import MANIFEST_NAME, map_file

FILE_NAMES = (*map(map_file, MAPS), MANIFEST_NAME)

Run = Callable[..., subprocess.CompletedProcess[str]]
Eventually = Callable[..., None]

pytestmark = pytest.mark.usefixtures("state")


def error_of(result: subprocess.CompletedProcess[str]) -> str:
    """The code that stands on stderr, after a look at the form of it."""
    first, *rest = result.stderr.splitlines()
    word, code, sentence = first.split(": ", 2)
    assert word == "error"
    assert sentence.endswith(".")
    assert all(line.startswith("  ") for line in rest)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    return code


def test_it_writes_four_files_and_prints_the_manifests_path(
    uvmap_id: Run, server: Connection, state: Path, face: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    result = uvmap_id(
        "generate", "--face", str(face), "--prompt", "blue jeans", "--subject", "a woman", "--size", "512",
        "--seed", "11", "--engine", "projection", "--out", str(out),
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (
        0,
        f"{out / 'manifest.json'}\n",
        "warning: a warning\n",
    )
    assert sorted(path.name for path in out.iterdir()) == sorted(FILE_NAMES)
    request = json.loads((out / "manifest.json").read_text())["request"]
    assert [request[name] for name in ("prompt", "subject", "size", "seed", "engine")] == [
        "blue jeans", "a woman", 512, 11, "projection",
    ]  # fmt: skip
    assert list((state / "results").iterdir()) == []


def test_the_same_arguments_give_the_same_bytes(uvmap_id: Run, server: Connection, face: Path, tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        result = uvmap_id("generate", "--face", str(face), "--prompt", "jeans", "--out", str(tmp_path / name))
        assert result.returncode == 0
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]


BAD_ARGUMENTS = {
    "no face": ({"--face": None}, "face_file_missing"),
    "a face that is not there": ({"--face": "nowhere.png"}, "face_file_missing"),
    "a face that is a folder": ({"--face": "."}, "face_file_missing"),
    "no prompt": ({"--prompt": None}, "prompt_empty"),
    "an empty prompt": ({"--prompt": " "}, "prompt_empty"),
    "an overlong prompt": ({"--prompt": "x" * 100_000}, "prompt_too_long"),
    "an overlong subject": ({"--subject": "x" * 1_000}, "subject_too_long"),
    "control characters": ({"--prompt": "a\x07b"}, "text_invalid"),
    "bytes that are no text": ({"--prompt": b"\xff\xfe"}, "text_invalid"),
    "a size not offered": ({"--size": "1000"}, "size_not_offered"),
    "a size that is no number": ({"--size": "big"}, "size_not_offered"),
    "a negative seed": ({"--seed": "-1"}, "seed_out_of_range"),
    "a seed too large": ({"--seed": str(2**31)}, "seed_out_of_range"),
    "a seed that is no number": ({"--seed": "random"}, "seed_out_of_range"),
    "a relight out of range": ({"--relight": "1.5"}, "relight_out_of_range"),
    "a relight that is no number": ({"--relight": "much"}, "relight_out_of_range"),
    "a seed of 10,000 digits": ({"--seed": "9" * 10_000}, "seed_out_of_range"),
    "an unknown engine": ({"--engine": "magic"}, "engine_unknown"),
    "an unknown extra map": ({"--extra-map": "gloss"}, "setting_out_of_range"),
    "an unknown convention": ({"--normal-convention": "vulkan"}, "setting_out_of_range"),
    "an unknown preset": ({"--preset": "best"}, "setting_out_of_range"),
    "too many steps": ({"--steps": "201"}, "setting_out_of_range"),
    "half a step": ({"--steps": "1.5"}, "setting_out_of_range"),
    "a guidance that is no number": ({"--guidance": "strict"}, "setting_out_of_range"),
    "an anchor that is NaN": ({"--anchor": "nan"}, "setting_out_of_range"),
    "an overlong template": ({"--template": "x" * 10_000}, "prompt_too_long"),
    "no settings": ({"--settings": "nowhere.json"}, "settings_unreadable"),
    "settings that are a folder": ({"--settings": "."}, "settings_unreadable"),
}


@pytest.mark.parametrize(("change", "code"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys())
def test_bad_arguments_end_with_2_and_start_nothing(
    uvmap_id: Run, state: Path, face: Path, tmp_path: Path, change: dict[str, str | None], code: str
) -> None:
    options = {"--face": str(face), "--prompt": "jeans", "--out": str(tmp_path / "out"), **change}
    arguments = [part for name, value in options.items() if value is not None for part in (name, value)]
    result = uvmap_id("generate", *arguments)
    assert result.returncode == 2
    assert error_of(result) == code
    assert len(result.stderr) < 500
    assert not (tmp_path / "out").exists()
    assert not state.exists()


def test_a_photo_over_the_limit_ends_with_2(uvmap_id: Run, tmp_path: Path) -> None:
    face = tmp_path / "huge.png"
    with face.open("wb") as file:
        file.truncate(PHOTO_LIMIT + 1)
    result = uvmap_id("generate", "--face", str(face), "--prompt", "jeans", "--out", str(tmp_path / "out"))
    assert (result.returncode, error_of(result)) == (2, "face_file_too_large")


def test_an_empty_photo_is_no_image(uvmap_id: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    result = uvmap_id(
        "generate", "--face", str(tmp_path / "empty.png"), "--prompt", "jeans", "--out", str(tmp_path / "out")
    )
    assert (result.returncode, error_of(result)) == (1, "image_unreadable")
    assert not (tmp_path / "out").exists()


def test_a_manifest_is_enough_to_make_the_texture_again(
    uvmap_id: Run, server: Connection, face: Path, tmp_path: Path
) -> None:
    embedding = tmp_path / "more.npy"
    embedding.write_bytes(b"\x93NUMPY")
    faces = ("--face", str(face), "--face", str(embedding))
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    settings = ("--settings", str(first / "manifest.json"))
    made = (
        uvmap_id(
            "generate", *faces, "--prompt", "blue jeans", "--subject", "a woman", "--size", "512", "--seed", "11",
            "--relight", "0.5", "--extra-map", "subsurface", "--extra-map", "orm", "--normal-convention", "directx",
            "--weights", "mine", "--preset", "draft", "--steps", "20", "--scheduler", "euler", "--guidance", "5",
            "--guidance-start", "0.1", "--guidance-stop", "0.9", "--identity-strength", "1.5", "--negative-prompt", "",
            "--template", "{prompt}", "--anchor", "0.3", "--upscaler", "mine-too", "--out", str(first),
        ),
        uvmap_id("generate", *settings, *faces, "--out", str(again)),
        uvmap_id("generate", *settings, "--face", str(face), "--seed", "12", "--steps", "21", "--out", str(other)),
    )  # fmt: skip
    assert [result.returncode for result in made] == [0, 0, 0], made
    assert contents(first) == contents(again)
    assert len(contents(first)) == 6
    request, changed = (json.loads((folder / "manifest.json").read_text())["request"] for folder in (first, other))
    assert request["diffusion"] == {
        "weights": "mine", "preset": "draft", "steps": 20, "scheduler": "euler", "guidance": 5.0, "guidance_start": 0.1,
        "guidance_stop": 0.9, "identity_strength": 1.5, "negative_prompt": "", "template": "{prompt}", "anchor": 0.3,
        "upscaler": "mine-too",
    }  # fmt: skip
    # What is typed wins, and the photos are those of the command.
    assert (changed["seed"], changed["diffusion"]["steps"], changed["more_faces"]) == (12, 21, [])
    assert changed["prompt"] == request["prompt"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_first_face_that_is_an_embedding_ends_with_2(uvmap_id: Run, state: Path, tmp_path: Path) -> None:
    (tmp_path / "face.npy").write_bytes(b"\x93NUMPY")
    result = uvmap_id(
        "generate", "--face", str(tmp_path / "face.npy"), "--prompt", "jeans", "--out", str(tmp_path / "out")
    )
    assert (result.returncode, error_of(result)) == (2, "embedding_invalid")
    assert not state.exists()


def test_more_than_eight_faces_end_with_2(uvmap_id: Run, state: Path, face: Path, tmp_path: Path) -> None:
    result = uvmap_id("generate", *("--face", str(face)) * 9, "--prompt", "jeans", "--out", str(tmp_path / "out"))
    assert (result.returncode, error_of(result)) == (2, "setting_out_of_range")
    assert not state.exists()


def test_help_explains_every_setting_of_the_engine(uvmap_id: Run) -> None:
    said = uvmap_id("generate", "--help").stdout
    assert all(f"--{name.replace('_', '-')}" in said for name in SETTINGS)
    assert 'Engine "uvmap-id"' in said


@pytest.mark.parametrize(
    ("prompt", "code"),
    [("fail", "face_not_found"), ("break", "internal"), ("memory", "out_of_memory"), ("crash", "job_poisonous")],
)
def test_a_job_that_failed_ends_with_1_and_leaves_nothing(
    uvmap_id: Run, server: Connection, face: Path, tmp_path: Path, prompt: str, code: str
) -> None:
    result = uvmap_id("generate", "--face", str(face), "--prompt", prompt, "--out", str(tmp_path / "out"))
    assert (result.returncode, error_of(result)) == (1, code)
    assert not (tmp_path / "out").exists()


def test_a_job_that_failed_leaves_the_old_set_alone(
    uvmap_id: Run, server: Connection, face: Path, tmp_path: Path
) -> None:
    for name in FILE_NAMES:
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text("old")
    result = uvmap_id("generate", "--face", str(face), "--prompt", "fail", "--out", str(tmp_path / "out"))
    assert result.returncode == 1
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == dict.fromkeys(FILE_NAMES, "old")


def test_a_folder_that_cannot_be_written_is_found_before_anything_starts(
    uvmap_id: Run, state: Path, face: Path, tmp_path: Path
) -> None:
    result = uvmap_id("generate", "--face", str(face), "--prompt", "jeans", "--out", str(face / "out"))
    assert (result.returncode, error_of(result)) == (1, "output_not_writable")
    assert not state.exists()


def start(face: Path, prompt: str, out: Path) -> subprocess.Popen[str]:
    arguments = ["generate", "--face", str(face), "--prompt", prompt, "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "uvmap_id", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_ctrl_c_cancels_the_job_and_ends_with_130(
    server: Connection, state: Path, face: Path, tmp_path: Path, eventually: Eventually
) -> None:
    with start(face, "slow", tmp_path / "out") as process:
        eventually(lambda: bool(list((state / "results").glob("*.part"))))
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert errors.startswith("error: cancelled: ")
    assert not (tmp_path / "out").exists()
    assert list((state / "results").iterdir()) == []
    assert [path for path in (state / "photos").rglob("*") if path.is_file()] == []


def test_a_backend_killed_on_the_way_is_started_anew_and_ends_the_job(
    server: Connection, state: Path, tmp_path: Path, eventually: Eventually
) -> None:
    # The new backend is a real one, which wants to see a face.
    face = tmp_path / "face.png"
    Image.fromarray(skimage.data.astronaut()).save(face)
    with start(face, "slow", tmp_path / "out") as process:
        eventually(lambda: bool(list((state / "results").glob("*.part"))))
        os.kill(server.pid, signal.SIGKILL)
        output, errors = process.communicate(timeout=120)
    assert (process.returncode, output.strip()) == (0, str(tmp_path / "out" / "manifest.json")), errors
    assert read_connection().pid != server.pid
    assert list((state / "results").iterdir()) == []


def test_it_starts_a_backend_where_none_runs_and_leaves_it_running(
    uvmap_id: Run, state: Path, face: Path, tmp_path: Path
) -> None:
    with pytest.raises(UVMapError) as caught:
        read_connection()
    assert caught.value.failure.code == ErrorCode.BACKEND_NOT_RUNNING
    result = uvmap_id("generate", "--face", str(face), "--prompt", "jeans", "--out", str(tmp_path / "out"))
    # The real worker looks at the photo, which is none.
    assert (result.returncode, error_of(result)) == (1, "image_unreadable")
    assert read_connection().alive


def test_the_progress_bar_is_for_terminals_only(server: Connection, face: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="Windows has no pseudo terminals")
    ours, theirs = pty.openpty()
    arguments = ["generate", "--face", str(face), "--prompt", "brief", "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-m", "uvmap_id", *arguments], stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as process:
        os.close(theirs)
        seen = b""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                seen += os.read(ours, 4096)
            except OSError:
                break
        os.close(ours)
        output, _ = process.communicate(timeout=60)
    assert output == f"{tmp_path / 'out' / 'manifest.json'}\n"
    assert b"Working" in seen
