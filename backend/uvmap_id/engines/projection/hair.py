"""The scalp: hair of the photo's colours, or of the one that the prompt names, as short hair along the head."""

from __future__ import annotations

import numpy as np

from uvmap_id.atlas.face import region_uv_to_pixels
from uvmap_id.atlas.head import ear_distance, hairline
from uvmap_id.atlas.layout import uv_grid
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import from_lab, smoothstep, to_lab
from uvmap_id.engines.projection.fields import GUIDE_SIZE
from uvmap_id.engines.projection.figure import Tile, each_tile
from uvmap_id.engines.projection.palette import Palette
from uvmap_id.engines.projection.warp import WarpedFace
from uvmap_id.pictures import Floats, blur

# The strip of the forehead that shows whether hair hangs into it, in UV, and how far that lowers the hairline.
_FOREHEAD = ((0.245, 0.885), (0.355, 0.862))
_FRINGE_DROP = 0.022
_HAIR_ROUGHNESS = 0.42
_LOWEST = 0.30  # Metres: below it no hair grows on a head.
_KEPT = 0.75  # Of the photo's contrast in hair: a part of it is light.
_CONTRAST, _LIGHTER = 9.0, np.array([1.0, 0.1, 0.35])  # Lab of usual strands, dark to light.
_DEEPEST = 1.7  # Standard deviations of the relief that are the darkest strand.


def ears(size: int) -> Floats:
    """(S, S) 1 on the ears, 0 elsewhere."""
    u, v = uv_grid(size)
    return smoothstep(1.05, 0.9, ear_distance(u, v))


def has_fringe(face: WarpedFace, palette: Palette) -> bool:
    """True where hair of the photo hangs into the forehead."""
    (left, top), (right, bottom) = region_uv_to_pixels(np.array(_FOREHEAD), face.seen.shape).round().astype(int)
    return bool(np.median(palette.hair_share(to_lab(face.colour[top:bottom, left:right]))) > 0.5)


def paint_hair(canvas: Canvas, lab: Floats, strands: Floats, fringe: bool) -> Floats:
    """Cover the scalp with hair that runs from the crown to the hairline.

    Args:
        canvas: Has skin already.
        lab: (3,) Lab of the hair.
        strands: See `Palette.strands`; where it is empty the strands differ as most hair's do.
        fringe: Whether hair hangs into the forehead.

    Returns:
        (S, S) where there is hair now, 0..1.
    """
    steps = _KEPT * strands if len(strands) else np.linspace(-_CONTRAST, _CONTRAST, 16)[:, None] * _LIGHTER
    shades = from_lab(np.asarray(lab + steps, np.float32))
    fine, locks, clumps = canvas.grain_tile(0.7, 14), _coarse_grain(canvas, 0.9, 13), _coarse_grain(canvas, 2.5, 23)
    ragged = _coarse_grain(canvas, 0.6, 2.5)
    covers = np.zeros((canvas.size, canvas.size), np.float32)

    def comb(tile: Tile) -> None:
        if not tile.meets(z=(_LOWEST, 1)):
            return
        rough, tuft = tile.repeated(fine), tile.enlarged(clumps)
        cover = _scalp(tile, 0.003 * tile.enlarged(ragged) + 0.0012 * rough, fringe)
        if not cover.any():
            return
        height = 0.5 * rough + 0.35 * tile.enlarged(locks) + 0.5 * tuft
        roughness = _HAIR_ROUGHNESS - 0.05 * np.clip(tuft, -1, 1)
        part = canvas.part((tile.rows, tile.columns))
        part.paint(cover, _shaded(shades, height), roughness, 0.6 + 0.13 * height)
        covers[tile.rows, tile.columns] = cover

    each_tile(canvas, comb)
    return covers


def _scalp(tile: Tile, ragged: Floats, fringe: bool) -> Floats:
    """(h, w) 1 where hair grows, with a hairline that is not drawn with a ruler; lower in front under a fringe."""
    line = hairline(tile.y)
    if fringe:
        line = line - _FRINGE_DROP * smoothstep(-0.05, -0.075, tile.y)
    u, v = uv_grid(tile.canvas.size)
    ear = smoothstep(1.05, 0.9, ear_distance(u[:, tile.columns], v[tile.rows]))
    return smoothstep(-0.006, 0.006, tile.z - line + ragged) * (1 - ear)


def _shaded(shades: Floats, height: Floats) -> Floats:
    """(h, w, 3) colours of strands: the lowest have the first of the shades, (N, 3) linear, the highest the last."""
    rank = np.clip((height / (2 * _DEEPEST) + 0.5) * (len(shades) - 1), 0, len(shades) - 1.001)
    low = rank.astype(np.int32)
    share = (rank - low)[..., None].astype(np.float32)
    return shades[low] + share * (shades[low + 1] - shades[low])


def _coarse_grain(canvas: Canvas, across: float, along: float) -> Floats:
    """(G, G) noise of unit variance, blurred by so many texels of the guide in u and in v."""
    noise = blur(canvas.random.standard_normal((GUIDE_SIZE, GUIDE_SIZE), np.float32), across, along)
    return noise / (noise.std() + 1e-6)
