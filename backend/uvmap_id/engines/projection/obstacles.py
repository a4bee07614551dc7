"""What a photo has before the skin of a face: glasses, and hair that the prompt doesn't want."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas import face as region
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.colour import from_lab, to_lab
from uvmap_id.engines.projection.palette import Palette
from uvmap_id.engines.projection.warp import WarpedFace
from uvmap_id.faces.landmarks import LEFT_EYE, RIGHT_EYE
from uvmap_id.pictures import Floats, blur, fill_polygons, resize, sample

_SIDE = 384
_SQUARE = (_SIDE, _SIDE)
_MILLIMETRE = 0.00195  # of a face, in atlas units
_BROWS = (
    (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
)
# Rims are looked for below the eyes: millimetres from their middles, and directions from straight down in degrees.
_NEAREST, _FARTHEST, _ASKEW = 11.0, 32.0, 65.0
_STEPS, _DIRECTIONS = 64, 45
_RIM = 7.0  # Millimetres: whatever dark is thinner may be a rim.
_STRAY = 2  # Steps by which a rim's distance may change from direction to direction.
# How much darker than the skin beside it a rim is, in L of Lab; and for what share of the directions.
_DARKER, _SHARE = 9.0, 0.8
_DARK, _BOLD = 5.0, 28.0
_BROW_V = 0.865  # v of the upper edge of the brows
_BRIDGE_V = (0.795, 0.855)
_TEMPLE_V = (0.808, 0.85)
_AROUND = 3.5  # Millimetres from a lens's edge that its frame may reach.
_GLARE = 12.0  # Millimetres: whatever light is thinner may be a reflection.
_REFLECTION = 14.0  # How much lighter than what is around it a reflection is, in L of Lab.
# Where skin is seen below an eye, millimetres from its middle, and how much darker than the cheek a dark lens is.
_UNDER_EYE, _CHEEK, _HIDDEN = (7.0, 9.0, 11.0), 30.0, 30.0
_MARGIN = 1.2  # Millimetres around rims that are taken out with them.
# v above which hair may be hair of the head, on the forehead and beside it, and which it must reach then.
_FOREHEAD_V, _TEMPLES_V, _HAIRLINE_V = 0.857, 0.80, 0.90
_TEMPLE_U = 0.105  # So far from the face's middle the temples begin.
_SHINE = 8.0  # L of Lab above the lighter one of skin and hair that only shine has.
_HAIR_MARGIN = 5.0  # Millimetres around hair that are taken out with it: its shadow, and single strands.


def glasses(face: WarpedFace, atlas: Atlas) -> Floats | None:
    """(h, w) 1 on the rims of glasses and on reflections in them, or None where the face wears none.

    A rim is a thin dark line that runs below each eye, and over the bridge of the nose.
    """
    lightness = _lightness(face)
    rims = _black_hat(lightness, _RIM)
    eyes = [_middle(atlas, outline) for outline in (RIGHT_EYE, LEFT_EYE)]
    paths = [path for eye in eyes if (path := _rim(rims, eye)) is not None]
    if len(paths) < len(eyes) or not _has_bridge(rims, face.axis):
        return None
    lenses = fill_polygons([_closed(path, eye) for path, eye in zip(paths, eyes, strict=True)], _SQUARE)
    eyeballs = fill_polygons([_pixels(atlas, outline) for outline in (RIGHT_EYE, LEFT_EYE)], _SQUARE)
    brows = fill_polygons([_pixels(atlas, outline) for outline in _BROWS], _SQUARE)
    free = cv2.dilate(eyeballs | brows, _disc(1.5)) > 0
    # A rim that is much darker than brows and lashes is told from them even where it crosses them.
    usual = float(np.median([np.median(sample(rims, path[None].astype(np.float32))) for path in paths]))
    bold = (rims > max(_BOLD, 0.5 * usual)) & (eyeballs == 0)
    zone = _frame_zone(lenses)
    dark = _connected(((rims > _DARK) & ~free | bold) & zone, lenses)
    light = (_black_hat(-lightness, _GLARE) > _REFLECTION) & (lenses > 0) & zone & ~free
    mask = cv2.dilate((dark | light).astype(np.uint8), _disc(_MARGIN)).astype(np.float32)
    return resize(blur(mask, 1.0), (face.seen.shape[0], face.seen.shape[1]))


def dark_glasses(face: WarpedFace, atlas: Atlas) -> bool:
    """True where both eyes are behind something that is much darker than the cheeks."""
    lightness = _lightness(face)
    shown: list[float] = []
    for outline in (RIGHT_EYE, LEFT_EYE):
        below = _middle(atlas, outline) - np.stack([np.zeros(3), np.array(_UNDER_EYE) * _MILLIMETRE], axis=-1)
        cheek = _middle(atlas, outline) - np.array([[0, _CHEEK * _MILLIMETRE]])
        places = region.region_uv_to_pixels(np.concatenate([below, cheek]), _SQUARE).astype(np.float32)
        values = sample(blur(lightness, 3.0), places[None])[0]
        shown.append(float(values[-1] - values[:-1].max()))
    return min(shown) > _HIDDEN


def _lightness(face: WarpedFace) -> Floats:
    return blur(to_lab(resize(face.colour, _SQUARE))[..., 0], 0.7)


def _frame_zone(lenses: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where frames and lenses are: never above the brows, and beside the lenses at their height from ear to ear."""
    _, v = region.region_grid(_SQUARE)
    low, high = _TEMPLE_V
    return ((cv2.dilate(lenses, _disc(_AROUND)) > 0) & (v < _BROW_V)) | ((v > low) & (v < high) & (lenses == 0))


