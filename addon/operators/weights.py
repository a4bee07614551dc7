"""The weights' table in the preferences: get, verify, remove, open the folder."""

# pyright: reportInvalidTypeForm=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
# Blender reads its properties from annotations that are calls; a dialog that is drawn has a layout.

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from .. import upkeep
from ..link.client import error_of
from ..link.errors import ErrorCode, UVMapError
from ..setup.weights import Shelf, Weights
from ..translations import said
from .base import ReportingOperator

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

_DIALOG_WIDTH = 520
_LETTERS = 84


class WeightsOperator(ReportingOperator):
    """Begins something with the weights; with windows, the table shows how it goes on."""

    bl_options = {"REGISTER", "INTERNAL"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:  # noqa: ARG003
        """One thing at a time."""
        cls.poll_message_set("Something is being done with the weights; wait for it, or cancel it.")
        return not upkeep.upkeep().shelf.busy

    def begin(self, shelf: Shelf) -> None:
        """Begin it. Raises `UVMapError`."""
        raise NotImplementedError

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Begin and return at once; in a script without windows, wait for the end."""
        shelf = upkeep.with_shelf(self.begin)
        if shelf.failure is not None:
            raise error_of(shelf.failure)
        return shelf.sentence or "It has begun; the preferences show how far it is."


class UVMAP_ID_OT_weights_refresh(WeightsOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Ask the backend which weights there are, and which of them are installed"""

    bl_idname = "uvmap_id.weights_refresh"
    bl_label = "Show Weights"

    def begin(self, shelf: Shelf) -> None:
        """Read the table again."""
        shelf.refresh()


class UVMAP_ID_OT_weights_get(WeightsOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Download these weights, or go on with it. Terms that forbid commercial use are shown and asked for first"""

    bl_idname = "uvmap_id.weights_get"
    bl_label = "Get Weights"

    weights: bpy.props.StringProperty(name="Weights", description="Their id in the table")
    accept: bpy.props.BoolProperty(
        name="I have read the licence and accept it",
        description="Needed for weights that may not be used commercially",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:  # noqa: ARG002
        """Show the terms of what may not be used commercially."""
        row = upkeep.upkeep().shelf.row(self.weights)
        if row is None or row.accepted or row.state == "manual":
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(self, width=_DIALOG_WIDTH)

    def draw(self, context: bpy.types.Context) -> None:  # noqa: ARG002
        """Draw the dialog: whose terms, what they come to, where they stand, and the consent."""
        row = upkeep.upkeep().shelf.row(self.weights)
        if row is not None:
            draw_terms(self.layout, row)  # pyright: ignore[reportArgumentType]
            self.layout.prop(self, "accept")

    def begin(self, shelf: Shelf) -> None:
        """Begin the download."""
        upkeep.check_online()
        shelf.get(self.weights, self.accept)


class UVMAP_ID_OT_weights_verify(WeightsOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Hash every file of these weights again, or of all, and compare"""

    bl_idname = "uvmap_id.weights_verify"
    bl_label = "Verify Weights"

    weights: bpy.props.StringProperty(name="Weights", description="Their id in the table; empty: all")

    def begin(self, shelf: Shelf) -> None:
        """Begin it."""
        shelf.verify(self.weights)


class UVMAP_ID_OT_weights_remove(WeightsOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Remove these weights from the disk"""

    bl_idname = "uvmap_id.weights_remove"
    bl_label = "Remove Weights"

    weights: bpy.props.StringProperty(name="Weights", description="Their id in the table")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Ask first."""
        return context.window_manager.invoke_confirm(self, event)

    def begin(self, shelf: Shelf) -> None:
        """Begin it."""
        shelf.remove(self.weights)


class UVMAP_ID_OT_weights_cancel(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Stop what is being done with the weights. A download is gone on with the next time"""

    bl_idname = "uvmap_id.weights_cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER", "INTERNAL"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:  # noqa: ARG003
        """Only while there is something to cancel."""
        cls.poll_message_set("Nothing is being done with the weights.")
        return upkeep.upkeep().shelf.busy

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Stop it."""
        upkeep.upkeep().shelf.cancel()
        return "Cancelled; what has come is kept."


class UVMAP_ID_OT_weights_folder(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Open the folder that weights lie in"""

    bl_idname = "uvmap_id.weights_folder"
    bl_label = "Open Weights Folder"
    bl_options = {"REGISTER", "INTERNAL"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Open it."""
        folder = upkeep.upkeep().shelf.folder
        if not folder or not Path(folder).is_dir():
            raise UVMapError(ErrorCode.WEIGHTS_MISSING, "There are no weights yet.", "Get some, or import your own.")
        bpy.ops.wm.path_open(filepath=folder)
        return f"Opened {folder}"


def draw_terms(layout: bpy.types.UILayout, row: Weights) -> None:
    """A licence: its name, what it comes to, and where its text is."""
    column = layout.column(align=True)
    column.label(text=row.title, icon="FILE_TEXT")
    licence = said("Licence: {name}", name=row.licence_name)
    for line in textwrap.wrap(licence, _LETTERS) + textwrap.wrap(row.terms, _LETTERS):
        column.label(text=line)
    if row.licence_url:
        layout.operator("wm.url_open", text="Read the Licence", icon="URL").url = row.licence_url


CLASSES = (
    UVMAP_ID_OT_weights_refresh,
    UVMAP_ID_OT_weights_get,
    UVMAP_ID_OT_weights_verify,
    UVMAP_ID_OT_weights_remove,
    UVMAP_ID_OT_weights_cancel,
    UVMAP_ID_OT_weights_folder,
)
