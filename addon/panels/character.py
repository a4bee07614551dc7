"""The sidebar's tab "UVMap-ID": one character; its parts are panels of their own."""

# pyright: reportOptionalMemberAccess=false, reportArgumentType=false
# While a panel is drawn it has a layout.

from __future__ import annotations

import bpy

from .. import current, material, shading
from ..properties import settings_of
from ..translations import OWN
from .base import OpenPanel, SubPanel, draw_failure, draw_sentence

__all__ = ["CLASSES", "OpenPanel", "SubPanel", "UVMAP_ID_PT_character", "draw_failure", "draw_sentence"]


class UVMAP_ID_PT_character(bpy.types.Panel):  # noqa: N801 - Blender's rule for names of panels.
    """A photo and a sentence become a texture on a body"""

    bl_idname = "UVMAP_ID_PT_character"
    bl_label = "Character"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "UVMap-ID"
    bl_translation_context = OWN

    def draw(self, context: bpy.types.Context) -> None:
        """Draw why the newest click came to nothing, if it did, and what to do where the texture can't be seen."""
        refused = current.current().refused.get(context.scene.session_uid)
        if refused is not None:
            draw_failure(context, self.layout, refused)
        if material.worn_by(settings_of(context.scene).body) is not None and shading.hides_textures(context):
            self.layout.operator("uvmap_id.show_texture", icon="SHADING_TEXTURE")


CLASSES = (UVMAP_ID_PT_character,)
