"""A real worker with an engine that does what the prompt's first word says, so that each way to end can be tried."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time

import numpy as np

from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import TextureRequest
from uvmap_id.worker import serve


class ScriptedEngine:
    """Follows `uvmap_id.engines.base.Engine`."""

    name = "scripted"
    version = "1"

    def generate(self, request: TextureRequest, photos: tuple[bytes, ...], report: Report) -> TextureSet:
        report("Working", 0.1)
        word = request.prompt.split()[0]
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


def texture_set(side: int, seed: int, details: dict[str, object]) -> TextureSet:
    color = np.full((side, side, 3), seed % 256, np.uint8)
    normal = np.full((side, side, 3), (128, 128, 255), np.uint8)
    rough, skin = (np.full((side, side), value, np.uint8) for value in (200, 90))
    return TextureSet(color, normal, rough, skin, warnings=("a warning",), details=details)


if __name__ == "__main__":
    serve(lambda _name: ScriptedEngine())
