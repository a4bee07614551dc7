"""Runs inside Blender and does, at a test's word, what is not that test's subject: other windows, files, preferences.

A test writes an order, `{"number": 1, "do": "open_file", "with": {...}}`, and reads the answer with the same number.
"""

# pyright: reportAttributeAccessIssue=false
# The stubs of bpy don't know what the extension adds to it.

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

_INTERVAL_S = 0.05
_PACKAGE = "bl_ext.user_default.uvmap_id"
_orders = Path(os.environ["UVMAP_ID_WINDOW_ORDERS"])
_answers = _orders.with_suffix(".answer")
_done = 0


def obey() -> float:
    """Carry out an order that has come, and again soon."""
    global _done
    try:
        order = json.loads(_orders.read_text(encoding="utf-8"))
    except OSError:
        return _INTERVAL_S
    if order["number"] > _done:
        _done = order["number"]
        answer: dict[str, Any] = {"number": _done, "said": None, "error": ""}
        try:
            with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
                answer["said"] = _KNOWN[order["do"]](**order["with"])
            for window in bpy.context.window_manager.windows:
                for area in window.screen.areas:
                    area.tag_redraw()
        except Exception:  # noqa: BLE001 - it is the test that is to hear of it.
            answer["error"] = traceback.format_exc()
        written = _answers.with_suffix(".new")
        written.write_text(json.dumps(answer), encoding="utf-8")
        written.replace(_answers)
    return _INTERVAL_S


def clear() -> None:
    """Delete what a new file holds."""
    for found in list(bpy.data.objects):
        bpy.data.objects.remove(found)


def set_values(values: dict[str, Any]) -> None:
    """Set the character's settings."""
    _set_all(bpy.context.scene.uvmap_id, values)


def set_cast(values: dict[str, Any]) -> None:
    """Set the cast's settings."""
    _set_all(bpy.context.scene.uvmap_id.cast, values)


def set_preferences(values: dict[str, Any]) -> None:
    """Set the extension's preferences."""
    _set_all(bpy.context.preferences.addons[_PACKAGE].preferences, values)


def call(operator: str, options: dict[str, Any]) -> None:
    """Call one of the extension's operators."""
    getattr(bpy.ops.uvmap_id, operator)("INVOKE_DEFAULT", **options)


def new_window() -> None:
    """Window > New Main Window."""
    bpy.ops.wm.window_new_main()


def open_sidebars(tab: str) -> None:
    """Open the sidebar and its tab in each window, as far as it is open already."""
    for window in bpy.context.window_manager.windows:
        for area in (area for area in window.screen.areas if area.type == "VIEW_3D"):
            area.spaces.active.show_region_ui = True
            region: Any = next(region for region in area.regions if region.type == "UI")
            if region.width > 1 and region.active_panel_category in (tab, "Item", "Tool", "View"):
                region.active_panel_category = tab


def save_file(path: str) -> None:
    """File > Save As."""
    bpy.ops.wm.save_as_mainfile(filepath=path)


def open_file(path: str) -> None:
    """File > Open."""
    bpy.ops.wm.open_mainfile(filepath=path)


def mask_white() -> float:
    """Which share of the region's mask is white."""
    mask = bpy.context.scene.uvmap_id.region_mask
    values = np.empty(len(mask.pixels), np.float32)
    mask.pixels.foreach_get(values)
    return float((values.reshape(-1, mask.channels)[:, 0] > 0.5).mean())


def open_preferences() -> None:
    """The extension's page in Edit > Preferences."""
    bpy.ops.uvmap_id.open_preferences()


def use_backend(program: str) -> str:
    """Have the extension find a program as the backend, none where it is empty. Returns which one it found before."""
    before = os.environ.pop("UVMAP_ID_BACKEND", "")
    if program:
        os.environ["UVMAP_ID_BACKEND"] = program
    return before


def go_online() -> None:
    """Preferences > System > Network > Allow Online Access."""
    bpy.context.preferences.system.use_online_access = True


def diagnosis() -> str:
    """The newest diagnosis; empty while it is being made."""
    return sys.modules[f"{_PACKAGE}.upkeep"].upkeep().report


def show_text(name: str, text: str) -> None:
    """Show a text in the preferences' window, in Blender's own editor."""
    shown = bpy.data.texts.new(name)
    shown.write(text)
    area = bpy.context.window_manager.windows[-1].screen.areas[0]
    area.type = "TEXT_EDITOR"
    area.spaces.active.text = shown
    area.spaces.active.show_line_numbers = area.spaces.active.show_syntax_highlight = False
    area.spaces.active.show_word_wrap = True
    area.spaces.active.top = 0


def _set_all(owner: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(owner, name, set(value) if isinstance(value, list) else value)


_KNOWN: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        *(clear, set_values, set_cast, set_preferences, call, new_window, open_sidebars, save_file, open_file),
        *(mask_white, open_preferences, use_backend, go_online, diagnosis, show_text),
    )
}
scale = os.environ.get("UVMAP_ID_WINDOW_SCALE")
if scale:
    bpy.context.preferences.view.ui_scale = float(scale)
bpy.app.timers.register(obey, persistent=True)
sys.stdout.flush()
