"""The tone of the skin, measured on the face, and the face's light evened out towards it."""

from __future__ import annotations

import dataclasses

import numpy as np

from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.colour import from_lab, smoothstep, to_lab
from uvmap_id.engines.projection.warp import WarpedFace, region_slices
from uvmap_id.pictures import Floats, blur, resize

# Middles of the cheeks, the nose's bridge and the chin in mediapipe's numbering: skin in almost every photo.
_SKIN_LANDMARKS = (50, 280, 205, 425, 101, 330, 6, 199)
_SAMPLE_RADIUS = 0.012
_LIKENESS = 22.0  # CIE76 distance in Lab at which a colour counts as skin by 1/e.
# A flash or a bright print lifts skin over what skin reflects; above this lightness the excess is mostly taken back.
_BRIGHTEST_SKIN, _EXCESS_KEPT = 68.0, 0.35
_EVEN_INSIDE = 0.45  # How much of the slow change of light is taken out in the middle of the face.
_WORKING_SIZE = 160


def skin_tone(face: WarpedFace, atlas: Atlas) -> Floats:
    """(3,) Lab: the median of the middle tones on cheeks, nose and chin, so that shine and shadow don't count."""
    size = face.colour.shape[0]
    samples = np.concatenate([_around(face.colour, atlas.landmarks[index], size) for index in _SKIN_LANDMARKS])
    lab = to_lab(samples)
    low, high = np.percentile(lab[:, 0], [30, 85])
    return np.median(lab[(lab[:, 0] >= low) & (lab[:, 0] <= high)], axis=0)


def exposure(tone: Floats) -> float:
    """The factor on linear light that brings an overexposed skin tone, (3,) Lab, down to a plausible albedo."""
    wanted = tone.copy()
    wanted[0] = min(float(tone[0]), _BRIGHTEST_SKIN + _EXCESS_KEPT * max(0.0, float(tone[0]) - _BRIGHTEST_SKIN))
    return float(from_lab(wanted[None])[0, 1] / from_lab(tone[None])[0, 1])


def exposed(face: WarpedFace, factor: float) -> WarpedFace:
    """The face in more or less light."""
    return dataclasses.replace(face, colour=face.colour * np.float32(factor))


def _around(colour: Floats, uv: Floats, size: int) -> Floats:
    column, row = round(float(uv[0]) * size), round((1 - float(uv[1])) * size)
    radius = max(1, round(_SAMPLE_RADIUS * size))
    return colour[row - radius : row + radius + 1, column - radius : column + radius + 1].reshape(-1, 3)


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
    """The face with slow changes of light drawn to the skin's tone: fully at its outline, in part inside.

    Lines, freckles and features stay: only what is slower than about a third of the face is moved, and hair or
    cloth that reaches into the outline is left out of the measure.
    """
    size = face.colour.shape[0]
    region = region_slices(size)
    colour, inside = face.colour[region], face.inside[region]
    lab = to_lab(colour)
    square = (_WORKING_SIZE, _WORKING_SIZE)
    small = resize(lab, square)
    weight = skin_likeness(from_lab(small), tone, hair) * resize(face.cover[region], square)
    sigma = _WORKING_SIZE / 14
    total = blur(weight, sigma)
    slow = blur(small * weight[..., None], sigma) / np.maximum(total, 1e-4)[..., None]
    trust = smoothstep(0.02, 0.15, total)[..., None]
    shift = resize((tone - slow) * trust, lab.shape[:2])
    # Hair that falls into the face, the whites of the eyes and the teeth keep their own colour.
    skin = blur(skin_likeness(colour, tone, hair), size / 340) * (1 - face.features[region])
    shift *= skin[..., None]
    amount = 1 - inside * (1 - _EVEN_INSIDE)
    corrected = face.colour.copy()
    corrected[region] = from_lab(lab + shift * amount[..., None])
    return dataclasses.replace(face, colour=corrected)
