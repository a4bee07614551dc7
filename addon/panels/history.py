"""The panel History: what was made in this scene."""

# pyright: reportIncompatibleMethodOverride=false, reportReturnType=false
# The stubs call everything optional that Blender hands over.

from __future__ import annotations

import bpy

from .. import history, runtime
from ..properties import CharacterSettings, HistoryEntry, settings_of
from .base import SubPanel

_SCALE = 6.0


class UVMAP_ID_UL_history(bpy.types.UIList):  # noqa: N801 - Blender's rule for names of lists.
    """The textures that were made, the newest first"""

    bl_idname = "UVMAP_ID_UL_history"

    def draw_item(
        self,
        context: bpy.types.Context,  # noqa: ARG002
        layout: bpy.types.UILayout,
        data: CharacterSettings,  # noqa: ARG002
        item: HistoryEntry,
        icon: int,  # noqa: ARG002
        active_data: CharacterSettings,  # noqa: ARG002
        active_property: str,  # noqa: ARG002
    ) -> None:
        """Draw one of them."""
        picture = runtime.icon_of_file(history.thumbnail_text(item))
        if picture:
            layout.label(text=item.name, icon_value=picture)
        else:
            layout.label(text=item.name, icon="TEXTURE")

    def filter_items(
        self,
        context: bpy.types.Context,  # noqa: ARG002
        data: CharacterSettings,
        property: str,  # noqa: A002 - Blender's own name
    ) -> tuple[list[int], list[int]]:
        """The newest first."""
        entries = getattr(data, property)
        names = bpy.types.UI_UL_list
        flags = names.filter_items_by_name(self.filter_name, self.bitflag_filter_item, entries, "name")
        return flags, [len(entries) - 1 - number for number in range(len(entries))]


class UVMAP_ID_PT_history(SubPanel):  # noqa: N801 - Blender's rule for names of panels.
    """The textures that were made in this scene"""

    bl_idname = "UVMAP_ID_PT_history"
    bl_label = "History"
    page = "history"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column, settings = self.column(), settings_of(context.scene)
        column.template_list("UVMAP_ID_UL_history", "", settings, "history", settings, "history_index", rows=4)
        if 0 <= settings.history_index < len(settings.history):
            _draw_chosen(column, settings.history[settings.history_index])
        row = column.row(align=True)
        row.operator("uvmap_id.history_find", icon="VIEWZOOM")
        row.operator("uvmap_id.recall_file", icon="FILE_IMAGE")


def _draw_chosen(column: bpy.types.UILayout, entry: HistoryEntry) -> None:
    icon = runtime.icon_of_file(history.thumbnail_text(entry))
    if icon:
        column.template_icon(icon_value=icon, scale=_SCALE)
    column.label(text=entry.made, icon="TIME")
    row = column.row(align=True)
    row.operator("uvmap_id.history_apply", icon="MATERIAL")
    row.operator("uvmap_id.history_compare", icon="ARROW_LEFTRIGHT")
    row = column.row(align=True)
    row.operator("uvmap_id.history_recall", icon="LOOP_BACK")
    row.operator("uvmap_id.history_reveal", icon="FILE_FOLDER")
    row.operator("uvmap_id.history_delete", text="", icon="TRASH")


CLASSES = (UVMAP_ID_UL_history, UVMAP_ID_PT_history)
