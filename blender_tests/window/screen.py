"""A screen without a monitor, with a mouse and a keyboard that are moved from outside: Xvfb and xdotool."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from PIL import Image, ImageGrab

SIZE = (1280, 860)
_STOP_S, _COMMAND_S, _DRAG_S = 20.0, 60.0, 0.03
_KEY_DELAY_MS, _WHEEL_DELAY_MS = "12", "25"


class Screen:
    """One screen; use it in a `with`."""

    def __init__(self, size: tuple[int, int] = SIZE) -> None:
        """Start one of that size in pixels, under a name that is free."""
        reading, writing = os.pipe()
        width, height = size
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

    def drag(self, places: Sequence[tuple[int, int]]) -> None:
        """Draw a line through some places with the left button held."""
        self.move(*places[0])
        self._do("mousedown", "1")
        for place in places:
            self.move(*place)
            time.sleep(_DRAG_S)
        self._do("mouseup", "1")

    def spread(self, title: str, width: int, height: int) -> None:
        """Put the window whose title that is into the top left corner, in that size."""
        found = self._do("search", "--sync", "--onlyvisible", "--name", title).split()
        self._do("windowmove", found[-1], "0", "0")
        self._do("windowsize", "--sync", found[-1], str(width), str(height))
        self._do("windowraise", found[-1])

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

    def _do(self, *command: str) -> str:
        environment = {**os.environ, "DISPLAY": self.name}
        limits = {"timeout": _COMMAND_S, "check": True, "text": True}
        return subprocess.run(["xdotool", *command], stdout=subprocess.PIPE, env=environment, **limits).stdout
