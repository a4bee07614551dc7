"""A real worker with an engine that does what the prompt's first word says, so that each way to end can be tried.

Some words take a second one: `once FILE WORD` does WORD where FILE doesn't exist yet, and makes FILE.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import Progress
from uvmap_id.link.request import TextureRequest
from uvmap_id.server import orphans
from uvmap_id.server.words import to_line
from uvmap_id.worker import serve

# The way to the server, before the worker takes it for itself.
OUT = os.dup(1)


class ScriptedEngine:
    """Follows `uvmap_id.engines.base.Engine`."""

    name = "scripted"
    version = "1"

    def __init__(self) -> None:
        self.spared = 0

    def spare(self) -> bool:
        self.spared += 1
        return True

    def generate(self, request: TextureRequest, photos: tuple[bytes, ...], report: Report) -> TextureSet:
        report("Working", 0.1)
        word, *more = request.prompt.split()
        if word == "once":
            marker = Path(more[0])
            word = "done" if marker.exists() else more[1]
            marker.touch()
        match word:
            case "fail":
                raise UVMapError(ErrorCode.FACE_NOT_FOUND, "There is no face in the photo.", "Choose another photo.")
            case "break":
                raise ZeroDivisionError("a marker for the log")
            case "memory":
                raise MemoryError
            case "slow":
                for step in range(2000):
                    time.sleep(0.01)
                    report("Working", step / 2000)
            case "brief":
                time.sleep(0.5)
            case "deaf":
                time.sleep(60)
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "die":
                os.kill(os.getpid(), int(more[-1]))
            case "freeze":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "hold":
                hold_for_ever()
            case "hog":
                hog_memory()
            case "tight":
                if not self.spared:
                    hog_memory()
            case "rubbish":
                os.write(OUT, b"rubbish\n")
                time.sleep(60)
            case "stranger":
                os.write(OUT, to_line(Progress("0" * 32, "Working", 0.5)))
                time.sleep(60)
            case "endless":
                while True:
                    os.write(OUT, b"x" * 65536)
            case "flood":
                for _ in range(3000):
                    os.write(2, (b"y" * 63 + b"\n") * 1024)
                os.write(2, b"the last line\n")
            case "babble":
                for _ in range(3000):
                    report("Working", 0.5)
                    report("x" * 100_000, 0.5)
            case "whisper":
                print(f"a library quotes {request.prompt!r}", file=sys.stderr)  # noqa: T201
                if more[-1] == "crash":
                    raise SystemExit(request.prompt)
            case "rhythm":
                for step in range(10):
                    time.sleep(float(more[0]))
                    report(f"Step {step} of 10", step / 10)
                time.sleep(60)
            case "parent":
                start_children()
                time.sleep(60)
            case "fork":
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                os.kill(os.getpid(), signal.SIGKILL)
            case "quit":
                sys.exit(7)
            case "shout":
                print("a library's print")  # noqa: T201
                os.write(1, b"a C library's print\n")
            case "backwards":
                for fraction in (0.5, 0.2, float("nan"), 7.0):
                    report(f"At {fraction}", fraction)
            case "show":
                for step in range(120):
                    time.sleep(0.01)
                    report("Working", step / 120, np.full((300, 200, 3), step, np.uint8))
            case "misshow":
                report("Working", 0.5, np.zeros((8, 8), np.uint8))
        side = request.size // 2 if word == "wrong" else request.size
        details: dict[str, object] = {"photo_bytes": len(photos[0])}
        if word == "talk":
            details = {"long": "x" * 100_000}
        elif word == "compare":
            details = {"photos": [hashlib.sha256(photo).hexdigest() for photo in photos]}
        return texture_set(side, request.seed, details)


def hold_for_ever() -> None:
    """Wait in C for a mutex that nobody gives back. PyDLL keeps Python's lock, so that no other thread runs."""
    mutex = ctypes.create_string_buffer(128)
    for _ in range(2):
        ctypes.PyDLL(None).pthread_mutex_lock(mutex)


def hog_memory() -> None:
    """Take all the memory that this process may have, which is not much from now on."""
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, hard))
    try:
        held = []
        while True:
            held.append(np.ones(2**24, np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def start_children() -> None:
    """One in the worker's group, one in a session of its own, one without the worker's environment."""
    sleep = [sys.executable, "-c", "import time; time.sleep(300)"]
    subprocess.Popen(sleep)
    subprocess.Popen(sleep, start_new_session=True)
    subprocess.Popen(sleep, env={}, process_group=0)


def texture_set(side: int, seed: int, details: dict[str, object]) -> TextureSet:
    color = np.full((side, side, 3), seed % 256, np.uint8)
    normal = np.full((side, side, 3), (128, 128, 255), np.uint8)
    rough, skin = (np.full((side, side), value, np.uint8) for value in (200, 90))
    return TextureSet(color, normal, rough, skin, warnings=("a warning",), details=details)


if __name__ == "__main__":
    if os.environ.get("UVMAP_ID_TEST_NO_DEATH_SIGNAL"):
        # As on a system that has none.
        orphans.ctypes.CDLL = lambda name: type("Nothing", (), {"prctl": lambda *arguments: 0})
    serve(lambda _name: ScriptedEngine())
