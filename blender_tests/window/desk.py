"""A person at a Blender that is open, and the camera that keeps pictures of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from screen import Screen
from user import User

_ANSWER_S = 120.0


class Orders:
    """What `hand.py` is told to do inside Blender."""

    def __init__(self, path: Path) -> None:
        """Orders go to that file."""
        self._path = path
        self._number = 0

    def give(self, do: str, **options: Any) -> Any:
        """Have one of the functions of `hand.py` called, and return what it returns."""
        self._number += 1
        written = self._path.with_suffix(".new")
        written.write_text(json.dumps({"number": self._number, "do": do, "with": options}), encoding="utf-8")
        written.replace(self._path)
        answers, deadline = self._path.with_suffix(".answer"), time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline:
            answer = json.loads(answers.read_text(encoding="utf-8")) if answers.exists() else {"number": 0}
            if answer["number"] == self._number:
                assert not answer["error"], answer["error"]
                return answer["said"]
            time.sleep(0.02)
        raise AssertionError(f"Blender does not {do}.")


@dataclass(frozen=True)
class Desk:
    """A person at a Blender that is open.

    Attributes:
        user: The person.
        screen: What the person sees.
        orders: What is done inside Blender at a test's word.
        folder: Which Blender sees too, under the same path.
        pictures: Where photographs are kept.
    """

    user: User
    screen: Screen
    orders: Orders
    folder: Path
    pictures: Path

    @property
    def portrait(self) -> Path:
        """A photo of a face."""
        return self.folder / "portrait.png"

    @property
    def state(self) -> Path:
        """The backend's state folder."""
        return self.folder / "state"

    def photograph(self, name: str) -> Image.Image:
        """Keep what the screen shows once Blender has drawn everything."""
        # What Blender draws comes after what it does.
        for _ in range(2):
            self.user.settle()
        time.sleep(0.3)
        return self.screen.save(self.pictures / f"{name}.png")
