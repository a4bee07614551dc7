"""The tone of the skin, measured on the face, and how much light there is on it."""

from __future__ import annotations

import dataclasses

import numpy as np

from uvmap_id.atlas.face import LEFT, RIGHT, region_uv_to_pixels
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.colour import from_lab, to_lab
from uvmap_id.engines.projection.light import shading
from uvmap_id.engines.projection.warp import WarpedFace
from uvmap_id.pictures import Floats

# Middles of the cheeks, the nose's bridge and the chin in mediapipe's numbering: skin in almost every photo.
_SKIN_LANDMARKS = (50, 280, 205, 425, 101, 330, 6, 199)
_SAMPLE_RADIUS = 0.012
_LIKENESS = 22.0  # CIE76 distance in Lab at which a colour counts as skin by 1/e.
# A flash or a bright print lifts skin over what skin reflects; above this lightness the excess is mostly taken back.
_BRIGHTEST_SKIN, _EXCESS_KEPT = 72.0, 0.5


def skin_tone(face: WarpedFace, atlas: Atlas) -> Floats:
    """(3,) Lab of the skin of a photo's face; see `tone_of`."""
    return tone_of(face.colour, face.seen, atlas)


def tone_of(colour: Floats, seen: Floats, atlas: Atlas) -> Floats:
    """(3,) Lab: the median of the middle tones on cheeks, nose and chin, so that shine and shadow don't count.

    Args:
        colour: (h, w, 3) float32 linear, over the face's region.
        seen: (h, w) 1 where the colour is the face's.
        atlas: The layout.
    """
    shape = seen.shape
    places = region_uv_to_pixels(atlas.landmarks[list(_SKIN_LANDMARKS)], (shape[0], shape[1]))
    radius = max(1, round(_SAMPLE_RADIUS / (RIGHT - LEFT) * shape[1]))
    chosen = np.zeros(shape, bool)
    for column, row in places.astype(int):
        chosen[row - radius : row + radius + 1, column - radius : column + radius + 1] = True
    shown = chosen & (seen > 0.5)
    lab = to_lab(colour[shown if shown.any() else chosen])
    low, high = np.percentile(lab[:, 0], [30, 85])
    return np.median(lab[(lab[:, 0] >= low) & (lab[:, 0] <= high)], axis=0)


def exposure(tone: Floats) -> float:
    """The factor on linear light that brings an overexposed skin tone, (3,) Lab, down to a plausible albedo."""
    wanted = tone.copy()
    wanted[0] = min(float(tone[0]), _BRIGHTEST_SKIN + _EXCESS_KEPT * max(0.0, float(tone[0]) - _BRIGHTEST_SKIN))
    return float(from_lab(wanted[None])[0, 1] / from_lab(tone[None])[0, 1])


def exposed(face: WarpedFace, factor: Floats | float) -> WarpedFace:
    """The face in more or less light; the factor on linear light is one for all, or (h, w)."""
    return dataclasses.replace(face, colour=face.colour * np.asarray(factor, np.float32)[..., None])


def relit(face: WarpedFace, tone: Floats, relight: float) -> WarpedFace:
    """The face without the photo's light. `relight` is how much of it is taken out, 0..1."""
    skin = skin_likeness(face.colour, tone) * face.seen * face.inside * (1 - face.features)
    light = shading(face.colour, face.normal, skin)
    # Beyond the outline the fit only guesses, and hair has normals of its own.
    return exposed(face, 1 / (1 + relight * face.inside * (light - 1)))


def skin_likeness(colour: Floats, tone: Floats) -> Floats:
    """(...,) 1 for the tone itself, towards 0 for colours that are no skin. Lightness counts half: shadow is skin."""
    difference = (to_lab(colour) - tone) * np.array([0.5, 1.0, 1.0], np.float32)
    return np.exp(-((np.linalg.norm(difference, axis=-1) / _LIKENESS) ** 2)).astype(np.float32)
