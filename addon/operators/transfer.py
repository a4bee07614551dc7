"""Transfer Texture."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import bpy

from .. import transfer
from ..body import mesh_of
from ..errors import attempt
from ..link.errors import Failure
from ..properties import settings_of
from ..translations import said, translated
from .base import ReportingOperator, reported

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class UVMAP_ID_OT_transfer_texture(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Bake the texture set of the character's body onto the selected mesh, whatever its UVs, where both stand in one
    place. Esc cancels between two maps
    """

    bl_idname = "uvmap_id.transfer_texture"
    bl_label = "Transfer Texture"
    # One line, which a tooltip wraps by itself.
    bl_description = (
        "Bake the texture set of the character's body onto the selected mesh, whatever its UVs, where both stand in "
        "one place. Esc cancels between two maps"
    )
    # Not "REGISTER": it can't be adjusted afterwards without baking again.
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender's own form.

    target: bpy.props.StringProperty(name="Target", description="The mesh's name; empty: the active object")
    size: bpy.props.EnumProperty(
        name="Size",
        description="Side of the new maps in pixels",
        items=[(str(size), f"{size} px", f"Maps of {size} x {size} pixels") for size in transfer.SIZES],
        default="1024",
    )
    ray_distance: bpy.props.FloatProperty(
        name="Ray Distance",
        description="How far the two surfaces may be apart; 0: estimated",
        subtype="DISTANCE",
        min=0.0,
        max=100.0,
    )
    samples: bpy.props.IntProperty(name="Samples", description="Rays a texel", default=transfer.SAMPLES, min=1, max=256)

    fit: bpy.props.BoolProperty(
        name="Fit",
        description="First fit a copy of the body onto the mesh, so that eyes meet eyes. Off: all get what is nearest",
        default=True,
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:  # noqa: ARG002
        """With windows: ask first."""
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """With windows: a map at a time, so that it can be seen and cancelled."""
        if bpy.app.background:
            return super().execute(context)
        outcome = attempt(lambda: self._begin(context))
        if isinstance(outcome, Failure):
            self.report({"ERROR"}, reported(outcome))
            return {"CANCELLED"}
        self._steps = outcome
        self._timer = context.window_manager.event_timer_add(0.05, window=context.window)
        context.window_manager.progress_begin(0, 1)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Bake the next map."""
        if event.type == "ESC":
            self._end(context)
            self.report({"INFO"}, said("Cancelled; nothing was changed."))
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}
        outcome = attempt(lambda: _next(self._steps))
        if isinstance(outcome, transfer.Transfer):
            self._end(context)
            self.report({"INFO"}, translated(_sentence(outcome)))
            return {"FINISHED"}
        if isinstance(outcome, Failure):
            self._end(context)
            self.report({"ERROR"}, reported(outcome))
            return {"CANCELLED"}
        context.window_manager.progress_update(outcome)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> str:
        """Without windows: all at once."""
        steps = self._begin(context)
        while not isinstance(outcome := _next(steps), transfer.Transfer):
            pass
        return _sentence(outcome)

    def _begin(self, context: bpy.types.Context) -> Generator[float, None, transfer.Transfer]:
        source = settings_of(context.scene).body
        target = context.scene.objects.get(self.target) if self.target else context.active_object
        mesh_of(source)
        mesh_of(target)
        options = transfer.Options(int(self.size), self.ray_distance, self.samples, self.fit)
        return transfer.transfer_steps(source, target, options)  # pyright: ignore[reportArgumentType]

    def _end(self, context: bpy.types.Context) -> None:
        self._steps.close()
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()


def _next(steps: Generator[float, None, transfer.Transfer]) -> transfer.Transfer | float:
    try:
        return next(steps)
    except StopIteration as end:
        return end.value


def _sentence(done: transfer.Transfer) -> str:
    return f"{done.coverage:.1%} of the mesh was found on the body. The maps lie in {done.folder}"


CLASSES = (UVMAP_ID_OT_transfer_texture,)
