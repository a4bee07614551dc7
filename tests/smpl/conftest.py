"""Makes the add-on's modules importable without Blender: `addon/__init__.py`, which needs bpy, is passed over."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import uvmap_id.link
import uvmap_id.link.errors

_addon = ModuleType("addon")
_addon.__path__ = [str(Path(__file__).resolve().parents[2] / "addon")]
sys.modules.setdefault("addon", _addon)
# In the built zip the link is a copy inside the add-on.
sys.modules.setdefault("addon.link", uvmap_id.link)
sys.modules.setdefault("addon.link.errors", uvmap_id.link.errors)
