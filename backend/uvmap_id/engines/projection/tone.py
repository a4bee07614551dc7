"""The tone of the skin, measured on the face, and the face's light evened out towards it."""

from __future__ import annotations

import dataclasses

import numpy as np

from uvmap_id.atlas.face import LEFT, RIGHT, mirrored, region_uv_to_pixels
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.colour import from_lab, smoothstep, to_lab
from uvmap_id.engines.projection.light import shading
from uvmap_id.engines.projection.warp import WarpedFace
from uvmap_id.pictures import Floats, blur, resize

# Middles of the cheeks, the nose's bridge and the chin in mediapipe's numbering: skin in almost every photo.
_SKIN_LANDMARKS = (50, 280, 205, 425, 101, 330, 6, 199)
_SAMPLE_RADIUS = 0.012
_LIKENESS = 22.0  # CIE76 distance in Lab at which a colour counts as skin by 1/e.
# A flash or a bright print lifts skin over what skin reflects; above this lightness the excess is mostly taken back.
_BRIGHTEST_SKIN, _EXCESS_KEPT = 72.0, 0.5
_EVEN_INSIDE = 0.1  # How much of the slow change of light is taken out in the middle of the face.
_WORKING_SIZE = 160
_LEAST_SEEN = 0.15


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


def completed(face: WarpedFace) -> WarpedFace:
    """What the photo doesn't show is taken from the other side of the face, which it does show.

    What neither side shows, such as the underside of the nose, is taken from the photo all the same.
    """
    other = mirrored(np.dstack([face.colour, face.seen]), face.axis)
    own = np.maximum(face.seen, _LEAST_SEEN)
    share = other[..., 3] * (1 - face.seen)
    total = own + share
    mixed = (face.colour * own[..., None] + other[..., :3] * share[..., None]) / total[..., None]
    shown = np.maximum(np.clip(1.5 * (face.seen + share), 0, 1), 1 - face.aside)
    return dataclasses.replace(face, colour=mixed.astype(np.float32), cover=face.cover * shown)


def skin_likeness(colour: Floats, tone: Floats, hair: Floats | None = None) -> Floats:
    """(...,) 1 for the tone itself, towards 0 for colours that are no skin, such as hair or a collar.

    Where the hair's colour is known, in Lab, what is nearer to it than to the tone counts as hair: blond hair is
    close to skin.
    """
    lab = to_lab(colour)
    distance = _distance(lab, tone)
    likeness = np.exp(-((distance / _LIKENESS) ** 2))
    if hair is not None:
        to_hair = _distance(lab, hair)
        likeness *= smoothstep(0.35, 0.65, to_hair / (to_hair + distance + 1e-6))
    return likeness.astype(np.float32)


def _distance(lab: Floats, other: Floats) -> Floats:
    """CIE76 in which lightness counts half: shadowed skin is still skin."""
    return np.linalg.norm((lab - other) * np.array([0.5, 1.0, 1.0], np.float32), axis=-1)


def evened(face: WarpedFace, tone: Floats, hair: Floats | None) -> WarpedFace:
    """The face with slow changes of light drawn to the skin's tone at its outline, and a little inside.

    Lines, freckles and features stay: only what is slower than about a third of the face is moved, and hair or
    cloth that reaches into the outline is left out of the measure.
    """
    lab = to_lab(face.colour)
    square = (_WORKING_SIZE, _WORKING_SIZE)
    small = resize(lab, square)
    weight = skin_likeness(from_lab(small), tone, hair) * resize(face.cover, square)
    sigma = _WORKING_SIZE / 14
    total = blur(weight, sigma)
    slow = blur(small * weight[..., None], sigma) / np.maximum(total, 1e-4)[..., None]
    trust = smoothstep(0.02, 0.15, total)[..., None]
    shift = resize((tone - slow) * trust, lab.shape[:2])
    # Hair that falls into the face, the whites of the eyes and the teeth keep their own colour.
    skin = blur(skin_likeness(face.colour, tone, hair), lab.shape[1] / 136) * (1 - face.features)
    amount = skin * (1 - face.inside * (1 - _EVEN_INSIDE))
    return dataclasses.replace(face, colour=from_lab(lab + shift * amount[..., None]))
