"""Render Character."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

from typing import TYPE_CHECKING

import bpy

from .. import body, stage
from ..link.errors import ErrorCode
from ..properties import settings_of
from .base import ReportingOperator, path_of

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class UVMAP_ID_OT_render_character(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Render the character's body alone, with camera and light of its own, into a PNG file"""

    bl_idname = "uvmap_id.render_character"
    bl_label = "Render Character"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    filepath: bpy.props.StringProperty(name="File", description="The PNG file to write", subtype="FILE_PATH")
    filter_glob: bpy.props.StringProperty(default="*.png", options={"HIDDEN"})
    view: bpy.props.EnumProperty(
        name="View",
        description="Where the camera stands",
        items=[
            ("FRONT", "Front", "The whole body from the front"),
            ("BACK", "Back", "The whole body from the back"),
            ("FACE", "Face", "The head from the front"),
        ],
    )
    resolution: bpy.props.IntVectorProperty(
        name="Resolution", description="Width and height in pixels", size=2, default=(640, 960), min=16, max=8192
    )
    samples: bpy.props.IntProperty(name="Samples", description="Of Cycles, a pixel", default=32, min=1, max=4096)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> "set[OperatorReturnItems]":  # noqa: ARG002
        """Ask for the file."""
        self.filepath = self.filepath or "character.png"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> str:
        """Render it."""
        width, height = self.resolution
        shot = stage.Shot(stage.View[self.view], width, height, self.samples)
        wearer = body.checked(context.scene, settings_of(context.scene).body)
        return f"Rendered {stage.render(wearer, path_of(self.filepath, ErrorCode.OUTPUT_NOT_WRITABLE), shot)}."


CLASSES = (UVMAP_ID_OT_render_character,)