def hair_before(face: WarpedFace, palette: Palette, atlas: Atlas) -> Floats:
    """(h, w) 1 on hair of the head over the forehead and beside it: what is no skin and reaches up to the hairline."""
    lab = to_lab(resize(face.colour, _SQUARE))
    u, v = region.region_grid(_SQUARE)
    brows = fill_polygons([_pixels(atlas, outline) for outline in _BROWS], _SQUARE)
    skin = blur(palette.skin_share(lab), 1.5) > 0.5
    beside = np.abs(u - face.axis) > _TEMPLE_U
    hair = ~skin & (cv2.dilate(brows, _disc(2.0)) == 0) & (v > np.where(beside, _TEMPLES_V, _FOREHEAD_V))
    _, labels = cv2.connectedComponents(hair.astype(np.uint8))
    reaching = np.unique(labels[hair & (v > _HAIRLINE_V)])
    mask = np.isin(labels, reaching[reaching > 0]).astype(np.uint8)
    soft = blur(cv2.dilate(mask, _disc(_HAIR_MARGIN)).astype(np.float32), 1.5)
    return resize(soft, (face.seen.shape[0], face.seen.shape[1]))


def dyed(face: WarpedFace, palette: Palette, lab: Floats, atlas: Atlas) -> tuple[WarpedFace, Palette]:
    """The face with the hair over its forehead in another colour, (3,) Lab, and the palette with that colour."""
    if palette.hair is None:
        return face, palette
    shape = (face.seen.shape[0], face.seen.shape[1])
    share = hair_before(face, palette, atlas) * (1 - _skin_at(face, palette, shape))
    other = from_lab(to_lab(face.colour) + (lab - palette.hair.mean).astype(np.float32))
    colour = face.colour + share[..., None] * (other - face.colour)
    hair = dataclasses.replace(palette.hair, mean=np.asarray(lab, np.float64))
    return dataclasses.replace(face, colour=colour), dataclasses.replace(palette, hair=hair)


