"""What every operator shares: an end in a report, never in a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ..errors import attempt
from ..link.errors import Failure

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class ReportingOperator(bpy.types.Operator):
    """An operator whose failures are reports: a line in the interface, a `RuntimeError` in a script."""

    def act(self, context: bpy.types.Context) -> str:
        """Do it. Returns a sentence about what was done; raises `UVMapError` and leaves everything as it was."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        outcome = attempt(lambda: self.act(context))
        if isinstance(outcome, Failure):
            self.report({"ERROR"}, str(outcome))
            return {"CANCELLED"}
        self.report({"INFO"}, outcome)
        return {"FINISHED"}


def path_of(text: str) -> Path:
    """The path that a user typed; "//" at its start is the .blend's folder."""
    return Path(bpy.path.abspath(text.strip())).expanduser()
