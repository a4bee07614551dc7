"""The scalp: the colour of the photo's hair, or the one that the prompt names, as short hair along the head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.face import region_uv_to_pixels
from uvmap_id.atlas.head import ear_distance, hairline
from uvmap_id.atlas.layout import uv_grid
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import from_lab, smoothstep, to_lab, to_linear
from uvmap_id.engines.projection.tone import skin_likeness
from uvmap_id.engines.projection.warp import WarpedFace
from uvmap_id.faces.landmarks import FaceLandmarks
from uvmap_id.pictures import Floats

_FEWEST_PIXELS = 60
# The strip of the forehead that shows whether hair hangs into it, in UV, and how far that lowers the hairline.
_FOREHEAD = ((0.245, 0.885), (0.355, 0.862))
_FRINGE_DROP = 0.022
_HAIR_ROUGHNESS = 0.42


def hair_colour(photo: NDArray[np.uint8], face: FaceLandmarks, person: Floats, tone: Floats) -> Floats | None:
    """(3,) Lab of the hair around the face, or None where the photo shows none.

    Looks above and beside the face, inside the person, at what is not skin.
    """
    points = face.points[:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = high - low
    top, bottom = max(0, int(low[1] - 0.45 * height)), max(1, int(low[1] + 0.2 * height))
    left, right = max(0, int(low[0] - 0.15 * width)), max(1, int(high[0] + 0.15 * width))
    window = (slice(top, bottom), slice(left, right))
    colours = to_linear(photo[window])[person[window] > 0.9]
    if len(colours) == 0:
        return None
    hair = colours[skin_likeness(colours, tone) < 0.45]
    if len(hair) < max(_FEWEST_PIXELS, 0.12 * len(colours)):
        return None
    lab = to_lab(hair)
    # The brighter part: strands in their own shadow are darker than the hair is.
    bright = lab[lab[:, 0] >= np.percentile(lab[:, 0], 65)]
    return np.median(bright, axis=0).astype(np.float32)


def ears(size: int) -> Floats:
    """(S, S) 1 on the ears, 0 elsewhere."""
    u, v = uv_grid(size)
    return smoothstep(1.05, 0.9, ear_distance(u, v))


def has_fringe(face: WarpedFace, tone: Floats, hair: Floats | None) -> bool:
    """True where hair of the photo hangs into the forehead."""
    if hair is None:
        return False
    (left, top), (right, bottom) = region_uv_to_pixels(np.array(_FOREHEAD), face.seen.shape).round().astype(int)
    return bool(np.median(skin_likeness(face.colour[top:bottom, left:right], tone, hair)) < 0.5)


def scalp(canvas: Canvas, fringe: bool) -> Floats:
    """(S, S) 1 where hair grows, with a hairline that is not drawn with a ruler; lower in front under a fringe."""
    position = canvas.position
    line = hairline(position[..., 1])
    if fringe:
        line = line - _FRINGE_DROP * smoothstep(-0.05, -0.075, position[..., 1])
    ragged = 0.003 * canvas.noise(0.02) + 0.0015 * canvas.grain(0.8, 4)
    return smoothstep(-0.006, 0.006, position[..., 2] - line + ragged) * (1 - ears(canvas.size))


def paint_hair(canvas: Canvas, lab: Floats, fringe: bool) -> None:
    """Cover the scalp with strands of a colour given in Lab."""
    cover = scalp(canvas, fringe)
    strands = 0.6 * canvas.grain(0.7, 9) + 0.4 * canvas.grain(2.0, 24)
    colour = from_lab(lab) * np.exp(0.28 * strands)[..., None]
    canvas.paint(cover, colour.astype(np.float32), _HAIR_ROUGHNESS, 0.6 + 0.12 * strands)
