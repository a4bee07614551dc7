"""Makes the add-on's modules importable without Blender: `addon/__init__.py`, which needs bpy, is passed over."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import uvmap_id.link
import uvmap_id.link.errors


def make_importable() -> None:
    """Let `addon.<module>` be imported, with the backend's own link and errors in it."""
    addon = ModuleType("addon")
    addon.__path__ = [str(Path(__file__).resolve().parents[1] / "addon")]
    sys.modules.setdefault("addon", addon)
    # In the built zip the link is a copy inside the add-on.
    sys.modules.setdefault("addon.link", uvmap_id.link)
    sys.modules.setdefault("addon.link.errors", uvmap_id.link.errors)
