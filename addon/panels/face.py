"""The panel Face: the photo, what it shows, and what is wrong with it."""

from __future__ import annotations

import bpy

from .. import current, runtime
from ..faces import FaceView
from ..properties import settings_of
from ..translations import said
from .base import OpenPanel, draw_failure, draw_sentence

_SCALE = 7.0


class UVMAP_ID_PT_face(OpenPanel):  # noqa: N801 - Blender's rule for names of panels.
    """Whose face it is: drop a photo on the viewport, paste its path, or choose it"""

    bl_idname = "UVMAP_ID_PT_face"
    bl_label = "Face"
    page = "face"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column, settings = self.column(), settings_of(context.scene)
        row = column.row(align=True)
        row.prop(settings, "face_image")
        row.operator("uvmap_id.paste_photo", text="", icon="PASTEDOWN")
        row.operator("uvmap_id.check_photo", text="", icon="FILE_REFRESH")
        view = current.faces().view(settings.face_image)
        if view is not None:
            _draw_view(context, column, view)
        column.prop(settings, "subject")
        column.prop(settings, "relight")


class UVMAP_ID_PT_more_faces(OpenPanel):  # noqa: N801 - Blender's rule for names of panels.
    """More photos of the same person, or embeddings, for the engine UVMap-ID"""

    bl_idname = "UVMAP_ID_PT_more_faces"
    bl_label = "Further Photos"
    bl_parent_id = "UVMAP_ID_PT_face"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only for engines that look at them."""
        return settings_of(context.scene).engine in ("auto", "uvmap-id")

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        column = self.column()
        for number, face in enumerate(settings_of(context.scene).more_faces, start=2):
            column.prop(face, "path", text=said("Photo {number}", number=number))
        row = column.row(align=True)
        row.operator("uvmap_id.add_face", icon="ADD")
        row.operator("uvmap_id.remove_face", icon="REMOVE")


def _draw_view(context: bpy.types.Context, column: bpy.types.UILayout, view: FaceView) -> None:
    if view.checking:
        column.label(text="Looking at the photo", icon="SORTTIME")
        return
    icon = runtime.icon_of_file(str(view.thumbnail)) if view.thumbnail is not None else 0
    if icon:
        column.template_icon(icon_value=icon, scale=_SCALE)
    if view.failure is not None:
        draw_failure(context, column, view.failure)
    elif not view.warnings and view.faces:
        column.label(text="One face, good to use", icon="CHECKMARK")
    for warning in view.warnings:
        draw_sentence(context, column, warning, "INFO")


CLASSES = (UVMAP_ID_PT_face, UVMAP_ID_PT_more_faces)
