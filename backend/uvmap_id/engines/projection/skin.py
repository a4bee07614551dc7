"""Skin over the whole body, in the tone of the face."""

from __future__ import annotations

import numpy as np

from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import from_lab
from uvmap_id.engines.projection.complexion import complexion
from uvmap_id.engines.projection.fields import GUIDE_SIZE, noise_at
from uvmap_id.engines.projection.figure import Tile, each_tile
from uvmap_id.engines.projection.hair import ears
from uvmap_id.engines.projection.nails import paint_nails
from uvmap_id.pictures import Floats, blur

SKIN_ROUGHNESS = 0.48
# Changes of Lab where blood shows, on palms and soles, and in creases.
_FLUSH = np.array([-2.6, 5.2, 2.0], np.float32)
_PALE = np.array([4.0, 0.5, -2.5], np.float32)
_CREASE = np.array([-7.0, 2.5, 1.0], np.float32)
_PORE, _PORE_WIDTH = 0.03, 0.0004  # Millimetres deep, metres wide.


def paint_skin(canvas: Canvas, tone: Floats) -> None:
    """Cover everything with skin of a tone given in Lab: uneven, redder at the joints, paler on palms and soles."""
    guide = canvas.guide
    marks = complexion(guide.position)
    slow, blotch = _small_noise(canvas, 0.12), _small_noise(canvas, 0.025)
    flush = np.clip(marks.flush * (1 + 0.25 * blotch), 0, 1.3) + 0.75 * ears(GUIDE_SIZE)
    lab = np.asarray(tone, np.float32) + np.stack([0.7 * slow, 0.6 * blotch, 0.3 * slow], axis=2)
    lab += flush[..., None] * _FLUSH + marks.pale[..., None] * _PALE + marks.crease[..., None] * _CREASE
    base = from_lab(lab)
    pores, fine = canvas.grain_tile(0.7, 0.7), canvas.grain_tile(0.5, 0.5)
    thick = 1 + marks.pale + 2 * marks.crease + 1.5 * marks.flush

    def cover(tile: Tile) -> None:
        place = (tile.rows, tile.columns)
        pore = tile.repeated(pores)
        mottled = 1 + 0.014 * tile.repeated(fine) - 0.010 * np.maximum(-pore, 0)
        canvas.colour[place] = tile.enlarged(base) * mottled[..., None]
        canvas.roughness[place] = SKIN_ROUGHNESS + 0.012 * pore
        canvas.skin[place] = 1
        # Pores are of one size all over the body, which large texels blur.
        depth = _PORE * min(1.0, _PORE_WIDTH / tile.texel)
        canvas.relief[place] = depth * tile.enlarged(thick) * pore - 0.8 * tile.enlarged(marks.crease)

    each_tile(canvas, cover)
    paint_nails(canvas, tone)


def _small_noise(canvas: Canvas, wavelength: float) -> Floats:
    """(G, G) smooth noise of about unit variance in the body's space."""
    places = canvas.guide.position.reshape(-1, 3) * np.float32(2.5 / wavelength)
    return blur(noise_at(places, canvas.random).reshape(GUIDE_SIZE, GUIDE_SIZE), 1.0)
