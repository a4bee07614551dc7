"""Skin over the whole body, in the tone of the face."""

from __future__ import annotations

import numpy as np

from uvmap_id.atlas.face import region_slices
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import from_lab, smoothstep
from uvmap_id.engines.projection.hair import ears
from uvmap_id.engines.projection.tone import skin_likeness
from uvmap_id.engines.projection.warp import WarpedFace
from uvmap_id.pictures import Floats, blur

_ROUGHNESS = 0.48
_MOIST_ROUGHNESS = 0.2  # eyes and lips
_EAR_FLUSH = np.array([-2.0, 4.0, 2.0], np.float32)


def paint_skin(canvas: Canvas, tone: Floats) -> None:
    """Cover everything with skin of a tone given in Lab: slightly uneven, with pores, the ears a little redder."""
    slow = canvas.noise(0.12)
    blotch = canvas.noise(0.03)
    lab = np.broadcast_to(tone, (*canvas.colour.shape,)).astype(np.float32).copy()
    lab[..., 0] += 0.7 * slow + 0.5 * canvas.grain(0.6, 0.6)
    lab[..., 1] += 0.6 * blotch
    lab += ears(canvas.size)[..., None] * _EAR_FLUSH
    whole = np.ones(canvas.relief.shape, np.float32)
    canvas.paint(whole, from_lab(lab), _ROUGHNESS, 0.05 * canvas.grain(0.7, 0.7))


def paint_face(canvas: Canvas, face: WarpedFace, tone: Floats, hair: Floats | None) -> None:
    """Lay the photo's face on the skin. Near its outline and on the temples only skin is kept, so that hair, a
    collar or the background beside the face leave no patch; above the forehead hair is welcome.
    """
    part = canvas.part(region_slices(canvas.size))
    likeness = skin_likeness(face.colour, tone, hair)
    soft = blur(likeness, canvas.size / 512)
    upper = smoothstep(0.43, 0.475, part.position[..., 2])
    middle = face.inside * (1 - face.aside)
    kept = np.maximum(np.maximum(soft, upper), middle)
    luminance = np.sqrt(face.colour @ np.array([0.2126, 0.7152, 0.0722], np.float32))
    fine = luminance - blur(luminance, canvas.size / 340)
    skin = 1 - face.features
    roughness = _MOIST_ROUGHNESS + (_ROUGHNESS - _MOIST_ROUGHNESS) * skin
    part.paint(face.cover * kept, face.colour, roughness, 2.0 * fine * skin)
