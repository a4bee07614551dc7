"""Lays the photo's face on the painted head so that nobody sees where it ends.

The face keeps its own colours inside. At its border it is brought to the colours beneath it, and that correction
decays inwards: gradient-domain blending (Perez et al. 2003, "Poisson image editing") that can't wash out the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.face import LEFT, RIGHT, region_grid, region_slices
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
_MET = 0.5  # How much of the way the colours beneath come towards the face's.
_REACH, _REACH_OUT = 0.030, 0.035  # Atlas units within which the corrections decay inwards and outwards.
_FRAME = 0.03  # Atlas units from the region's edge within which nothing beneath is changed.
_SQUARE = (WORKING_SIDE, WORKING_SIDE)
_UNIT = WORKING_SIDE / (RIGHT - LEFT)


@dataclass(frozen=True, slots=True)
class Shares:
    """(W, W) each, 0..1: how much skin and how much hair the photo shows, and how much hair the canvas has."""

    skin: Floats
    hair: Floats
    scalp: Floats

    @classmethod
    def of(cls, face: WarpedFace, palette: Palette, scalp: Floats) -> Self:
        """Measure them; `scalp` is (h, w) over the region."""
        lab = to_lab(resize(face.colour, _SQUARE))
        return cls(blur(palette.skin_share(lab), 2.0), blur(palette.hair_share(lab), 2.0), resize(scalp, _SQUARE))


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
    shares = Shares.of(face, palette, scalp[region])
    used = _used(face, shares)
    inner, outer = _changes(face, part.colour, used, shares)
    shape = (face.seen.shape[0], face.seen.shape[1])
    part.colour[:] = from_lab(to_lab(part.colour) + resize(outer, shape))
    colour = from_lab(to_lab(face.colour) + resize(inner, shape))
    cover = smoothstep(0.0, _SOFT * _UNIT, distance_inside(used.astype(np.uint8)))
    luminance = np.sqrt(face.colour @ np.array([0.2126, 0.7152, 0.0722], np.float32))
    fine = luminance - blur(luminance, canvas.size / 340)
    skin = 1 - face.features
    roughness = _MOIST_ROUGHNESS + (SKIN_ROUGHNESS - _MOIST_ROUGHNESS) * skin
    # A shade of hair in the skin, such as freckles have, is skin.
    bare = skin * (1 - smoothstep(0.3, 0.8, resize(shares.hair, shape)))
    part.paint(resize(cover, shape), colour, roughness, 0.6 * fine * skin, bare)


def _used(face: WarpedFace, shares: Shares) -> Floats:
    """(W, W) 1 where the photo is used: the face's core, skin as far as it is seen, and hair where hair may be."""
    depth, seen = resize(face.depth, _SQUARE), resize(face.seen, _SQUARE)
    u, v = region_grid(_SQUARE)
    away = np.abs(u - face.axis)
    top = np.hypot(away / _SIDE, np.maximum(v - _UPPER, 0) / (_TOP - _UPPER)) < 1
    wanted = ((depth > -_BEYOND) & (shares.skin > 0.4)) | ((depth > 0) & (away < _MIDDLE))
    wanted |= top & (v > _UPPER) & (shares.skin + shares.hair > 0.4)
    wanted |= top & (shares.scalp > 0.5) & (shares.hair > 0.5)
    return _whole((wanted & (seen > 0.5)) | (depth > _CORE))


def _whole(wanted: NDArray[np.bool_]) -> Floats:
    """(W, W) 1 on the largest piece of a mask, its border smoothed and its holes filled."""
    closed = cv2.morphologyEx(wanted.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    smooth = (blur(closed.astype(np.float32), 2.5) > 0.5).astype(np.uint8)
    outlines, _ = cv2.findContours(smooth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(outlines, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(smooth), [largest], 0, (1,), cv2.FILLED).astype(np.float32)


def _changes(face: WarpedFace, beneath: Floats, used: Floats, shares: Shares) -> tuple[Floats, Floats]:
    """The changes of Lab, (W, W, 3) each, that bring the face's border to the canvas, and the canvas to it.

    They meet where both show skin, or both show hair.
    """
    depth = distance_inside(used.astype(np.uint8))
    ring = ((depth > 0) & (depth < _RING * _UNIT)).astype(np.float32)
    residual = _smoothed(to_lab(resize(beneath, _SQUARE)), np.ones(_SQUARE, np.float32))
    residual = residual - _smoothed(to_lab(resize(face.colour, _SQUARE)), used)
    alike = ring * (shares.skin * (1 - shares.scalp) + shares.hair * shares.scalp)
    inner = membrane(residual * (1 - _MET), alike, _REACH * _UNIT)
    outer = membrane(-residual * _MET, alike, _REACH_OUT * _UNIT)
    return inner, outer * _framed()[..., None]


def _framed() -> Floats:
    """(W, W) 1, falling to 0 at the region's edge."""
    steps = np.minimum(np.arange(WORKING_SIDE), np.arange(WORKING_SIDE)[::-1]).astype(np.float32)
    edge = smoothstep(0, _FRAME * _UNIT, steps)
    return edge[:, None] * edge


def _smoothed(lab: Floats, weight: Floats) -> Floats:
    total = blur(weight, 2.0)
    return blur(lab * weight[..., None], 2.0) / np.maximum(total, 1e-4)[..., None]
