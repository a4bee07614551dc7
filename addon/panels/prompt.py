"""The panel Prompt: what the person wears, presets and favourites."""

# pyright: reportIncompatibleMethodOverride=false, reportOptionalMemberAccess=false
# The stubs call everything optional that Blender hands over.

from __future__ import annotations

import bpy

from ..preferences import preferences_of
from ..properties import settings_of
from ..translations import said
from .base import OpenPanel


class UVMAP_ID_MT_favourites(bpy.types.Menu):  # noqa: N801 - Blender's rule for names of menus.
    """Prompts that were kept"""

    bl_idname = "UVMAP_ID_MT_favourites"
    bl_label = "Favourites"

    def draw(self, context: bpy.types.Context) -> None:  # noqa: ARG002
        """Draw the menu: each prompt, and below the same to remove them."""
        layout, preferences = self.layout, preferences_of()
        favourites = preferences.favourites if preferences is not None else ()
        if not favourites:
            layout.label(text="None yet: keep a prompt with the heart")
            return
        for index, favourite in enumerate(favourites):
            layout.operator("uvmap_id.use_favourite", text=favourite.name).index = index
        layout.separator()
        for index, favourite in enumerate(favourites):
            text = said("Remove: {name}", name=favourite.name)
            layout.operator("uvmap_id.remove_favourite", text=text, icon="X").index = index


class UVMAP_ID_PT_prompt(OpenPanel):  # noqa: N801 - Blender's rule for names of panels.
    """What the person wears"""

    bl_idname = "UVMAP_ID_PT_prompt"
    bl_label = "Prompt"
    page = "prompt"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column = self.column()
        row = column.row(align=True)
        row.prop(settings_of(context.scene), "prompt", text="")
        row.operator("uvmap_id.add_favourite", text="", icon="HEART")
        row = column.row(align=True)
        row.operator_menu_enum("uvmap_id.use_preset", "preset", text="Presets")
        row.menu("UVMAP_ID_MT_favourites")


CLASSES = (UVMAP_ID_MT_favourites, UVMAP_ID_PT_prompt)
