"""The closed part "Shape": the mannequin's sliders and gaze."""

from __future__ import annotations

import bpy

from .. import mannequin_rig, shape
from ..properties import settings_of
from .character import SubPanel, draw_sentence


class UVMAP_ID_PT_shape(SubPanel):  # noqa: N801 - Blender's rule for names of panels.
    """What the mannequin looks like"""

    bl_idname = "UVMAP_ID_PT_shape"
    bl_label = "Shape"
    page = "shape"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only for mannequins."""
        return shape.is_mannequin(settings_of(context.scene).body)

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column, body = self.column(), settings_of(context.scene).body
        reason = shape.problem(body)
        if reason:
            draw_sentence(context, column, reason, "ERROR")
            return
        row = column.row(align=True)
        row.operator_menu_enum("uvmap_id.shape_preset", "preset", text="Preset")
        row.operator("uvmap_id.match_subject")
        sliders = column.column()
        for name in (*shape.SLIDERS, *shape.ANCESTRIES):
            sliders.prop(shape.shape_of(body), name)
        if mannequin_rig.rig_of(body) is None:
            draw_sentence(context, column, "The armature is gone: no pose and no gaze.", "INFO")
            return
        column.prop(shape.shape_of(body), "gaze", index=0, text="Gaze Left")
        column.prop(shape.shape_of(body), "gaze", index=1, text="Up")


CLASSES = (UVMAP_ID_PT_shape,)
