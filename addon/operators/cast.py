"""Start Cast and Stop Cast."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import bpy

from .. import cast, cast_report, cli_cast, results, runtime
from ..casting import Casting, Options
from ..current import current, session
from ..link.errors import ErrorCode, UVMapError
from ..properties import CastSettings, settings_of
from .base import ReportingOperator, path_of
from .generate import request_of


class UVMAP_ID_OT_cast_start(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Make a character for each row of the list; those that are there already are not made again"""

    bl_idname = "uvmap_id.cast_start"
    bl_label = "Start Cast"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Begin and return at once; in a script without windows, wait for the end."""
        now, settings = current(), settings_of(context.scene)
        if now.cast is not None and not now.cast.ended:
            raise UVMapError(ErrorCode.QUEUE_FULL, "A cast is being made.", "Stop it first, or wait for its end.")
        if not settings.cast.source.strip():
            raise UVMapError(
                ErrorCode.SETTINGS_UNREADABLE,
                "No list is chosen.",
                "Choose a CSV or JSON file, or a folder of photos.",
            )
        defaults = dataclasses.replace(request_of(settings), more_faces=())
        rows = cast.read_cast(path_of(settings.cast.source), defaults, settings.cast.seed)
        casting = Casting(rows, context.scene, session(), Options(_out(settings.cast), settings.cast.sliders))
        if not bpy.app.background:
            now.cast = casting
            runtime.watch()
            return f"{len(rows)} characters are being made."
        cli_cast.run(casting)
        missing = len(rows) - casting.count(cast_report.RowState.DONE)
        for line in casting.lines:
            if line.failure is not None:
                self.report({"WARNING"}, f"{line.row.name}: {line.failure}")
        if casting.failure is not None:
            self.report({"WARNING"}, str(casting.failure))
        return f"{len(rows) - missing} of {len(rows)} characters are there. The report lies in {casting.options.out}."


class UVMAP_ID_OT_cast_stop(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """End the cast. What is done stays, and starting it again goes on with the rest"""

    bl_idname = "uvmap_id.cast_stop"
    bl_label = "Stop Cast"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:  # noqa: ARG003
        """Only while there is one."""
        cls.poll_message_set("No cast is being made.")
        now = current().cast
        return now is not None and not now.ended

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """End it."""
        casting = current().cast
        if casting is not None:
            casting.stop()
        return "The cast is stopped."


def _out(settings: CastSettings) -> Path:
    """Where everything goes: the folder that was chosen, or one beside the .blend."""
    return path_of(settings.out).absolute() if settings.out.strip() else results.home() / "cast"


CLASSES = (UVMAP_ID_OT_cast_start, UVMAP_ID_OT_cast_stop)
