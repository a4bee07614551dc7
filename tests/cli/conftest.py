"""The command in a process of its own, as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "uvmap_id")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def uvmap_id() -> Run:
    """Runs `uvmap-id` with some arguments."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture
def face(tmp_path: Path, photo: bytes) -> Path:
    path = tmp_path / "face.png"
    path.write_bytes(photo)
    return path