def _skin_at(face: WarpedFace, palette: Palette, shape: tuple[int, int]) -> Floats:
    """(h, w) 1 on skin, and on what is lighter than skin and hair: shine on a forehead is no hair."""
    lab = to_lab(resize(face.colour, _SQUARE))
    lightest = max(float(shade.mean[0]) for shade in (palette.skin, palette.hair) if shade is not None)
    shine = lab[..., 0] > lightest + _SHINE
    return resize(blur(np.maximum(palette.skin_share(lab), shine), 1.0), shape)


def _pixels(atlas: Atlas, landmarks: tuple[int, ...]) -> Floats:
    return region.region_uv_to_pixels(atlas.landmarks[list(landmarks)], _SQUARE)


def _middle(atlas: Atlas, outline: tuple[int, ...]) -> Floats:
    return atlas.landmarks[list(outline)].mean(axis=0)


def _disc(millimetres: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(millimetres * _MILLIMETRE * _SIDE / (region.RIGHT - region.LEFT))) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _black_hat(lightness: Floats, width: float) -> Floats:
    """How much darker than its surroundings everything is that is thinner than so many millimetres."""
    return np.asarray(cv2.morphologyEx(lightness, cv2.MORPH_BLACKHAT, _disc(width / 2)), np.float32)


def _rim(rims: Floats, eye: Floats) -> Floats | None:
    """(D, 2) pixels x, y along the lower rim before an eye, or None: the darkest smooth line below it."""
    angle = np.radians(np.linspace(-_ASKEW, _ASKEW, _DIRECTIONS))
    radius = np.linspace(_NEAREST, _FARTHEST, _STEPS) * _MILLIMETRE
    direction = np.stack([np.sin(angle), -np.cos(angle)], axis=-1)
    places = region.region_uv_to_pixels(eye + direction[:, None] * radius[None, :, None], _SQUARE)
    values = sample(rims, places.astype(np.float32))
    path = _brightest_path(values)
    along = values[np.arange(_DIRECTIONS), path]
    return places[np.arange(_DIRECTIONS), path] if (along > _DARKER).mean() >= _SHARE else None


def _brightest_path(values: Floats) -> NDArray[np.int64]:
    """The column in each row of (D, S) values along the path of the greatest sum, by dynamic programming."""
    total, came = values[0].copy(), []
    for row in values[1:]:
        framed = np.pad(total, _STRAY, constant_values=-np.inf)
        shifted = np.stack([framed[step : step + len(total)] for step in range(2 * _STRAY + 1)])
        best = shifted.argmax(axis=0)
        came.append(best - _STRAY + np.arange(len(total)))
        total = shifted.max(axis=0) + row
    path = [int(total.argmax())]
    for step in reversed(came):
        path.append(int(step[path[-1]]))
    return np.array(path[::-1])


def _has_bridge(rims: Floats, axis: float) -> bool:
    """True where something thin and dark crosses the bridge of the nose."""
    low, high = _BRIDGE_V
    places = np.stack(
        np.broadcast_arrays(axis + np.linspace(-2, 2, 5)[:, None] * _MILLIMETRE, np.linspace(low, high, 40)), -1
    )
    crossing = sample(rims, region.region_uv_to_pixels(places, _SQUARE).astype(np.float32)).max(axis=1)
    return bool((crossing > _DARK).mean() >= _SHARE)


def _closed(path: Floats, eye: Floats) -> Floats:
    """A lens's outline: its lower rim, and above the eye the same, a little flatter."""
    middle = region.region_uv_to_pixels(eye, _SQUARE)
    return np.concatenate([path, (path - middle)[::-1] * [1, -0.8] + middle])


def _connected(dark: NDArray[np.bool_], lenses: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The dark lines that touch the lenses' outlines, and whatever hangs together with them."""
    outline = cv2.morphologyEx(lenses, cv2.MORPH_GRADIENT, _disc(1.0))
    _, labels = cv2.connectedComponents(dark.astype(np.uint8))
    touching = np.unique(labels[(outline > 0) & dark])
    return np.isin(labels, touching[touching > 0])
