"""Export Character."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

from typing import TYPE_CHECKING

import bpy

from .. import body, export
from ..link.errors import ErrorCode
from ..properties import settings_of
from .base import ReportingOperator, path_of

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class UVMAP_ID_OT_export_character(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Export the character's body with armature, shape keys, action and textures into one glTF or FBX file"""

    bl_idname = "uvmap_id.export_character"
    bl_label = "Export Character"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    filepath: bpy.props.StringProperty(
        name="File", description="A .glb, .gltf or .fbx file to write", subtype="FILE_PATH"
    )
    filter_glob: bpy.props.StringProperty(default="*.glb;*.gltf;*.fbx", options={"HIDDEN"})
    animation: bpy.props.BoolProperty(name="Animation", description="Export the present action too", default=True)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> "set[OperatorReturnItems]":  # noqa: ARG002
        """Ask for the file."""
        self.filepath = self.filepath or "character.glb"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> str:
        """Export it."""
        chosen = body.checked(context.scene, settings_of(context.scene).body)
        path = path_of(self.filepath, ErrorCode.EXPORT_FAILED)
        return f"Exported {export.export(chosen, path, animation=self.animation)}."


CLASSES = (UVMAP_ID_OT_export_character,)
