"""Finding a Python that the backend can live in, or fetching one."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...link.errors import ErrorCode, UVMapError
from .job import Run
from .pips import Pip
from .variants import system_name

# The packages have wheels for these; the first is the one that is fetched.
VERSIONS = ("3.11", "3.12")
_PROBE = """
import json, platform, sys
import venv
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "name": sys.implementation.name,
    "bits": 64 if sys.maxsize > 2**32 else 32,
    "machine": platform.machine().lower(),
    "base": getattr(sys, "_base_executable", sys.executable) or sys.executable,
}))
"""


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter that an environment can be made of."""

    path: Path
    version: str


def choose(run: Run) -> Python:
    """The Python that was asked for, one of this computer's, or one that uv fetches.

    Raises:
        UVMapError: `python_not_found`, or why none could be fetched.
    """
    if run.job.python:
        return _chosen(run, Path(run.job.python))
    run.report(0.0, "Looking for a Python")
    own = _own(run)
    if own is not None:
        return own
    for candidate in candidates():
        found = probe(run, candidate)
        if found is not None:
            return found
    try:
        return _fetch(run)
    except UVMapError as error:
        if error.failure.code == ErrorCode.CANCELLED:
            raise
        # Blender's own is the last resort: it goes when Blender is updated.
        blender = probe(run, Path(sys.executable))
        if blender is not None:
            run.note("using the Python that runs this, since no other can be had")
            return blender
        raise UVMapError(
            ErrorCode.PYTHON_NOT_FOUND,
            f"There is no Python {' or '.join(VERSIONS)} here, and none could be fetched: {error.failure.message}",
            f"Install Python {VERSIONS[-1]} from https://www.python.org/downloads/ and try again.",
        ) from error


def _chosen(run: Run, path: Path) -> Python:
    found = probe(run, path)
    if found is None:
        raise UVMapError(
            ErrorCode.PYTHON_NOT_FOUND,
            f"{path} is no Python that the backend can use; it needs a 64-bit Python {' or '.join(VERSIONS)}.",
            "Choose another one, or leave the field empty.",
        )
    return found


def probe(run: Run, path: Path) -> Python | None:
    """What a program is, if it is a Python that will do. Of a virtual environment: the Python behind it."""
    if not path.is_file():
        return None
    try:
        code, said = run.process([str(path), "-I", "-c", _PROBE])
        answer = json.loads(said[-1]) if code == 0 and said else {}
    except UVMapError as error:
        if error.failure.code == ErrorCode.CANCELLED:
            raise
        return None
    except ValueError:
        return None
    version = answer.get("version", "")
    fits = version.rpartition(".")[0] in VERSIONS and answer["bits"] == 64 and answer["name"] == "cpython"
    # On a Mac, a Python for Intel would get packages for Intel.
    if not fits or not _same_machine(answer["machine"]):
        return None
    base = Path(answer["base"])
    return Python(base if base.is_file() else path, version)


def _same_machine(machine: str) -> bool:
    alike = {"amd64": "x64", "x86_64": "x64", "arm64": "arm64", "aarch64": "arm64"}
    return system_name().endswith(alike.get(machine, machine))


def candidates() -> Iterator[Path]:
    """Where Pythons usually are, without the one that runs this."""
    seen = {Path(sys.executable).resolve()}
    for path in _places():
        resolved = path.resolve()
        # Shims of version managers are one script under many names.
        if path.is_file() and resolved not in seen and "shims" not in path.parts:
            seen.add(resolved)
            yield path


def _places() -> Iterator[Path]:
    for version in VERSIONS:
        names = [f"python{version}", f"python{version}.exe", "python3", "python", "python.exe"]
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            # Windows has stubs there that open its shop.
            if folder and "WindowsApps" not in folder:
                yield from (Path(folder, name) for name in names)
        yield from _usual(version)


def _usual(version: str) -> Iterator[Path]:
    if sys.platform == "win32":
        tag = f"Python{version.replace('.', '')}"
        local, programs = os.environ.get("LOCALAPPDATA", ""), os.environ.get("PROGRAMFILES", "C:\\Program Files")
        yield Path(local, "Programs", "Python", tag, "python.exe")
        yield Path(programs, tag, "python.exe")
        return
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
    for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"):
        yield Path(folder, f"python{version}")
    yield Path(f"/Library/Frameworks/Python.framework/Versions/{version}/bin/python{version}")


def _own(run: Run) -> Python | None:
    """The Python that an earlier run has fetched."""
    pattern = "cpython-*/python.exe" if os.name == "nt" else "cpython-*/bin/python3"
    for path in sorted((run.root / "python").glob(pattern)):
        found = probe(run, path)
        if found is not None:
            return found
    return None


def _fetch(run: Run) -> Python:
    run.report(0.2, f"Fetching Python {VERSIONS[0]}")
    uv = Pip(run).bring_uv()
    target = run.root / "python"
    made = not target.exists()
    try:
        code, said = run.process(
            [str(uv), "python", "install", VERSIONS[0], "--install-dir", str(target), "--no-bin", "--no-config"],
            variables={"UV_CACHE_DIR": str(run.root / "cache"), "UV_PYTHON_INSTALL_REGISTRY": "0"},
        )
        found = _own(run) if code == 0 else None
        if found is None:
            raise UVMapError(
                ErrorCode.DOWNLOAD_FAILED,
                f"Python {VERSIONS[0]} could not be fetched: {_gist(said)}",
                "See that this computer is connected to the internet, and try again.",
            )
        return found
    except UVMapError:
        if made:
            shutil.rmtree(target, ignore_errors=True)
        raise


def _gist(said: list[str]) -> str:
    lines = [line.strip() for line in said if line.strip()]
    return (lines[-1] if lines else "it ended without a word")[:200]
