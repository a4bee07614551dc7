"""What every operator shares: an end in a report, never in a traceback."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from .. import current, runtime
from ..errors import attempt
from ..link.errors import ErrorCode, Failure, UVMapError
from ..translations import OWN, failure_said, translated

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

_log = logging.getLogger(__name__)


class ReportingOperator(bpy.types.Operator):
    """An operator whose failures are reports: a line in the interface, a `RuntimeError` in a script."""

    bl_translation_context = OWN

    @classmethod
    def poll_message_set(  # pyright: ignore[reportIncompatibleMethodOverride] - of the forms it takes, the one in use
        cls, message: str, *arguments: object
    ) -> None:
        """Why the button can't be used now, in the interface's language."""
        super().poll_message_set(translated(message), *arguments)

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
            self.report({"ERROR"}, reported(outcome))
            return {"CANCELLED"}
        self.report({"INFO"}, translated(outcome))
        return {"FINISHED"}


def reported(failure: Failure) -> str:
    """A failure in one line: its code, which is the same in every language, and what there is to say of it."""
    return f"{failure.code}: {failure_said(failure)}"


def remember(scene: bpy.types.Scene, failure: Failure | None) -> None:
    """What the panel says of the newest click: why it came to nothing, with a button for the way out."""
    now = current.current()
    if failure is None:
        now.refused.pop(scene.session_uid, None)
    else:
        now.refused[scene.session_uid] = failure
    runtime.refresh()


def path_of(text: str, code: ErrorCode = ErrorCode.SETTINGS_UNREADABLE) -> Path:
    """The path that a user typed; "//" at its start is the .blend's folder.

    Raises:
        UVMapError: `code`: it is empty.
    """
    if not text.strip():
        raise UVMapError(code, "No file is chosen.", "Choose one in the file browser.")
    return Path(bpy.path.abspath(text.strip())).expanduser()
