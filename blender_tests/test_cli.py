"""`blender --command uvmap_id render`, called as Blender calls it, and the script for `blender -b --python`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT, names_in_file, write_png

PROMPT = "wearing white shirt, blue jeans"

Module = Callable[[str], ModuleType]
Command = Callable[..., int]


@pytest.fixture
def command(module: Module) -> Command:
    """The function that is registered as `uvmap_id`."""
    return lambda *arguments: module("cli").main(list(map(str, arguments)))


def test_help(command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    assert command("--help") == 0
    assert "render" in capfd.readouterr().out
    assert command("render", "--help") == 0
    shown = capfd.readouterr().out
    assert all(option in shown for option in ("--face", "--prompt", "--out", "--view", "--body", "--seed"))
    assert all(option in shown for option in ("--steps", "--guidance-start", "--anchor", "--extra-map"))


@pytest.mark.parametrize(
    "arguments", [[], ["paint"], ["render"], ["render", "--face", "a", "--prompt", "b", "--out", "c", "--view", "up"]]
)
def test_bad_arguments(command: Command, arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert command(*arguments) == 2
    assert "error: " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("--face", "none.png", "face_file_missing"),
        ("--prompt", "", "prompt_empty"),
        ("--size", "500", "size_not_offered"),
        ("--seed", "-1", "seed_out_of_range"),
        ("--engine", "magic", "engine_unknown"),
        ("--steps", "0", "setting_out_of_range"),
        ("--preset", "best", "setting_out_of_range"),
        ("--extra-map", "gloss", "setting_out_of_range"),
        ("--normal-convention", "vulkan", "setting_out_of_range"),
        ("--out", "none/picture.png", "output_not_writable"),
        ("--body", "none.obj", "body_unreadable"),
    ],
)
def test_bad_input_starts_nothing(
    command: Command,
    no_backend: None,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    option: str,
    value: str,
    code: str,
) -> None:
    write_png(tmp_path / "face.png", (200, 150, 120))
    options = {"--face": "face.png", "--prompt": PROMPT, "--out": "picture.png", option: value}
    for name in ("--face", "--out", "--body"):
        if name in options:
            options[name] = str(tmp_path / options[name])
    before = names_in_file()
    # With "=" since a value may begin with a dash.
    assert command("render", *(f"{name}={given}" for name, given in options.items())) == 1
    assert capfd.readouterr().err.startswith(f"error: {code}: ")
    assert names_in_file() == before
    assert [path.name for path in tmp_path.iterdir()] == ["face.png"]


def test_render(
    command: Command, portrait: Path, backend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(backend))
    out = tmp_path / "picture.png"
    options = ("--size", 512, "--view", "face", "--samples", 2)
    assert command("render", "--face", portrait, "--prompt", PROMPT, "--out", out, *options) == 0
    assert out.stat().st_size > 10_000


def test_script_without_the_extension(tmp_path: Path) -> None:
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path)}
    done = _script(environment, "--face", "a.png", "--prompt", PROMPT, "--out", "b.png")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_script_ends_with_the_code_of_a_failure(tmp_path: Path) -> None:
    done = _script(dict(os.environ), "--face", str(tmp_path / "none.png"), "--prompt", PROMPT, "--out", "b.png")
    assert done.returncode == 1
    assert "error: face_file_missing: " in done.stderr
    assert "Traceback" not in done.stderr


def test_script_with_bad_arguments() -> None:
    assert _script(dict(os.environ), "--prompt", PROMPT).returncode == 2


def test_the_script_for_any_command() -> None:
    done = _script(dict(os.environ), "cast", "none.csv", "--out", "out", "--prompt", PROMPT, script="run_command.py")
    assert done.returncode == 1
    assert "error: settings_unreadable: " in done.stderr
    assert "cast" in _script(dict(os.environ), "--help", script="run_command.py").stdout


def _script(
    environment: dict[str, str], *arguments: str, script: str = "render_character.py"
) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "examples" / script)
    command = [sys.executable, script, "--", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_generate_and_a_region_of_it_anew(
    command: Command, backend: Path, portrait: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, anew = tmp_path / "out", tmp_path / "anew"
    asked = ("--face", portrait, "--size", 512)
    before = names_in_file()
    assert command("generate", *asked, "--prompt", PROMPT, "--out", out) == 0
    assert capfd.readouterr().out.strip() == str(out / "manifest.json")
    assert {path.name for path in out.iterdir()} >= {"base_color.png", "normal.png", "roughness.png"}
    assert command("generate", *asked, "--prompt", "red shirt", "--base", out, "--region", "torso", "--out", anew) == 0
    assert (anew / "base_color.png").read_bytes() != (out / "base_color.png").read_bytes()
    assert names_in_file() == before
    capfd.readouterr()
    assert command("generate", *asked, "--prompt", PROMPT, "--out", out) == 1
    assert "output_not_writable" in capfd.readouterr().err
    assert command("generate", *asked, "--prompt", PROMPT, "--region", "torso", "--out", tmp_path / "x") == 1
    assert "region_incomplete" in capfd.readouterr().err


def test_doctor(command: Command, backend: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert command("doctor") == 0
    shown = capfd.readouterr().out
    assert "Blender" in shown
    assert "mediapipe" in shown
    assert str(Path.home()) not in shown
