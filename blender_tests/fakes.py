"""What tests and benchmarks use to put the fake backend in the real one's place."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0


def fake_program(folder: Path) -> Path:
    """A program that takes the arguments of `uvmap-id` and runs the fake."""
    import zmq

    fake = Path(__file__).with_name("fake_backend.py")
    packages = Path(zmq.__file__).resolve().parents[1]
    program = folder / "uvmap-id"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{packages}" exec "{sys.executable}" "{fake}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


def tick_until(reached: Callable[[], bool], tick: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> list[float]:
    """Tick until something is reached; the seconds of processor time that each tick took.

    Not those on the clock: a machine that runs other tests takes the processor away. The benchmark measures both.
    """
    deadline = time.monotonic() + timeout_s
    took = []
    while not reached():
        assert time.monotonic() < deadline, "It takes too long."
        began = time.thread_time()
        tick()
        took.append(time.thread_time() - began)
        time.sleep(0.005)
    return took
