"""Colours of skin, hair and eyes from what makes them: melanin, blood and a little yellow.

Light that goes through a layer of pigment is weakened by Beer's and Lambert's law, channel by channel. The strengths
are fitted by eye to portraits.
"""

from __future__ import annotations

import numpy as np

from uvmap_id.datasets.synthetic.identity import Identity
from uvmap_id.engines.projection.colour import linear
from uvmap_id.pictures import Floats

_BARE = np.array([0.85, 0.655, 0.525], np.float32)
_MELANIN = np.array([0.98, 1.22, 1.42], np.float32)
_BLOOD = np.array([0.02, 0.19, 0.15], np.float32)
_YELLOW = np.array([0.0, 0.04, 0.20], np.float32)

_BLACK_HAIR, _BROWN_HAIR = linear((18, 15, 14)), linear((84, 54, 34))
_BLOND_HAIR, _RED_HAIR, _GREY_HAIR = linear((196, 160, 104)), linear((140, 62, 26)), linear((170, 166, 160))
_DARK_EYE, _BROWN_EYE = linear((38, 22, 14)), linear((106, 68, 36))
_GREEN_EYE, _BLUE_EYE = linear((112, 116, 74)), linear((104, 142, 172))


def weakened(melanin: Floats | float, blood: Floats | float, yellow: Floats | float = 0.0) -> Floats:
    """(..., 3) which share of the light is left by pigments, each a number or (...)."""
    layers = ((melanin, _MELANIN), (blood, _BLOOD), (yellow, _YELLOW))
    weight = sum(np.asarray(amount, np.float32)[..., None] * strength for amount, strength in layers)
    return np.exp(-np.asarray(weight, np.float32))


def skin_colour(person: Identity) -> Floats:
    """(3,) float32 linear, the tone of the person's skin."""
    return _BARE * weakened(person["melanin"], person["blood"], person["yellow"])


def hair_colour(person: Identity, greyer: float = 0.0) -> Floats:
    """(3,) float32 linear; `greyer` is added to how grey the hair is, 0..1."""
    dark = person["hair_dark"]
    fair = _BLOND_HAIR + np.clip(dark / 0.55, 0, 1) * (_BROWN_HAIR - _BLOND_HAIR)
    plain = fair + np.clip((dark - 0.55) / 0.45, 0, 1) * (_BLACK_HAIR - fair)
    warm = plain + 0.75 * person["hair_red"] * np.clip(1.3 - dark, 0, 1) * (_RED_HAIR - plain)
    grey = np.clip(person["grey"] + greyer, 0, 1)
    return np.asarray(warm + 0.9 * grey * (_GREY_HAIR - warm), np.float32)


def eye_colour(person: Identity) -> Floats:
    """(3,) float32 linear, of the iris."""
    light = person["eye_light"]
    brown = _DARK_EYE + np.clip(light / 0.4, 0, 1) * (_BROWN_EYE - _DARK_EYE)
    pale = _GREEN_EYE + np.clip(person["eye_blue"] * 1.6 - 0.3, 0, 1) * (_BLUE_EYE - _GREEN_EYE)
    share = np.clip((light - 0.4) / 0.25, 0, 1)
    return np.asarray(brown + share * (pale - brown), np.float32)
