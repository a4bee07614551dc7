"""The person of a photo as the engine paints it: the face in even light, and the colours of skin and hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uvmap_id.atlas.face import FaceShape
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.colour import linear, to_lab
from uvmap_id.engines.projection.completion import completed, filled
from uvmap_id.engines.projection.obstacles import dark_glasses, dyed, glasses, hair_before
from uvmap_id.engines.projection.palette import Palette, read_palette
from uvmap_id.engines.projection.portrait import Portrait
from uvmap_id.engines.projection.tone import exposed, exposure, relit, skin_tone
from uvmap_id.engines.projection.wardrobe import Outfit
from uvmap_id.engines.projection.warp import WarpedFace, warp_face
from uvmap_id.link.request import TextureRequest
from uvmap_id.pictures import Floats


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is painted of a person.

    Attributes:
        face: In even light, completed, without what was before it.
        palette: The colours of skin and hair in that light.
        tone: (3,) Lab of the skin.
        hair: (3,) Lab of the hair to paint, or None for a bald head.
        warnings: Sentences for a person about what was left out.
        left_out: The same, for programs: "glasses", "hair".
    """

    face: WarpedFace
    palette: Palette
    tone: Floats
    hair: Floats | None
    warnings: tuple[str, ...]
    left_out: tuple[str, ...]


def likeness(portrait: Portrait, outfit: Outfit, request: TextureRequest, shape: FaceShape, atlas: Atlas) -> Likeness:
    """Bring a portrait into the atlas, take out its light and what hides the skin, and dye its hair as is wished."""
    warped = warp_face(portrait.image, portrait.face, portrait.pose, portrait.person, shape, atlas, request.size)
    photographed = read_palette(portrait.image, portrait.face, portrait.person, warped)
    even = completed(relit(warped, skin_tone(warped, atlas), request.relight), photographed)
    light = exposure(skin_tone(even, atlas))
    face, palette = exposed(even, light), photographed.in_light(light)
    face, warnings, left_out = _without_glasses(face, palette, atlas)
    if outfit.bald and palette.hair is not None:
        face, left_out = filled(face, hair_before(face, palette, atlas), palette), (*left_out, "hair")
    hair = _hair(palette, outfit)
    if outfit.hair is not None and hair is not None:
        face, palette = dyed(face, palette, hair, atlas)
    return Likeness(face, palette, skin_tone(face, atlas), hair, warnings, left_out)


def _without_glasses(
    face: WarpedFace, palette: Palette, atlas: Atlas
) -> tuple[WarpedFace, tuple[str, ...], tuple[str, ...]]:
    rims = glasses(face, atlas)
    if rims is not None:
        return filled(face, rims, palette), ("The glasses in the photo were left out.",), ("glasses",)
    if dark_glasses(face, atlas):
        return face, ("Something dark hides the eyes in the photo; choose one without sunglasses.",), ()
    return face, (), ()


def _hair(palette: Palette, outfit: Outfit) -> Floats | None:
    """(3,) Lab of the hair to paint: what the prompt says wins over the photo."""
    if outfit.bald:
        return None
    if outfit.hair is not None:
        return to_lab(linear(outfit.hair)[None])[0]
    return None if palette.hair is None else palette.hair.mean.astype(np.float32)
