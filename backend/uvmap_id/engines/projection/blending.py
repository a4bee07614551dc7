"""Lays the photo's face on the painted head so that nobody sees where it ends.

The face keeps its own colours inside. At its border it is brought to the colours beneath it, and that correction
decays inwards: gradient-domain blending (Perez et al. 2003, "Poisson image editing") that can't wash out the face.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.face import region_grid, region_slices
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import from_lab, smoothstep, to_lab
from uvmap_id.engines.projection.completion import WORKING_SIDE
from uvmap_id.engines.projection.membrane import membrane
from uvmap_id.engines.projection.palette import Palette
from uvmap_id.engines.projection.skin import SKIN_ROUGHNESS
from uvmap_id.engines.projection.warp import WarpedFace
from uvmap_id.pictures import Floats, blur, distance_inside, resize

_MOIST_ROUGHNESS = 0.2  # eyes and lips
_BEYOND = 0.02  # Atlas units beyond the outline to which the photo's skin is used.
_CORE = 0.035  # Atlas units inside the outline from which on the photo is used whatever it shows.
_MIDDLE = 0.065  # So far from the face's middle a beard may grow; farther out hair only hangs before the face.
_UPPER = 0.83  # v above which the face borders on hair, and hair is welcome.
# Above the forehead the photo is used up to this v, and so far from the middle.
_TOP, _SIDE = 0.94, 0.15
_SOFT = 0.016  # Atlas units over which the face dissolves.
_RING = 0.007  # Atlas units of the border that are brought to what is beneath.
_REACH = 0.030  # Atlas units within which the correction decays inwards.
# CIE76 between the photo and what is beneath it: another tone of the same, and another thing altogether.
_SAME, _ANOTHER = 30.0, 60.0


def paint_face(canvas: Canvas, face: WarpedFace, palette: Palette, scalp: Floats) -> None:
    """Lay the photo's face on skin and hair.

    Args:
        canvas: Has skin and hair already.
        face: In even light, completed.
        palette: The colours of skin and hair in `face`.
        scalp: (S, S) 1 where the canvas has hair.
    """
    region = region_slices(canvas.size)
    part = canvas.part(region)
    cover, shift = _border(face, part.colour, _used(face, palette, scalp[region]))
    shape = (face.seen.shape[0], face.seen.shape[1])
    colour = from_lab(to_lab(face.colour) + resize(shift, shape))
    luminance = np.sqrt(face.colour @ np.array([0.2126, 0.7152, 0.0722], np.float32))
    fine = luminance - blur(luminance, canvas.size / 340)
    skin = 1 - face.features
    roughness = _MOIST_ROUGHNESS + (SKIN_ROUGHNESS - _MOIST_ROUGHNESS) * skin
    part.paint(resize(cover, shape), colour, roughness, 0.6 * fine * skin)


def _used(face: WarpedFace, palette: Palette, scalp: Floats) -> Floats:
    """(W, W) 1 where the photo is used: the face's core, skin as far as it is seen, and hair where hair may be."""
    square = (WORKING_SIDE, WORKING_SIDE)
    depth, seen = resize(face.depth, square), resize(face.seen, square)
    lab = to_lab(resize(face.colour, square))
    skin, hair = (blur(share, 2.0) for share in (palette.skin_share(lab), palette.hair_share(lab)))
    u, v = region_grid(square)
    away = np.abs(u - face.axis)
    top = np.hypot(away / _SIDE, np.maximum(v - _UPPER, 0) / (_TOP - _UPPER)) < 1
    wanted = ((depth > -_BEYOND) & (skin > 0.4)) | ((depth > 0) & (away < _MIDDLE))
    wanted |= top & (v > _UPPER) & (skin + hair > 0.4)
    wanted |= top & (resize(scalp, square) > 0.5) & (hair > 0.5)
    return _whole((wanted & (seen > 0.5)) | (depth > _CORE))


def _whole(wanted: NDArray[np.bool_]) -> Floats:
    """(W, W) 1 on the largest piece of a mask, its border smoothed and its holes filled."""
    closed = cv2.morphologyEx(wanted.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    smooth = (blur(closed.astype(np.float32), 2.5) > 0.5).astype(np.uint8)
    outlines, _ = cv2.findContours(smooth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(outlines, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(smooth), [largest], 0, (1,), cv2.FILLED).astype(np.float32)


def _border(face: WarpedFace, beneath: Floats, used: Floats) -> tuple[Floats, Floats]:
    """How much of the face to lay on, (W, W), and the change of its Lab, (W, W, 3)."""
    unit = WORKING_SIDE / 0.4
    inner = distance_inside(used.astype(np.uint8))
    cover = smoothstep(0.0, _SOFT * unit, inner)
    ring = ((inner > 0) & (inner < _RING * unit)).astype(np.float32)
    square = (WORKING_SIDE, WORKING_SIDE)
    residual = _smoothed(to_lab(resize(beneath, square)), np.ones(square, np.float32))
    residual = residual - _smoothed(to_lab(resize(face.colour, square)), used)
    alike = smoothstep(_ANOTHER, _SAME, np.linalg.norm(residual, axis=-1))
    return cover, membrane(residual, ring * alike, _REACH * unit)


def _smoothed(lab: Floats, weight: Floats) -> Floats:
    total = blur(weight, 2.0)
    return blur(lab * weight[..., None], 2.0) / np.maximum(total, 1e-4)[..., None]
