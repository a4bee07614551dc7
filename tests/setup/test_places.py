"""Where the set-up goes, what fits a computer, and what is locked."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from addon.setup.installer import places, variants
from addon.setup.installer.locks import read_lock
from addon.setup.installer.places import (
    Installed,
    check_path,
    command_of,
    default_root,
    read_installed,
    write_installed,
)
from addon.setup.installer.variants import Variant, detect, recipe_of, variants_of
from package_index import ROOT

from uvmap_id.link.errors import UVMapError

LOCKS = ROOT / "requirements"
SMI = """#!/bin/sh
if [ "$1" = "" ]; then
  echo "| NVIDIA-SMI 600.10   Driver Version: 600.10   CUDA Version: {cuda}     |"
else
  echo "NVIDIA RTX 4090, 600.10"
fi
"""


def test_the_folder_is_the_users_own_and_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(places.DIR_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_root() == tmp_path / "uvmap-id" / "backend"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_root() == Path.home() / ".local" / "share" / "uvmap-id" / "backend"
    monkeypatch.setenv(places.DIR_VARIABLE, str(tmp_path / "b"))
    assert default_root() == tmp_path / "b"


@pytest.mark.parametrize(
    ("local", "begins"),
    [
        ("C:\\Users\\ann\\AppData\\Local", "C:\\Users\\ann\\AppData\\Local\\uvmap-id\\b"),
        ("C:\\Users\\Zoë\\AppData\\Local", "C:\\uvmap-id\\"),
        (f"C:\\Users\\{'long' * 10}\\AppData\\Local", "C:\\uvmap-id\\"),
    ],
)
def test_on_windows_it_is_short_and_plain(local: str, begins: str) -> None:
    root = str(places._windows_root({"LOCALAPPDATA": local, "SystemDrive": "C:"}))
    assert root.startswith(begins)
    check_path(Path(root), "win32")
    assert root == str(places._windows_root({"LOCALAPPDATA": local, "SystemDrive": "C:"}))


@pytest.mark.parametrize("path", [f"C:\\{'deep' * 15}", "C:\\Users\\Zoë\\b"])
def test_on_windows_long_and_foreign_paths_are_refused(path: str) -> None:
    with pytest.raises(UVMapError, match="path_unsuitable"):
        check_path(Path(path), "win32")


def test_a_path_that_no_variable_can_hold() -> None:
    with pytest.raises(UVMapError, match="path_unsuitable"):
        check_path(Path("/a:b"), "linux")
    check_path(Path("/home/Zoë/a rather long folder/of/hers/with/more/than/fifty-eight/characters"), "linux")


def test_nothing_is_believed_of_a_damaged_record(tmp_path: Path) -> None:
    assert read_installed(tmp_path) is None
    write_installed(tmp_path, Installed("e01234567", "cpu", "3.11.2", "00", "1.0"))
    assert read_installed(tmp_path) is not None
    # Its Python isn't there.
    assert command_of(tmp_path) is None
    for text in ("", "[]", "{}", '{"environment": 1}', "null", "[" * 100_000):
        (tmp_path / places.RECORD).write_text(text)
        assert read_installed(tmp_path) is None
    write_installed(tmp_path, Installed("../elsewhere", "cpu", "3.11.2", "00", "1.0"))
    assert read_installed(tmp_path) is None


def smi(folder: Path, cuda: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(SMI.format(cuda=cuda))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.skipif(os.name != "posix", reason="the program is a shell script")
@pytest.mark.parametrize(
    ("cuda", "variant", "why"),
    [("13.0", Variant.CUDA, "RTX 4090"), ("13.2", Variant.CUDA, "RTX 4090"), ("12.8", Variant.BASIC, "update it")],
)
def test_an_nvidia_gpu_counts_if_its_driver_is_new_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cuda: str, variant: Variant, why: str
) -> None:
    smi(tmp_path, cuda)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = detect("linux-x64")
    assert found.variant is variant
    assert why in found.why


def test_what_fits_without_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert detect("windows-x64").variant is Variant.BASIC
    assert detect("macos-arm64").variant is Variant.MPS


def test_a_driver_that_hangs_or_fails_is_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(variants, "_PROBE_TIMEOUT_S", 0.2)
    assert detect("windows-x64").variant is Variant.BASIC


@pytest.mark.parametrize("system", ["linux-x64", "linux-arm64", "windows-x64", "macos-arm64"])
def test_recipes_name_locks_that_are_there(system: str) -> None:
    for variant in variants_of(system):
        recipe = recipe_of(variant, system)
        assert recipe.disk_mb > recipe.download_mb > 100
        names = [each.name for lock in recipe.locks for each in read_lock(LOCKS / f"{lock}.txt")]
        assert "mediapipe" in names
        # torch comes from exactly one place, or not at all.
        assert ("torch" in names) + bool(recipe.torch_index) == (variant is not Variant.BASIC)


@pytest.mark.parametrize(
    ("variant", "system", "hint"),
    [
        (Variant.BASIC, "macos-x64", "another computer"),
        (Variant.ROCM, "windows-x64", "basic, cpu, cuda"),
        (Variant.CUDA, "macos-arm64", "basic, mps"),
    ],
)
def test_what_is_not_made_for_a_computer_is_named(variant: Variant, system: str, hint: str) -> None:
    with pytest.raises(UVMapError, match="setup_unsupported") as raised:
        recipe_of(variant, system)
    assert hint in raised.value.failure.hint


def test_the_locks_agree_with_each_other() -> None:
    def versions(name: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for each in read_lock(LOCKS / f"{name}.txt"):
            found.setdefault(each.name, set()).add(each.text.split("==")[1].split()[0])
        return found

    diffusion, torch = versions("setup-diffusion"), versions("setup-torch")
    assert torch["torch"] == {variants.TORCH.partition("==")[2]}
    for name in set(diffusion) & set(torch):
        assert diffusion[name] == torch[name]
    for name in ("opencv-contrib-python", "opencv-python-headless"):
        assert versions("setup-basic")[name] == diffusion["opencv-python"]
    assert set(versions("setup-tools")) == {"pip", "uv"}


@pytest.mark.parametrize(
    "line", ["numpy\n", "numpy==1.0\n", "--index-url https://x\n", "-e .\n", "numpy>=1 --hash=sha256:0"]
)
def test_what_is_not_locked_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "lock.txt").write_text(line)
    with pytest.raises(UVMapError, match="setup_failed"):
        read_lock(tmp_path / "lock.txt")
    with pytest.raises(UVMapError, match="setup_failed"):
        read_lock(tmp_path / "none.txt")
