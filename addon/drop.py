"""Photos that are dropped on the 3D viewport."""

from __future__ import annotations

import bpy

from .operators.face import SUFFIXES


class UVMAP_ID_FH_photo(bpy.types.FileHandler):  # noqa: N801 - Blender's rule for names of file handlers.
    """A photo of the character's face"""

    bl_idname = "UVMAP_ID_FH_photo"
    bl_label = "Face of the Character"
    bl_import_operator = "uvmap_id.choose_photo"
    bl_file_extensions = ";".join(SUFFIXES)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Only over the viewport."""
        return context.area is not None and context.area.type == "VIEW_3D"


def register() -> None:
    """Accept drops."""
    bpy.utils.register_class(UVMAP_ID_FH_photo)


def unregister() -> None:
    """Accept drops no longer."""
    bpy.utils.unregister_class(UVMAP_ID_FH_photo)
