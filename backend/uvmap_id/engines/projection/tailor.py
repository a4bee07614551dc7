"""Draws garments on the body. All shapes are measured in the body's own space, so hems run on across seams."""

from __future__ import annotations

import numpy as np

from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import linear, smoothstep
from uvmap_id.engines.projection.wardrobe import Garment
from uvmap_id.pictures import Floats

_EDGE = 0.0012  # Half the width over which an edge is blended, metres; at least a texel is added.
_HEM = 0.018
_THICKNESS = 0.8  # Relief of cloth over skin, millimetres.
_MIDDLE_X = -0.004  # The front's middle line; the measured body stands not quite on x = 0.
_PLACKET = 0.017
_BUTTONS = np.arange(0.17, -0.2, -0.085)


def dress(canvas: Canvas, garment: Garment) -> None:
    """Paint one garment over what is worn already."""
    depth = _depth(canvas, garment)
    edge = _EDGE + 0.8 / canvas.size
    cover = smoothstep(-edge, edge, depth)
    weave, fade = _weave(canvas, garment)
    folds = canvas.noise(0.16)
    tint = np.exp(garment.fabric.mottle * fade + 0.03 * folds)
    lines = _lines(canvas, garment, depth)
    tint *= 1 - 0.2 * lines
    colour = linear(garment.colour) * tint[..., None]
    # Cloth ends a little above the skin, so its hem throws light.
    relief = _THICKNESS * smoothstep(0, 2 * edge, depth) + garment.fabric.weave * weave + 0.5 * folds - 0.5 * lines
    canvas.paint(cover, colour.astype(np.float32), garment.fabric.roughness, relief.astype(np.float32))


def _depth(canvas: Canvas, garment: Garment) -> Floats:
    """(S, S) metres from the garment's nearest edge, positive where there is cloth."""
    x, y, z = np.moveaxis(canvas.position, -1, 0)
    match garment.slot:
        case "upper":
            return np.minimum(np.minimum(garment.sleeve - np.abs(x), z - garment.hem), _below_neck(x, y, z, garment))
        case "lower":
            return np.minimum(garment.waist - z, z - garment.hem)
        case "feet":
            return garment.hem - z
        case "hands":
            return np.abs(x) - garment.sleeve
        case "head":
            # Lower at the back, as a brim sits.
            return z - (garment.hem - 0.35 * y)
        case _:
            raise ValueError(f"wardrobe.toml has a garment in an unknown slot: {garment.slot}")


def _below_neck(x: Floats, y: Floats, z: Floats, garment: Garment) -> Floats:
    """Metres below the neckline, a plane that is lower in front and rises beside the neck to spare the shoulders."""
    line = 0.258 + 0.5 * y + 9 * np.clip(np.abs(x - _MIDDLE_X) - 0.06, 0, None) ** 2 + garment.neckline
    return line - z


def _weave(canvas: Canvas, garment: Garment) -> tuple[Floats, Floats]:
    """(S, S) relief of the weave and unevenness of the colour, both of about unit variance."""
    if garment.fabric_name == "denim":
        diagonal = canvas.grain(0.5, 2.2)
        return diagonal, 0.6 * diagonal + 0.8 * canvas.noise(0.10)
    if garment.fabric_name == "knit":
        return canvas.grain(0.6, 3.0), canvas.grain(0.6, 3.0)
    return canvas.grain(0.5, 0.5), 0.5 * canvas.grain(0.5, 0.5) + 0.7 * canvas.noise(0.05)


def _lines(canvas: Canvas, garment: Garment, depth: Floats) -> Floats:
    """(S, S) 1 on seams and stitches: along every edge, and on the front where it opens."""
    width = 0.0009 + 0.9 / canvas.size
    x, y, z = np.moveaxis(canvas.position, -1, 0)
    front = (y < -0.02).astype(np.float32)
    off_middle = np.abs(x - _MIDDLE_X)
    lines = _ridge(depth - _HEM, width)
    if garment.front == "buttons":
        placket = _ridge(off_middle - _PLACKET, width) * front
        near = np.min([np.hypot(off_middle, z - height) for height in _BUTTONS], axis=0)
        lines = np.maximum(lines, np.maximum(placket, smoothstep(0.0065 + width, 0.0065 - width, near) * front))
    elif garment.front == "zip":
        lines = np.maximum(lines, _ridge(off_middle, 2.5 * width) * front)
    elif garment.front == "fly":
        waistband = _ridge(garment.waist - z - 0.038, width)
        fly = _ridge(off_middle, width) * front * (z > garment.waist - 0.19)
        lines = np.maximum(lines, np.maximum(waistband, fly))
    return lines.astype(np.float32)


def _ridge(distance: Floats, width: float) -> Floats:
    return smoothstep(width, 0.0, np.abs(distance))
