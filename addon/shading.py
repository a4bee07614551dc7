"""How a 3D viewport shows bodies."""

from __future__ import annotations

from typing import Any

import bpy

from . import painting


def hides_textures(context: bpy.types.Context) -> bool:
    """True in a viewport that shows no textures, and not because a mask is being painted there."""
    space: Any = context.space_data
    if space is None or space.type != "VIEW_3D" or context.mode == painting.MODE:
        return False
    shown = space.shading.type
    return shown == "WIREFRAME" or (shown == "SOLID" and space.shading.color_type != "TEXTURE")
