"""The panel Generate: engine, size, seed, the button; maps and the engine's settings below."""

from __future__ import annotations

import bpy

from .. import painting
from ..link.region import REGION_PARTS
from ..link.request import SETTINGS
from ..properties import settings_of
from .base import OpenPanel


class UVMAP_ID_PT_generate(OpenPanel):  # noqa: N801 - Blender's rule for names of panels.
    """Make textures"""

    bl_idname = "UVMAP_ID_PT_generate"
    bl_label = "Generate"
    page = "generate"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column, settings = self.column(), settings_of(context.scene)
        column.prop(settings, "engine")
        column.prop(settings, "size")
        row = column.row(align=True)
        row.prop(settings, "seed")
        row.prop(settings, "seed_lock", text="", icon="LOCKED" if settings.seed_lock else "UNLOCKED")
        row.operator("uvmap_id.new_seed", text="", icon="FILE_REFRESH")
        column.prop(settings, "variations")
        row = column.row()
        row.scale_y = 1.5
        row.operator("uvmap_id.generate", icon="SHADING_TEXTURE")


class _Closed(OpenPanel):
    """A closed part of this panel."""

    bl_parent_id = "UVMAP_ID_PT_generate"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender's own form.


class UVMAP_ID_PT_maps(_Closed):  # noqa: N801 - Blender's rule for names of panels.
    """Which maps are made, and how normals are stored"""

    bl_idname = "UVMAP_ID_PT_maps"
    bl_label = "Maps"
    page = "maps"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column = self.column()
        for name in ("extra_maps", "normal_convention"):
            column.prop(settings_of(context.scene), name)


class UVMAP_ID_PT_advanced(_Closed):  # noqa: N801 - Blender's rule for names of panels.
    """The settings of the engine UVMap-ID"""

    bl_idname = "UVMAP_ID_PT_advanced"
    bl_label = "Advanced"
    page = "advanced"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only for engines that look at any of it."""
        return settings_of(context.scene).engine in ("auto", "uvmap-id")

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column, settings = self.column(), settings_of(context.scene)
        for name in SETTINGS:
            column.prop(settings.diffusion, name)


class UVMAP_ID_PT_region(_Closed):  # noqa: N801 - Blender's rule for names of panels.
    """Make a part of the texture anew that the body wears, and keep the rest"""

    bl_idname = "UVMAP_ID_PT_region"
    bl_label = "Region"
    page = "region"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column, settings = self.column(), settings_of(context.scene)
        # Apart from each other, since all at once they would need Shift to choose more than one.
        parts = column.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        # Their names stand on the buttons.
        parts.use_property_split = False
        for name in REGION_PARTS:
            icon = "CHECKBOX_HLT" if name in settings.region_parts else "CHECKBOX_DEHLT"
            parts.prop_enum(settings, "region_parts", name, icon=icon)
        column.prop(settings, "region_mask")
        row = column.row(align=True)
        row.operator(
            "uvmap_id.finish_mask" if context.mode == painting.MODE else "uvmap_id.paint_mask", icon="BRUSH_DATA"
        )
        row.operator("uvmap_id.clear_mask", icon="X")
        column.operator("uvmap_id.generate_region", icon="SHADING_TEXTURE")


CLASSES = (UVMAP_ID_PT_generate, UVMAP_ID_PT_region, UVMAP_ID_PT_maps, UVMAP_ID_PT_advanced)
