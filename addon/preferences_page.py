"""What the preferences show: the backend and its set-up, the weights, the diagnosis. It draws a snapshot."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import bpy

from . import upkeep
from .link.connection import state_dir
from .link.errors import ErrorCode, Failure
from .panels.character import draw_sentence
from .preferences import backend_command, backend_source, setup_root
from .setup.weights import Shelf, ShelfState, Weights
from .translations import failure_said, said, translated

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

    from .preferences import UVMapIDPreferences
    from .setup.installer.machine import Setup

# Which button helps after which failure.
_FIXES = {
    ErrorCode.SETUP_INCOMPLETE.value: "uvmap_id.setup_repair",
    ErrorCode.DOWNLOAD_FAILED.value: "uvmap_id.setup_install",
    ErrorCode.DISK_FULL.value: "uvmap_id.setup_install",
    ErrorCode.BACKEND_NOT_FOUND.value: "uvmap_id.setup_install",
}
# The table's columns, each as a share of what is right of the one before; the last one leaves room for buttons.
_COLUMNS = (0.31, 0.165, 0.42, 0.25, 0.66)
_LICENCE = 2
_ICONS: dict[str, IconItems] = {"installed": "CHECKMARK", "damaged": "ERROR", "manual": "URL"}


def draw(layout: bpy.types.UILayout, chosen: UVMapIDPreferences, context: bpy.types.Context) -> None:
    """Draw the page."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    box = layout.box()
    row = box.row()
    row.use_property_split = False
    row.prop(chosen, "place", expand=True)
    if chosen.place == "REMOTE":
        _draw_remote(box, chosen, context)
    else:
        _draw_local(box, chosen, context)
        _draw_weights(layout.box(), context)
    row = layout.row()
    diagnosing = upkeep.upkeep().diagnosing
    row.operator("uvmap_id.diagnose", text="Diagnosing..." if diagnosing else "Copy Diagnosis", icon="COPYDOWN")
    box = layout.box().column()
    box.label(text=said("Log and results of the backend: {folder}", folder=state_dir()), icon="FILE_FOLDER")
    box.prop(chosen, "smpl_uv_template")
    box.prop(chosen, "smplx_uv_template")


def _draw_local(layout: bpy.types.UILayout, chosen: UVMapIDPreferences, context: bpy.types.Context) -> None:
    command = backend_command()[0]
    found = shutil.which(command)
    if found is not None:
        uses = said("Uses {program}, from {source}", program=found, source=translated(backend_source()))
        layout.label(text=uses, icon="CHECKMARK")
    elif upkeep.has_installer():
        layout.label(text="No backend is set up on this computer yet.", icon="INFO")
    else:
        draw_sentence(
            context,
            layout.column(align=True),
            said(
                '"{program}" was not found. Install it into a Python 3.11 or 3.12 of its own with: '
                "pip install uvmap-id. Then choose the program here.",
                program=command,
            ),
            "ERROR",
        )
    setup = upkeep.upkeep().setup
    if setup is not None:
        _draw_setup(layout, chosen, setup, context)
    layout.prop(chosen, "backend")


def _draw_setup(
    layout: bpy.types.UILayout, chosen: UVMapIDPreferences, setup: Setup, context: bpy.types.Context
) -> None:
    if setup.busy:
        progress = setup.progress
        stage = translated(setup.state.value.capitalize())
        layout.progress(factor=progress.fraction, text=f"{stage}: {progress.fraction:.0%}")
        layout.label(text=f"{translated(progress.text)}{_speed(progress)}")
        layout.operator("uvmap_id.setup_cancel", icon="CANCEL")
        return
    if setup.failure is not None:
        _draw_failure(layout, setup.failure, context)
    elif setup.sentence:
        layout.label(text=translated(setup.sentence), icon="CHECKMARK")
    if not bpy.app.online_access:
        layout.label(text="Blender is set to stay offline. Setting up needs the internet:", icon="INTERNET_OFFLINE")
        layout.prop(context.preferences.system, "use_online_access", text="Allow Online Access")
    column = layout.column()
    for name in ("setup_variant", "setup_folder", "setup_python"):
        column.prop(chosen, name)
    layout.label(text=said("Goes to {folder}", folder=setup_root()), icon="FILE_FOLDER")
    row = layout.row(align=True)
    row.scale_y = 1.3
    row.operator("uvmap_id.setup_install", icon="IMPORT")
    row = layout.row(align=True)
    row.operator("uvmap_id.setup_verify", icon="VIEWZOOM")
    row.operator("uvmap_id.setup_repair", icon="TOOL_SETTINGS")
    row.operator("uvmap_id.setup_remove", icon="TRASH")
    row.operator("uvmap_id.setup_folder", text="", icon="FILE_FOLDER")


def _draw_failure(layout: bpy.types.UILayout, failure: Failure, context: bpy.types.Context) -> None:
    column = layout.box().column(align=True)
    column.alert = True
    draw_sentence(context, column, failure_said(failure), "ERROR")
    column.label(text=f"({failure.code})", icon="BLANK1")
    fix = _FIXES.get(failure.code)
    if fix is not None:
        column.operator(fix)


