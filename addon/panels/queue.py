"""The panel Queue: every job of this Blender."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
# While a panel is drawn it has a layout, and operators have the properties that they registered.

from __future__ import annotations

import bpy

from .. import current
from ..snapshot import Row
from ..translations import said
from .base import OpenPanel, draw_failure, draw_sentence

_SCALE = 5.0


class UVMAP_ID_PT_queue(OpenPanel):  # noqa: N801 - Blender's rule for names of panels.
    """Textures that are being made, and those that could not be"""

    bl_idname = "UVMAP_ID_PT_queue"
    bl_label = "Queue"
    page = "queue"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        layout, snapshot = self.layout, current.current().snapshot
        if not snapshot.rows:
            layout.label(text="Nothing is being made")
            return
        for row in snapshot.rows:
            _draw_row(context, layout.column(align=True), row)
        if snapshot.open > 1:
            left = said(", {time} left", time=snapshot.left) if snapshot.left else ""
            layout.label(text=said("{count} to be made", count=snapshot.open) + left, translate=False)
            layout.operator("uvmap_id.cancel_all", icon="CANCEL")
        if snapshot.open < len(snapshot.rows):
            layout.operator("uvmap_id.dismiss", text="Clear Ended", icon="TRASH")


def _draw_row(context: bpy.types.Context, column: bpy.types.UILayout, row: Row) -> None:
    if row.icon:
        column.template_icon(icon_value=row.icon, scale=_SCALE)
    line = column.row(align=True)
    line.label(text=row.label)
    if row.state.ended:
        if row.state.value == "cancelled":
            line.operator("uvmap_id.retry", text="", icon="FILE_REFRESH").key = row.key
        line.operator("uvmap_id.dismiss", text="", icon="X").key = row.key
    else:
        line.operator("uvmap_id.cancel", text="", icon="CANCEL").key = row.key
    if row.failure is not None:
        draw_failure(context, column, row.failure, row.key)
    elif row.state.ended:
        column.label(text=row.text, icon="CHECKMARK" if row.state.value == "done" else "CANCEL")
    else:
        column.progress(factor=row.fraction, text=row.text)
    for note in row.notes:
        draw_sentence(context, column, note, "INFO")


CLASSES = (UVMAP_ID_PT_queue,)
