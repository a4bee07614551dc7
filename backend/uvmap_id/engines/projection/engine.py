"""The projection engine: photo and prompt to a texture set, without any weights."""

from __future__ import annotations

import numpy as np

import uvmap_id
from uvmap_id.atlas.face import FaceShape
from uvmap_id.atlas.layout import Atlas, pad
from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.engines.projection.blending import paint_face
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import linear, to_lab
from uvmap_id.engines.projection.completion import completed
from uvmap_id.engines.projection.hair import has_fringe, paint_hair
from uvmap_id.engines.projection.palette import Palette, read_palette
from uvmap_id.engines.projection.portrait import Portrait, PortraitReader
from uvmap_id.engines.projection.skin import paint_skin
from uvmap_id.engines.projection.tailor import dress
from uvmap_id.engines.projection.tone import exposed, exposure, relit, skin_tone
from uvmap_id.engines.projection.wardrobe import Outfit, read_prompt
from uvmap_id.engines.projection.warp import WarpedFace, warp_face
from uvmap_id.link.request import TextureRequest
from uvmap_id.pictures import Floats


class ProjectionEngine:
    """Follows `uvmap_id.engines.base.Engine`. Holds mediapipe's models and the atlas."""

    name = "projection"
    version = uvmap_id.__version__

    def __init__(self) -> None:
        self._atlas = Atlas.load()
        self._shape = FaceShape.load()
        self._reader = PortraitReader()

    def generate(self, request: TextureRequest, photos: tuple[bytes, ...], report: Report) -> TextureSet:
        """See `Engine.generate`."""
        report("Finding the face", 0.0)
        portrait = self._reader.read(photos[0], self._shape, self._atlas)
        outfit = read_prompt(request.prompt)
        warnings = portrait.warnings
        if outfit.ignored:
            warnings += (f"Not understood in the prompt, and left out: {', '.join(outfit.ignored)}.",)
        canvas, details = self._paint(request, portrait, outfit, report)
        report("Making the maps", 0.85)
        return _texture_set(canvas, warnings, details)

    def _paint(
        self, request: TextureRequest, portrait: Portrait, outfit: Outfit, report: Report
    ) -> tuple[Canvas, dict[str, object]]:
        report("Projecting the face", 0.2)
        face, palette = self._face(portrait, request)
        tone = skin_tone(face, self._atlas)
        report("Painting skin and hair", 0.4)
        canvas = Canvas.blank(self._atlas, request.size, request.seed)
        paint_skin(canvas, tone)
        hair = _chosen_hair(palette, outfit)
        scalp = np.zeros((request.size, request.size), np.float32)
        if hair is not None:
            scalp = paint_hair(canvas, hair, has_fringe(face, palette))
        paint_face(canvas, face, palette, scalp)
        for number, garment in enumerate(outfit.garments):
            report(f"Dressing: {garment.name}", 0.55 + 0.3 * number / len(outfit.garments))
            dress(canvas, garment)
        details: dict[str, object] = {
            "eye_distance_pixels": round(portrait.face.eye_distance, 1),
            "face_turned_degrees": round(portrait.pose.turned, 1),
            "skin_lab": _rounded(tone),
            "hair_lab": None if hair is None else _rounded(hair),
            "garments": [garment.name for garment in outfit.garments],
            "added": list(outfit.added),
            "ignored": list(outfit.ignored),
        }
        return canvas, details

    def _face(self, portrait: Portrait, request: TextureRequest) -> tuple[WarpedFace, Palette]:
        """The face in the atlas and in even light, and its colours of skin and hair."""
        warped = warp_face(
            portrait.image, portrait.face, portrait.pose, portrait.person, self._shape, self._atlas, request.size
        )
        palette = read_palette(portrait.image, portrait.face, portrait.person, warped)
        even = completed(relit(warped, skin_tone(warped, self._atlas), request.relight))
        light = exposure(skin_tone(even, self._atlas))
        return exposed(even, light), palette.in_light(light)


def _chosen_hair(palette: Palette, outfit: Outfit) -> Floats | None:
    """(3,) Lab of the hair to paint: what the prompt says wins over the photo."""
    if outfit.bald:
        return None
    if outfit.hair is not None:
        return to_lab(linear(outfit.hair)[None])[0]
    return None if palette.hair is None else palette.hair.mean.astype(np.float32)


def _texture_set(canvas: Canvas, warnings: tuple[str, ...], details: dict[str, object]) -> TextureSet:
    used = canvas.atlas.mask(canvas.size)
    # Everything is painted a little beyond the islands anyway; padding reaches what the atlas leaves empty.
    return TextureSet(
        base_color=pad(canvas.base_color(), used),
        normal=pad(canvas.normal(), used),
        roughness=pad(canvas.roughness_map(), used),
        warnings=warnings,
        details=details,
    )


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 2) for value in values]