def _draw_remote(layout: bpy.types.UILayout, chosen: UVMapIDPreferences, context: bpy.types.Context) -> None:
    for name in ("remote_host", "remote_port", "remote_key"):
        layout.prop(chosen, name)
    layout.label(text="Textures are made there; photos and prompts travel encrypted.", icon="INFO")
    busy = upkeep.upkeep().testing
    row = layout.row(align=True)
    row.operator("uvmap_id.remote_test", text="Testing..." if busy else "Test", icon="LINKED")
    row.operator("uvmap_id.copy_key", icon="COPYDOWN")
    answer = upkeep.upkeep().remote_said
    if isinstance(answer, Failure):
        _draw_failure(layout, answer, context)
    elif answer:
        layout.label(text=translated(answer), icon="CHECKMARK")


def _draw_weights(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    shelf = upkeep.upkeep().shelf
    row = layout.row()
    row.label(text="Weights for the engine UVMap-ID", icon="PACKAGE")
    row.operator("uvmap_id.weights_refresh", text="Refresh" if shelf.rows else "Show Weights", icon="FILE_REFRESH")
    if shelf.folder:
        row.operator("uvmap_id.weights_folder", text="", icon="FILE_FOLDER")
    if shelf.busy:
        _draw_progress(layout, shelf)
    elif shelf.failure is not None:
        _draw_failure(layout, shelf.failure, context)
    elif shelf.sentence:
        layout.label(text=translated(shelf.sentence), icon="CHECKMARK")
    if shelf.rows:
        _draw_cells(layout, (said("Weights"), said("For"), said("Licence"), said("Size"), said("State")))
    for weights in shelf.rows:
        _draw_row(layout, weights, enabled=not shelf.busy)
    if any(not weights.commercial for weights in shelf.rows):
        layout.label(text="Red licences forbid commercial use, or nobody stated terms.", icon="INFO")
    if shelf.rows and not shelf.busy:
        _set(layout.operator("uvmap_id.weights_verify", text="Verify All", icon="VIEWZOOM"), "weights", "")


def _draw_progress(layout: bpy.types.UILayout, shelf: Shelf) -> None:
    if shelf.state is ShelfState.GETTING:
        layout.progress(factor=shelf.fraction, text=f"{shelf.subject} {shelf.fraction:.0%}{_speed(shelf)}")
    else:
        doing = translated(shelf.state.value.capitalize())
        layout.label(text=f"{doing} {shelf.subject}".strip(), icon="SORTTIME")
    layout.operator("uvmap_id.weights_cancel", icon="CANCEL")


def _draw_row(layout: bpy.types.UILayout, weights: Weights, enabled: bool) -> None:
    size = _size(weights.size) if weights.size else "?"
    cells = (weights.title, translated(weights.purpose), weights.licence, size, translated(weights.state))
    row = _draw_cells(layout, cells, _ICONS.get(weights.state, "BLANK1"), red=not weights.commercial)
    row.enabled = enabled
    if weights.state == "manual":
        _set(row.operator("wm.url_open", text="", icon="URL"), "url", weights.page)
    elif weights.state != "installed":
        _button(row, "uvmap_id.weights_get", "IMPORT", weights)
    if weights.state in ("installed", "damaged"):
        _button(row, "uvmap_id.weights_verify", "VIEWZOOM", weights)
    if weights.state not in ("manual", "not installed"):
        _button(row, "uvmap_id.weights_remove", "TRASH", weights)


def _draw_cells(
    layout: bpy.types.UILayout, cells: tuple[str, ...], icon: IconItems = "BLANK1", red: bool = False
) -> bpy.types.UILayout:
    """A line of the table. Returns where its buttons go.

    Args:
        layout: Where to.
        cells: As many as the table has columns.
        icon: Before the first one.
        red: The licence is one to be careful with.
    """
    rest = layout
    for number, (text, width) in enumerate(zip(cells, _COLUMNS, strict=True)):
        rest = rest.split(factor=width)
        cell = rest.row()
        cell.alert = red and number == _LICENCE
        cell.label(text=text, icon=icon if number == 0 else "NONE")
    return rest.row(align=True)


def _size(count: int) -> str:
    """A number of bytes for a person."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"


def _button(row: bpy.types.UILayout, operator: str, icon: IconItems, weights: Weights) -> None:
    _set(row.operator(operator, text="", icon=icon), "weights", weights.id)


def _set(properties: bpy.types.OperatorProperties | None, name: str, value: str) -> None:
    """Give a button's operator a value; the stubs don't know what an operator's properties are."""
    setattr(properties, name, value)


def _speed(progress: Any) -> str:
    """The speed and time left of a download, in brackets."""
    if progress.bytes_per_second <= 0:
        return ""
    seconds = progress.seconds_left
    time = "" if seconds is None else f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    left = said(", {time} left", time=time) if time else ""
    return f" ({progress.bytes_per_second / 1e6:.1f} MB/s{left})"
