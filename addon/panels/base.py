"""What the tab's panels share."""

# pyright: reportOptionalMemberAccess=false
# While a panel is drawn it has a layout.

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

import bpy

from ..fixes import FIXES
from ..link.errors import Failure
from ..translations import OWN, failure_said, translated

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

_PIXELS_PER_LETTER = 7
_SHORTEST_LINE = 16


class SubPanel(bpy.types.Panel):
    """A closed part of the character's panel. `page` names the page that its help button opens."""

    bl_parent_id = "UVMAP_ID_PT_character"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender's own form.
    bl_translation_context = OWN

    page: ClassVar[str] = ""

    def draw_header_preset(self, context: bpy.types.Context) -> None:  # noqa: ARG002
        """Draw the help button."""
        if self.page:
            row = self.layout.row()
            row.emboss = "NONE"
            row.operator("uvmap_id.open_documentation", text="", icon="HELP").page = self.page

    def column(self) -> bpy.types.UILayout:
        """Where its properties go, in the look of the panel above."""
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        return self.layout.column()


class OpenPanel(SubPanel):
    """A part of the character's panel that is open at first."""

    bl_options = set()  # noqa: RUF012 - Blender's own form.


def draw_sentence(context: bpy.types.Context, column: bpy.types.UILayout, sentence: str, icon: IconItems) -> None:
    """A sentence on as many lines as the panel's width asks for."""
    for number, line in enumerate(_lines(context, translated(sentence))):
        column.label(text=line, translate=False, icon=icon if number == 0 else "BLANK1")


def draw_failure(context: bpy.types.Context, layout: bpy.types.UILayout, failure: Failure, job: str = "") -> None:
    """What went wrong, what to do, and a button that does it where there is one.

    Args:
        context: Blender's.
        layout: Where to.
        failure: What went wrong.
        job: The key of the job that failed, for a button that tries again.
    """
    box = layout.box().column(align=True)
    draw_sentence(context, box, failure_said(failure), "ERROR")
    fix = FIXES.get(failure.code)
    if fix is None or (fix.operator == "uvmap_id.retry" and not job):
        return
    # Operators that ask for a file or offer a choice are to do so.
    box.operator_context = "INVOKE_DEFAULT"
    if fix.operator == "uvmap_id.use_preset":
        box.operator_menu_enum(fix.operator, "preset", text=fix.text)
        return
    button = box.operator(fix.operator, text=fix.text) if fix.text else box.operator(fix.operator)
    if fix.operator == "uvmap_id.retry":
        button.key = job  # pyright: ignore[reportAttributeAccessIssue] - the operator's own


def _lines(context: bpy.types.Context, text: str) -> list[str]:
    """Labels don't wrap by themselves."""
    letters = context.region.width / (_PIXELS_PER_LETTER * context.preferences.system.ui_scale) - 6
    return textwrap.wrap(text, max(_SHORTEST_LINE, int(letters)))
