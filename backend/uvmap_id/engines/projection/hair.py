"""The scalp: the colour of the photo's hair, or the one that the prompt names, as short hair along the head."""

from __future__ import annotations

import numpy as np

from uvmap_id.atlas.face import region_uv_to_pixels
from uvmap_id.atlas.head import ear_distance, hairline
from uvmap_id.atlas.layout import uv_grid
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import from_lab, smoothstep, to_lab
from uvmap_id.engines.projection.palette import Palette
from uvmap_id.engines.projection.warp import WarpedFace
from uvmap_id.pictures import Floats

# The strip of the forehead that shows whether hair hangs into it, in UV, and how far that lowers the hairline.
_FOREHEAD = ((0.245, 0.885), (0.355, 0.862))
_FRINGE_DROP = 0.022
_HAIR_ROUGHNESS = 0.42


def ears(size: int) -> Floats:
    """(S, S) 1 on the ears, 0 elsewhere."""
    u, v = uv_grid(size)
    return smoothstep(1.05, 0.9, ear_distance(u, v))


def has_fringe(face: WarpedFace, palette: Palette) -> bool:
    """True where hair of the photo hangs into the forehead."""
    (left, top), (right, bottom) = region_uv_to_pixels(np.array(_FOREHEAD), face.seen.shape).round().astype(int)
    return bool(np.median(palette.hair_share(to_lab(face.colour[top:bottom, left:right]))) > 0.5)


def scalp(canvas: Canvas, fringe: bool) -> Floats:
    """(S, S) 1 where hair grows, with a hairline that is not drawn with a ruler; lower in front under a fringe."""
    position = canvas.position
    line = hairline(position[..., 1])
    if fringe:
        line = line - _FRINGE_DROP * smoothstep(-0.05, -0.075, position[..., 1])
    ragged = 0.003 * canvas.noise(0.02) + 0.0015 * canvas.grain(0.8, 4)
    return smoothstep(-0.006, 0.006, position[..., 2] - line + ragged) * (1 - ears(canvas.size))


def paint_hair(canvas: Canvas, lab: Floats, fringe: bool) -> Floats:
    """Cover the scalp with strands of a colour given in Lab. Returns where, (S, S) 0..1."""
    cover = scalp(canvas, fringe)
    strands = 0.6 * canvas.grain(0.7, 9) + 0.4 * canvas.grain(2.0, 24)
    colour = from_lab(lab) * np.exp(0.28 * strands)[..., None]
    canvas.paint(cover, colour.astype(np.float32), _HAIR_ROUGHNESS, 0.6 + 0.12 * strands)
    return cover
