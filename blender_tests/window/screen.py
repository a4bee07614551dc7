"""A screen without a monitor, with a mouse and a keyboard that are moved from outside: Xvfb and xdotool."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

from PIL import Image, ImageGrab

SIZE = (1280, 860)
_STOP_S = 5.0
_KEY_DELAY_MS, _WHEEL_DELAY_MS = "12", "25"


class Screen:
    """One screen; use it in a `with`."""

    def __init__(self) -> None:
        """Start it under a name that is free."""
        reading, writing = os.pipe()
        width, height = SIZE
        self._process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"],
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()
        if not number:
            raise RuntimeError("Xvfb does not start.")
        self.name = f":{number}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.wait(_STOP_S)

    def move(self, x: int, y: int) -> None:
        """Move the mouse; the origin is the top left."""
        self._do("mousemove", str(x), str(y))

    def click(self) -> None:
        """Press and let go of the left button."""
        self._do("click", "1")

    def turn_wheel(self, steps: int, held: str = "") -> None:
        """Turn the wheel, down where `steps` is positive, while a key is held."""
        turn = ["click", "--repeat", str(abs(steps)), "--delay", _WHEEL_DELAY_MS, "5" if steps > 0 else "4"]
        self._do(*(("keydown", held, *turn, "keyup", held) if held else turn))

    def press(self, *keys: str) -> None:
        """Press keys, by the names that X has for them."""
        self._do("key", "--delay", _KEY_DELAY_MS, *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._do("type", "--delay", _KEY_DELAY_MS, text)

    def photograph(self) -> Image.Image:
        """What the screen shows."""
        return ImageGrab.grab(xdisplay=self.name).convert("RGB")

    def save(self, path: Path) -> Image.Image:
        """Keep a photograph as a file."""
        picture = self.photograph()
        picture.save(path)
        return picture

    def _do(self, *command: str) -> None:
        subprocess.run(["xdotool", *command], check=True, env={**os.environ, "DISPLAY": self.name})
