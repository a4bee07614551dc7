"""The panel Body: which mesh gets the texture, its UV layout, and the shape of a body model."""

# pyright: reportOptionalMemberAccess=false
# While a panel is drawn it has a layout.

from __future__ import annotations

import bpy

from ..preferences import preferences_of
from ..properties import settings_of
from ..smpl.build import SHAPE
from ..smpl.follow import family_of_body, keys
from ..translations import said
from .base import OpenPanel

_SLIDERS = 10


class UVMAP_ID_PT_body(OpenPanel):  # noqa: N801 - Blender's rule for names of panels.
    """Which mesh gets the texture, which UV layout it has, and the sliders of a body model"""

    bl_idname = "UVMAP_ID_PT_body"
    bl_label = "Body"
    page = "body"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column, settings = self.column(), settings_of(context.scene)
        column.prop(settings, "body")
        row = column.row(align=True)
        row.operator("uvmap_id.add_mannequin", text="Mannequin", icon="OUTLINER_OB_ARMATURE")
        row.operator("uvmap_id.add_body", text="From File", icon="IMPORT")
        if settings.body is None:
            return
        column.label(text=settings.body_layout, icon="UV")
        column.prop(settings, "assign_anyway")
        family = family_of_body(settings.body)
        if family is not None:
            self._draw_templates(column)
            self._draw_shape(settings.body, family.name)

    def _draw_templates(self, column: bpy.types.UILayout) -> None:
        preferences = preferences_of()
        if preferences is not None:
            column.prop(preferences, "smpl_uv_template")
            column.prop(preferences, "smplx_uv_template")

    def _draw_shape(self, body: bpy.types.Object, family: str) -> None:
        column = self.layout.column(align=True)
        column.label(text=said("Shape of {family}", family=family), icon="SHAPEKEY_DATA")
        for key in keys(body, SHAPE)[:_SLIDERS]:
            column.prop(key, "value", text=key.name, slider=True)
        column.operator("uvmap_id.update_joints", icon="ARMATURE_DATA")
        column.operator("uvmap_id.update_correctives", icon="POSE_HLT")


CLASSES = (UVMAP_ID_PT_body,)
