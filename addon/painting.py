"""Blender's Texture Paint as the way to draw a mask on a body."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# What belongs to painting lies elsewhere in Blender 4 than in Blender 5, and the stubs know one of them.

from __future__ import annotations

from typing import Any

import bpy

from .link.errors import ErrorCode, UVMapError

MODE = "PAINT_TEXTURE"
_BRUSH = "UVMap-ID Mask"
_WHITE, _BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


def begin(context: bpy.types.Context, body: bpy.types.Object, canvas: bpy.types.Image) -> None:
    """Paint white on a canvas by strokes on a body; the other colour, black, is on the X key.

    Args:
        context: Blender's.
        body: In the scene.
        canvas: What the strokes go to.

    Raises:
        UVMapError: `body_missing`: the body is hidden, so that nobody can paint on it.
    """
    if not body.visible_get():
        raise UVMapError(ErrorCode.BODY_MISSING, f'The body "{body.name}" is hidden.', "Show it, then paint.")
    end(context)
    for other in context.selected_objects:
        other.select_set(False)
    body.select_set(True)
    context.view_layer.objects.active = body
    bpy.ops.object.mode_set(mode="TEXTURE_PAINT")
    tools = context.scene.tool_settings
    tools.image_paint.mode, tools.image_paint.canvas = "IMAGE", canvas
    if tools.image_paint.brush is None:
        take_brush(tools.image_paint)
    _dip_brush(tools)
    # Material previews show the material, not the canvas.
    _shade(context, "SOLID")


def end(context: bpy.types.Context) -> bool:
    """Go back from any mode to Object Mode. Returns whether a texture was being painted."""
    was_painting = context.mode == MODE
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    if was_painting:
        _shade(context, "MATERIAL")
    return was_painting


def take_brush(paint: Any) -> None:
    """Make a brush and take it: some distributions' Blender comes without any, and nothing would be painted."""
    brush = bpy.data.brushes.get(_BRUSH) or bpy.data.brushes.new(_BRUSH, mode="TEXTURE_PAINT")
    if "asset_activate" not in dir(bpy.ops.brush):
        paint.brush = brush
        return
    # Since 4.3 brushes come from assets; the file's own can be such as well.
    brush.asset_mark()
    bpy.ops.brush.asset_activate(asset_library_type="LOCAL", relative_asset_identifier=f"Brush/{_BRUSH}")


def _dip_brush(tools: Any) -> None:
    paint = tools.image_paint
    unified = getattr(paint, "unified_paint_settings", None) or tools.unified_paint_settings
    unified.color, unified.secondary_color = _WHITE, _BLACK
    if paint.brush is not None and not unified.use_unified_color:
        paint.brush.color, paint.brush.secondary_color = _WHITE, _BLACK


def _shade(context: bpy.types.Context, kind: str) -> None:
    space = context.space_data
    if space is not None and space.type == "VIEW_3D":
        space.shading.type = kind
