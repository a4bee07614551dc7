"""A disk of a few megabytes that a test may fill to the last byte."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mount_small_disk(folder: Path, options: str) -> None:
    """Mount one at a folder, which hides what is there; `options` are tmpfs's, such as "size=8m,mode=700".

    Only root on Linux can; elsewhere the test is skipped. A mount that fails fails it where no test may be missing.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = f"a small disk can't be mounted: {done.stderr.strip()}"
        assert not os.environ.get("UVMAP_ID_REQUIRE_SHARED"), reason
        pytest.skip(reason)


@contextmanager
def small_disk_at(folder: Path, options: str) -> Iterator[Path]:
    """One that is mounted for a while; nothing may be open on it at the end."""
    mount_small_disk(folder, options)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Write a file until there is not a byte left, and return it."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 512, 1):
            while True:
                try:
                    file.write(b"x" * size)
                except OSError:
                    break
    assert os.statvfs(folder).f_bavail == 0, "the disk is not full"
    return filler
