"""Finding a Python, and fetching one with the real uv from a list on this computer."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from addon.link.errors import ErrorCode, UVMapError
from addon.setup.installer import pythons
from addon.setup.installer.job import Job, Run
from addon.setup.installer.pips import Pip
from addon.setup.installer.pythons import candidates, choose, probe
from package_index import ROOT


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    root = tmp_path / "root"
    root.mkdir()
    run = Run(Job("install", str(root), "basic", "", str(ROOT / "requirements"), ""), io.StringIO())
    yield run
    run.close()


def test_the_python_that_runs_this_is_recognised(run: Run) -> None:
    found = probe(run, Path(sys.executable))
    assert found is not None
    assert found.version == sys.version.split()[0]
    # Behind a virtual environment stands the Python that it was made of.
    assert found.path.resolve() == Path(sys.executable).resolve()


@pytest.mark.parametrize(
    "said",
    [
        "nothing",
        "{}",
        '{"version": "3.13.0", "name": "cpython", "bits": 64, "machine": "x86_64", "base": "x"}',
        '{"version": "3.11.0", "name": "pypy", "bits": 64, "machine": "x86_64", "base": "x"}',
        '{"version": "3.11.0", "name": "cpython", "bits": 32, "machine": "x86_64", "base": "x"}',
        '{"version": "3.11.0", "name": "cpython", "bits": 64, "machine": "riscv64", "base": "x"}',
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="the program is a shell script")
def test_what_will_not_do_is_passed_over(run: Run, tmp_path: Path, said: str) -> None:
    program = tmp_path / "python3"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o700)
    assert probe(run, program) is None


def test_shims_and_this_python_are_no_candidates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("shims", "bin"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "python3.11").write_text("")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / name) for name in ("shims", "here", "bin")))
    assert [path for path in candidates() if path.is_relative_to(tmp_path)] == [tmp_path / "bin" / "python3.11"]


def _archive(folder: Path) -> Path:
    """The running Python in the shape in which uv downloads one."""
    base = Path(sys.base_prefix)
    (folder / "python" / "bin").mkdir(parents=True)
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    shutil.copy(base / "bin" / name, folder / "python" / "bin" / name)
    (folder / "python" / "bin" / "python3").symlink_to(name)
    ignored = shutil.ignore_patterns(
        "site-packages", "test", "__pycache__", "config-*", "idlelib", "tkinter", "lib2to3"
    )
    shutil.copytree(sysconfig.get_path("stdlib"), folder / "python" / "lib" / name, ignore=ignored, symlinks=True)
    subprocess.run(["tar", "-czf", "python.tar.gz", "python"], cwd=folder, check=True)
    return folder / "python.tar.gz"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the archive is made for Linux")
def test_where_there_is_none_uv_fetches_one(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _archive(tmp_path)
    major, minor, patch = sys.version_info[:3]
    entry = {
        "name": "cpython",
        "arch": {"family": os.uname().machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "variant": None,
        "build": "20260101",
        "url": archive.as_uri(),
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }
    listed = tmp_path / "downloads.json"
    listed.write_text(json.dumps({f"cpython-{major}.{minor}.{patch}-linux": entry}))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", str(listed))
    monkeypatch.setattr(pythons, "candidates", lambda: iter(()))
    monkeypatch.setattr(pythons, "VERSIONS", (f"{major}.{minor}",))
    Pip(run).bring()
    found = choose(run)
    assert found.path.is_relative_to(run.root / "python")
    assert found.version == f"{major}.{minor}.{patch}"
    listed.unlink()
    assert choose(run) == found


def test_where_none_can_be_fetched_the_one_that_runs_this_will_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: Run) -> None:
        raise UVMapError(ErrorCode.DOWNLOAD_FAILED, "There is no network.", "Plug it in.")

    monkeypatch.setattr(pythons, "candidates", lambda: iter(()))
    monkeypatch.setattr(pythons, "_fetch", fail)
    assert choose(run).version == sys.version.split()[0]
    monkeypatch.setattr(pythons, "VERSIONS", ("3.99",))
    with pytest.raises(UVMapError, match=r"python_not_found.*There is no network"):
        choose(run)
