"""The panel Cast: many characters from one list."""

# pyright: reportOptionalMemberAccess=false
# While a panel is drawn it has a layout.

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from .. import current
from ..cast_report import Line, RowState
from ..casting import Casting
from ..properties import settings_of
from ..translations import failure_said, said
from .base import SubPanel, draw_failure, draw_sentence

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

_ICONS: dict[RowState, IconItems] = {
    RowState.WAITING: "TIME",
    RowState.WORKING: "PLAY",
    RowState.DONE: "CHECKMARK",
    RowState.FAILED: "ERROR",
    RowState.STOPPED: "CANCEL",
}
# Blender draws what is out of sight too: of a large cast, those are listed that something is happening to.
_LISTED = 30


class UVMAP_ID_PT_cast(SubPanel):  # noqa: N801 - Blender's rule for names of panels.
    """Many characters from one list"""

    bl_idname = "UVMAP_ID_PT_cast"
    bl_label = "Cast"
    page = "cast"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the panel."""
        settings, casting = settings_of(context.scene).cast, current.current().cast
        column = self.column()
        for name in ("source", "out", "seed", "sliders"):
            column.prop(settings, name)
        if casting is not None and not casting.ended:
            column.operator("uvmap_id.cast_stop", icon="CANCEL")
        else:
            column.operator("uvmap_id.cast_start", icon="PLAY")
        if casting is not None:
            _draw_casting(context, self.layout.column(align=True), casting)


def _draw_casting(context: bpy.types.Context, column: bpy.types.UILayout, casting: Casting) -> None:
    ended = sum(line.state.ended for line in casting.lines)
    failed = casting.count(RowState.FAILED)
    text = f"{ended} / {len(casting.lines)}"
    text += said(", {count} failed", count=failed) if failed else ""
    column.progress(factor=ended / len(casting.lines), text=text)
    if casting.failure is not None:
        draw_failure(context, column, casting.failure)
    shown = _listed(casting.lines)
    for line in shown:
        column.label(text=line.row.name, translate=False, icon=_ICONS[line.state])
        if line.failure is not None:
            draw_sentence(context, column, failure_said(line.failure), "BLANK1")
    if len(shown) < len(casting.lines):
        rest = said("{count} more are in the report", count=len(casting.lines) - len(shown))
        column.label(text=rest, translate=False)


def _listed(lines: list[Line]) -> list[Line]:
    """All of a small cast; of a large one first those that are being made or have failed."""
    if len(lines) <= _LISTED:
        return lines
    order = (RowState.WORKING, RowState.FAILED, RowState.STOPPED, RowState.WAITING, RowState.DONE)
    first = sorted(lines, key=lambda line: order.index(line.state))[:_LISTED]
    return sorted(first, key=lambda line: line.row.number)


CLASSES = (UVMAP_ID_PT_cast,)
