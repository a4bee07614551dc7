"""Relief, roughness and skin of a painted texture, in the way of the projection engine.

Nobody says what the model has painted where. Skin is what has the colour of the face's skin, and the face; all else is
cloth, or hair on the scalp. Folds are told from light and dark, which also gives printed cloth a slight relief.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.face import region_slices
from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.parts import Part
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import smoothstep, to_lab, to_linear
from uvmap_id.engines.projection.skin import paint_skin
from uvmap_id.engines.projection.tone import skin_likeness, tone_of
from uvmap_id.engines.projection.warp import face_features, inside_face
from uvmap_id.pictures import Floats, blur, resize

_CLASSES_SIZE = 512
_SKIN_FROM, _SKIN_SURE = 0.3, 0.55  # likeness to the face's skin
_GREY, _COLOURED = 0.5, 0.7  # shares of the face's chroma: white cloth is as light as pale skin
_CLOTH_ROUGHNESS, _HAIR_ROUGHNESS, _FACE_ROUGHNESS, _MOIST_ROUGHNESS = 0.84, 0.42, 0.48, 0.2
# Millimetres of relief for the step from black to white, and the widths of what counts as one, as parts of the atlas.
_FACE_RELIEF, _WEAVE_RELIEF, _FOLD_RELIEF = 0.6, 8.0, 40.0
_FINE, _FOLD = 1 / 340, 1 / 85
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True, slots=True)
class Surface:
    """What a body's surface is like beside its colour; see `TextureSet` for the maps.

    Attributes:
        normal: (S, S, 3) uint8.
        roughness: (S, S) uint8.
        subsurface: (S, S) uint8.
    """

    normal: NDArray[np.uint8]
    roughness: NDArray[np.uint8]
    subsurface: NDArray[np.uint8]


def surface_of(base_color: NDArray[np.uint8], atlas: Atlas, seed: int) -> Surface:
    """Read the surface off a texture.

    Args:
        base_color: (S, S, 3) uint8 sRGB, with its islands padded.
        atlas: The layout.
        seed: Of the pores.
    """
    size = base_color.shape[0]
    tone, skin = _skin(base_color, atlas)
    canvas = Canvas.blank(atlas, size, seed)
    paint_skin(canvas, tone)
    brightness = np.sqrt(to_linear(base_color) @ _LUMINANCE)
    slow = blur(brightness, size * _FINE)
    fine = brightness - slow
    folds = slow - blur(slow, size * _FOLD)
    hair = resize(atlas.shows([Part.SCALP], _CLASSES_SIZE).astype(np.float32), (size, size))
    canvas.paint(
        cover=1 - skin,
        colour=np.zeros(3, np.float32),
        roughness=_CLOTH_ROUGHNESS + (_HAIR_ROUGHNESS - _CLOTH_ROUGHNESS) * hair,
        relief=_WEAVE_RELIEF * fine + _FOLD_RELIEF * folds,
    )
    _paint_face(canvas, fine)
    return Surface(canvas.normal(), canvas.roughness_map(), canvas.skin_map())


def _skin(base_color: NDArray[np.uint8], atlas: Atlas) -> tuple[Floats, Floats]:
    """(3,) Lab of the face's skin, and (S, S) 1 where the texture shows skin."""
    size = base_color.shape[0]
    small = to_linear(resize(base_color, (_CLASSES_SIZE, _CLASSES_SIZE)))
    region = region_slices(_CLASSES_SIZE)
    inside = inside_face(atlas, _CLASSES_SIZE)
    tone = tone_of(small[region], np.ones(inside.shape, np.float32), atlas)
    chroma = np.linalg.norm(to_lab(blur(small, 1.5))[..., 1:], axis=-1) / max(float(np.linalg.norm(tone[1:])), 1.0)
    skin = smoothstep(_SKIN_FROM, _SKIN_SURE, blur(skin_likeness(small, tone), 1.5))
    skin *= smoothstep(_GREY, _COLOURED, chroma)
    skin[region] = np.maximum(skin[region], inside)
    return tone, resize(skin, (size, size))


def _paint_face(canvas: Canvas, fine: Floats) -> None:
    """The face has lines and lashes in place of the body's pores; eyes and lips are moist."""
    region = region_slices(canvas.size)
    skin = 1 - face_features(canvas.atlas, canvas.size)
    canvas.part(region).paint(
        cover=inside_face(canvas.atlas, canvas.size),
        colour=np.zeros(3, np.float32),
        roughness=_MOIST_ROUGHNESS + (_FACE_ROUGHNESS - _MOIST_ROUGHNESS) * skin,
        relief=_FACE_RELIEF * fine[region] * skin,
        skin=skin,
    )
