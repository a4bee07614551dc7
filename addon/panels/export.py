"""Other layouts and other programs."""

# pyright: reportOptionalMemberAccess=false
# While a panel is drawn it has a layout.

from __future__ import annotations

import bpy

from ..properties import settings_of
from ..translations import said
from .base import SubPanel


class UVMAP_ID_PT_export(SubPanel):  # noqa: N801 - Blender's rule for names of panels.
    """The textures on another mesh, and the character in another program"""

    bl_idname = "UVMAP_ID_PT_export"
    bl_label = "Transfer and Export"
    page = "export"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column = self.column()
        target = context.active_object
        fits = target is not None and target.type == "MESH" and target != settings_of(context.scene).body
        to = said("To: {name}", name=target.name) if fits else said("Select the mesh to transfer to")
        column.label(text=to, translate=False, icon="OBJECT_DATA")
        # Asks for size and distance first.
        column.operator_context = "INVOKE_DEFAULT"
        column.operator("uvmap_id.transfer_texture", icon="RENDERLAYERS")
        column.separator()
        column.operator("uvmap_id.export_character", icon="EXPORT")
        column.operator("uvmap_id.render_character", icon="RENDER_STILL")


CLASSES = (UVMAP_ID_PT_export,)
