"""Add Mannequin, and Import Body."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

from typing import TYPE_CHECKING

import bpy

from .. import body, mannequin
from ..properties import settings_of
from .base import ReportingOperator, path_of

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class UVMAP_ID_OT_add_mannequin(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Add the mannequin, a free body with UVs in SMPL's layout, and use it as the character's body"""

    bl_idname = "uvmap_id.add_mannequin"
    bl_label = "Add Mannequin"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Add it."""
        added = mannequin.add(context.scene)
        _choose(context, added)
        return f'Added the body "{added.name}".'


class UVMAP_ID_OT_import_body(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Import a body with UVs in SMPL's layout from an OBJ file, and use it as the character's body"""

    bl_idname = "uvmap_id.import_body"
    bl_label = "Import Body"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    filepath: bpy.props.StringProperty(name="File", description="A Wavefront OBJ file", subtype="FILE_PATH")
    filter_glob: bpy.props.StringProperty(default="*.obj", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> "set[OperatorReturnItems]":  # noqa: ARG002
        """Ask for the file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> str:
        """Import it."""
        imported = body.import_obj(path_of(self.filepath))
        _choose(context, imported)
        return f'Imported the body "{imported.name}".'


def _choose(context: bpy.types.Context, chosen: bpy.types.Object) -> None:
    """Make a body the character's, and the selected object as Blender's own additions are."""
    settings_of(context.scene).body = chosen
    for selected in context.selected_objects:
        selected.select_set(False)
    chosen.select_set(True)
    context.view_layer.objects.active = chosen


CLASSES = (UVMAP_ID_OT_add_mannequin, UVMAP_ID_OT_import_body)
