"""A worker whose engine does what the first word of the photo's file says: for tests of whoever looks after it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from uvmap_id.engines.base import EngineLostError, Report, TextureSet
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import TextureRequest

SIDE = 512


class ScriptedEngine:
    """Paints the seed's colour. Everything that is made is noted in a file, when the environment names one."""

    name = "projection"
    version = "scripted"

    def generate(self, request: TextureRequest, photos: tuple[bytes, ...], report: Report) -> TextureSet:
        word, _, rest = photos[0].decode().partition(" ")
        if word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "die-once" and _first(Path(rest)):
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "lose-once" and _first(Path(rest)):
            raise EngineLostError(ErrorCode.DEVICE_LOST, "The card is gone.")
        if word == "refuse":
            raise UVMapError(ErrorCode.FACE_NOT_FOUND, "No face was found.", "Choose another photo.")
        if word == "break":
            raise ZeroDivisionError("a bug")
        if word == "slow":
            time.sleep(float(rest.split()[0]))
        if log := os.environ.get("SCRIPTED_LOG"):
            with Path(log).open("a") as file:
                file.write(f"{request.face_sha256} {request.seed}\n")
        colour = np.frombuffer(request.seed.to_bytes(4, "big"), np.uint8)[:3]
        plain = np.zeros((SIDE, SIDE), np.uint8)
        base_color = np.broadcast_to(colour, (SIDE, SIDE, 3)).copy()
        return TextureSet(base_color, base_color, plain, plain)


def _first(marker: Path) -> bool:
    try:
        with marker.open("x"):
            return True
    except FileExistsError:
        return False


def scripted(name: str) -> ScriptedEngine:
    assert name == "projection"
    return ScriptedEngine()


if __name__ == "__main__":
    from uvmap_id.datasets.worker import serve

    serve(Path(sys.argv[1]), scripted)
