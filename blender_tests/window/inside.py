"""Runs inside Blender and only watches: what its windows show, what the mouse is over, what the extension says.

Blender has no list of its buttons, but it knows the one under the mouse, by its property or its operator.
"""

# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# The stubs of bpy don't know what the extension adds to it, and that an operator's poll is called without itself.

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

_INTERVAL_S = 0.015
_PLAIN = ("BOOLEAN", "ENUM", "FLOAT", "INT", "STRING")
_report = Path(os.environ["UVMAP_ID_WINDOW_REPORT"])
_count = 0
# How often the sidebar of each window was drawn, by the window's place among the others.
_drawn: Counter[int] = Counter()


def watch() -> float:
    """Write the report, and again soon."""
    global _count
    _count += 1
    written = _report.with_suffix(".new")
    written.write_text(json.dumps({"count": _count, **look()}), encoding="utf-8")
    written.replace(_report)
    return _INTERVAL_S


def look() -> dict[str, Any]:
    """What there is to see."""
    window = bpy.context.window_manager.windows[0]
    settings = getattr(window.scene, "uvmap_id", None)
    area = next((area for area in window.screen.areas if area.type == "VIEW_3D"), None)
    return {
        "window": [window.width, window.height],
        "view": view_of(window, area) if area is not None else None,
        "settings": values_of(settings) if settings is not None else None,
        "images": images_of(settings.body) if settings is not None and settings.body is not None else [],
        "history": [entry.name for entry in settings.history] if settings is not None else [],
        "mode": window.view_layer.objects.active.mode if window.view_layer.objects.active is not None else "OBJECT",
        "drawn": [_drawn[place] for place in range(len(bpy.context.window_manager.windows))],
        "page": page_of_preferences(),
        **extension(settings),
    }


def page_of_preferences() -> list[int]:
    """Where the newest window shows a page of the preferences, in pixels from its top left; empty if it does not."""
    window = bpy.context.window_manager.windows[-1]
    for area in (area for area in window.screen.areas if area.type == "PREFERENCES"):
        region = next(region for region in area.regions if region.type == "WINDOW")
        top = window.height - region.y - region.height
        return [region.x, top, region.x + region.width, top + region.height]
    return []


def extension(settings: Any) -> dict[str, Any]:
    """What the extension knows beside the settings: its queue, its cast, what it says of the photo and of a click."""
    current = sys.modules.get("bl_ext.user_default.uvmap_id.current")
    if current is None or settings is None or not current.is_open():
        return {}
    now, upkeep = current.current(), sys.modules["bl_ext.user_default.uvmap_id.upkeep"].upkeep()
    face, refused = now.faces.view(settings.face_image), now.refused.get(settings.id_data.session_uid)
    return {
        "queue": [
            {"state": row.state.value, "fraction": row.fraction, "pictured": row.icon > 0} for row in now.snapshot.rows
        ],
        "cast": [line.state.value for line in now.cast.lines] if now.cast is not None else [],
        "face": {"checking": face.checking, "faces": face.faces, "failure": str(face.failure or "")} if face else None,
        "refused": str(refused or ""),
        "weights": [row.state for row in upkeep.shelf.rows],
        "remote": str(upkeep.remote_said),
        "setup": [upkeep.setup.busy, upkeep.setup.progress.fraction] if upkeep.setup is not None else [],
    }


def count_drawing() -> None:
    """Called by Blender whenever it draws a sidebar."""
    windows = list(bpy.context.window_manager.windows)
    _drawn[windows.index(bpy.context.window)] += 1


def view_of(window: bpy.types.Window, area: bpy.types.Area) -> dict[str, Any]:
    """The 3D viewport: its regions in the window's pixels from the bottom left, and what the mouse is over."""
    hovered = ""
    regions = {}
    for region in area.regions:
        if region.width > 1 and region.height > 1:
            regions[region.type] = [region.x, region.y, region.width, region.height]
            if region.type in ("UI", "HEADER") and not hovered:
                with bpy.context.temp_override(window=window, area=area, region=region):
                    hovered = hovered_button()
    sidebar: Any = next(region for region in area.regions if region.type == "UI")
    space: Any = area.spaces.active
    shown = space.show_region_ui
    return {
        "regions": regions,
        "sidebar": shown,
        "tab": sidebar.active_panel_category if shown and "UI" in regions else "",
        "scrolled": sidebar.view2d.region_to_view(0, 0)[1] if shown else 0.0,
        "shading": space.shading.type,
        "hovered": hovered,
    }


def hovered_button() -> str:
    """The button under the mouse, in the region that the context names: `name` or `bpy.ops.name(...)`."""
    found: Any = bpy.context.property
    if found is not None:
        _block, path, _index = found
        return path.rpartition(".")[2]
    if bpy.ops.ui.copy_python_command_button.poll():
        bpy.ops.ui.copy_python_command_button()
        return bpy.context.window_manager.clipboard.removeprefix("bpy.ops.")
    return ""


def values_of(settings: Any) -> dict[str, Any]:
    """Every plain setting by its name."""
    names = [item.identifier for item in settings.bl_rna.properties if item.type in _PLAIN]
    found = {name: getattr(settings, name) for name in names}
    return {name: sorted(value) if isinstance(value, set) else value for name, value in found.items()}


def images_of(body: Any) -> list[dict[str, Any]]:
    """The images in the materials that the body wears, but for the mannequin's eyes, which are in no file."""
    trees = [slot.material.node_tree for slot in body.material_slots if slot.material is not None]
    images = {node.image for tree in trees if tree is not None for node in nodes_of(tree)}
    return [
        {"path": bpy.path.abspath(image.filepath), "size": list(image.size), "loaded": image.has_data}
        for image in images
        if image is not None and image.filepath
    ]


def nodes_of(tree: Any) -> Iterator[Any]:
    """The image nodes of a tree, and of the groups in it."""
    for node in tree.nodes:
        if node.type == "TEX_IMAGE":
            yield node
        elif node.type == "GROUP" and node.node_tree is not None:
            yield from nodes_of(node.node_tree)


bpy.context.preferences.view.show_splash = False
bpy.types.SpaceView3D.draw_handler_add(count_drawing, (), "UI", "POST_PIXEL")
bpy.app.timers.register(watch, persistent=True)
