"""The body's part of the tab: its UV layout, and the shape of a body model."""

# pyright: reportOptionalMemberAccess=false
# While a panel is drawn it has a layout.

from __future__ import annotations

import bpy

from ..preferences import preferences_of
from ..properties import settings_of
from ..smpl.build import SHAPE
from ..smpl.follow import family_of_body, keys

_SLIDERS = 10


class UVMAP_ID_PT_body(bpy.types.Panel):  # noqa: N801 - Blender's rule for names of panels.
    """Which UV layout the body has, and the sliders of a body model"""

    bl_idname = "UVMAP_ID_PT_body"
    bl_label = "Body"
    bl_parent_id = "UVMAP_ID_PT_character"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender's own form.

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings, preferences = settings_of(context.scene), preferences_of()
        column = layout.column()
        if settings.body is not None:
            column.label(text=settings.body_layout, icon="UV")
        column.prop(settings, "assign_anyway")
        if preferences is not None:
            column.prop(preferences, "smpl_uv_template")
            column.prop(preferences, "smplx_uv_template")
        family = family_of_body(settings.body)
        if settings.body is not None and family is not None:
            self._draw_shape(settings.body, family.name)

    def _draw_shape(self, body: bpy.types.Object, family: str) -> None:
        column = self.layout.column(align=True)
        column.label(text=f"Shape of {family}", icon="SHAPEKEY_DATA")
        for key in keys(body, SHAPE)[:_SLIDERS]:
            column.prop(key, "value", text=key.name, slider=True)
        column.operator("uvmap_id.update_joints", icon="ARMATURE_DATA")
        column.operator("uvmap_id.update_correctives", icon="POSE_HLT")


CLASSES = (UVMAP_ID_PT_body,)
