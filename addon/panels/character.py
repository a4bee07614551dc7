"""The sidebar's tab "UVMap-ID": one character, from its body to its texture."""

# pyright: reportOptionalMemberAccess=false
# While a panel is drawn it has a layout.

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import bpy

from .. import thumbnails
from ..link.errors import Failure
from ..link.request import SETTINGS
from ..properties import newest_job, settings_of
from ..session import Job, JobState

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

_PIXELS_PER_LETTER = 7
_SHORTEST_LINE = 16
_PREVIEW_SCALE = 6.0


class UVMAP_ID_PT_character(bpy.types.Panel):  # noqa: N801 - Blender's rule for names of panels.
    """The character's settings, the button, and what became of it"""

    bl_idname = "UVMAP_ID_PT_character"
    bl_label = "Character"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "UVMap-ID"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = settings_of(context.scene)
        layout.prop(settings, "body")
        row = layout.row(align=True)
        row.operator("uvmap_id.add_mannequin", text="Mannequin", icon="OUTLINER_OB_ARMATURE")
        row.operator("uvmap_id.add_body", text="From File", icon="IMPORT")
        column = layout.column()
        for name in ("face_image", "prompt", "subject", "seed", "relight", "size", "engine"):
            column.prop(settings, name)
        self._draw_job(context, newest_job(context.scene))
        layout.separator()
        layout.operator("uvmap_id.render_character", icon="RENDER_STILL")

    def _draw_job(self, context: bpy.types.Context, job: Job | None) -> None:
        layout = self.layout
        if job is not None and not job.ended:
            icon = thumbnails.icon_of(job)
            if icon:
                layout.template_icon(icon_value=icon, scale=_PREVIEW_SCALE)
            layout.progress(factor=job.fraction, text=f"{job.stage} {job.fraction:.0%}")
            layout.operator("uvmap_id.cancel", icon="CANCEL")
            return
        row = layout.row()
        row.scale_y = 1.5
        row.operator("uvmap_id.generate", icon="SHADING_TEXTURE")
        if job is not None:
            box = layout.box().column(align=True)
            draw_sentence(context, box, _sentence(job), _icon(job.state))
            for warning in job.warnings:
                draw_sentence(context, box, warning, "INFO")


class SubPanel(bpy.types.Panel):
    """A closed part of the character's panel."""

    bl_parent_id = "UVMAP_ID_PT_character"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender's own form.

    def column(self) -> bpy.types.UILayout:
        """Where its properties go, in the look of the panel above."""
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        return self.layout.column()


class UVMAP_ID_PT_maps(SubPanel):  # noqa: N801 - Blender's rule for names of panels.
    """Which maps are made, and how normals are stored"""

    bl_idname = "UVMAP_ID_PT_maps"
    bl_label = "Maps"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column = self.column()
        for name in ("extra_maps", "normal_convention"):
            column.prop(settings_of(context.scene), name)


class UVMAP_ID_PT_advanced(SubPanel):  # noqa: N801 - Blender's rule for names of panels.
    """Further photos, and the settings of the engine UVMap-ID"""

    bl_idname = "UVMAP_ID_PT_advanced"
    bl_label = "Advanced"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only for engines that look at any of it."""
        return settings_of(context.scene).engine in ("auto", "uvmap-id")

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column, settings = self.column(), settings_of(context.scene)
        for number, face in enumerate(settings.more_faces, start=2):
            column.prop(face, "path", text=f"Photo {number}")
        row = column.row(align=True)
        row.operator("uvmap_id.add_face", icon="ADD")
        row.operator("uvmap_id.remove_face", icon="REMOVE")
        for name in SETTINGS:
            column.prop(settings.diffusion, name)


def draw_sentence(context: bpy.types.Context, column: bpy.types.UILayout, sentence: str, icon: IconItems) -> None:
    """A sentence on as many lines as the panel's width asks for."""
    for number, line in enumerate(_lines(context, sentence)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1")


def _sentence(job: Job) -> str:
    if isinstance(job.failure, Failure):
        return f"{job.failure.message} {job.failure.hint}".strip()
    if job.state is JobState.CANCELLED:
        return "Cancelled."
    return f"Done in {job.seconds:.0f} s. The maps lie in {job.folder}"


def _icon(state: JobState) -> IconItems:
    if state is JobState.DONE:
        return "CHECKMARK"
    return "CANCEL" if state is JobState.CANCELLED else "ERROR"


def _lines(context: bpy.types.Context, text: str) -> list[str]:
    """Labels don't wrap by themselves."""
    letters = context.region.width / (_PIXELS_PER_LETTER * context.preferences.system.ui_scale) - 6
    return textwrap.wrap(text, max(_SHORTEST_LINE, int(letters)))


CLASSES = (UVMAP_ID_PT_character, UVMAP_ID_PT_maps, UVMAP_ID_PT_advanced)
