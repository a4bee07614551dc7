"""The panel Material: how strongly the body shows its texture."""

from __future__ import annotations

import bpy

from .. import material
from ..properties import settings_of
from .base import SubPanel


class UVMAP_ID_PT_material(SubPanel):  # noqa: N801 - Blender's rule for names of panels.
    """How strongly the body shows its texture"""

    bl_idname = "UVMAP_ID_PT_material"
    bl_label = "Material"
    page = "material"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only for bodies that wear a texture."""
        return material.worn_by(settings_of(context.scene).body) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column, worn = self.column(), material.worn_by(settings_of(context.scene).body)
        look = getattr(worn, material.LOOK)
        for name in ("roughness", "normal_strength", "subsurface"):
            column.prop(look, name)
        row = column.row()
        row.enabled = bool(look.previous)
        row.prop(look, "mix", text="Mix Previous")
        column.operator("uvmap_id.pack_textures", icon="PACKAGE")


CLASSES = (UVMAP_ID_PT_material,)
