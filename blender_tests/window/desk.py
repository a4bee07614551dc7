"""A person at a Blender that is open, and the camera that keeps pictures of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from screen import Screen
from user import User


@dataclass(frozen=True)
class Desk:
    """A person at a Blender that is open.

    Attributes:
        user: The person.
        screen: What the person sees.
        portrait: A photo of a face, as a file that Blender sees too.
        state: The backend's state folder.
        pictures: Where photographs are kept.
    """

    user: User
    screen: Screen
    portrait: Path
    state: Path
    pictures: Path

    def photograph(self, name: str) -> Image.Image:
        """Keep what the screen shows once Blender has drawn everything."""
        # What Blender draws comes after what it does.
        for _ in range(2):
            self.user.settle()
        time.sleep(0.3)
        return self.screen.save(self.pictures / f"{name}.png")
