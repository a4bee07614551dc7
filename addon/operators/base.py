"""What every operator shares: an end in a report, never in a traceback."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from .. import current, runtime
from ..errors import attempt
from ..link.errors import Failure

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

_log = logging.getLogger(__name__)


class ReportingOperator(bpy.types.Operator):
    """An operator whose failures are reports: a line in the interface, a `RuntimeError` in a script."""

    def act(self, context: bpy.types.Context) -> str:
        """Do it. Returns a sentence about what was done; raises `UVMapError` and leaves everything as it was."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        where = f"{self.bl_idname} in {context.mode}, scene {context.scene.session_uid}"
        outcome = attempt(lambda: self.act(context), where)
        remember(context.scene, outcome if isinstance(outcome, Failure) else None)
        if isinstance(outcome, Failure):
            # The code alone: sentences may name files.
            _log.warning("%s: %s", where, outcome.code)
            self.report({"ERROR"}, str(outcome))
            return {"CANCELLED"}
        self.report({"INFO"}, outcome)
        return {"FINISHED"}


def remember(scene: bpy.types.Scene, failure: Failure | None) -> None:
    """What the panel says of the newest click: why it came to nothing, with a button for the way out."""
    now = current.current()
    if failure is None:
        now.refused.pop(scene.session_uid, None)
    else:
        now.refused[scene.session_uid] = failure
    runtime.refresh()


def path_of(text: str) -> Path:
    """The path that a user typed; "//" at its start is the .blend's folder."""
    return Path(bpy.path.abspath(text.strip())).expanduser()
