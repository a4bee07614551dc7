"""The projection engine: photo and prompt to a texture set, without any weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import uvmap_id
from uvmap_id.atlas.face import FaceShape
from uvmap_id.atlas.layout import Atlas, pad
from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.engines.projection.blending import paint_face
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.hair import has_fringe, paint_hair
from uvmap_id.engines.projection.likeness import Likeness, likeness
from uvmap_id.engines.projection.portrait import Portrait, PortraitReader
from uvmap_id.engines.projection.skin import paint_skin
from uvmap_id.engines.projection.tailor import dress
from uvmap_id.engines.projection.wardrobe import Outfit, read_prompt
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
        report("Projecting the face", 0.2)
        person = likeness(portrait, outfit, request, self._shape, self._atlas)
        warnings = portrait.warnings + person.warnings
        if outfit.ignored:
            warnings += (left_out(outfit.ignored),)
        canvas = self._paint(request, person, outfit, report)
        report("Making the maps", 0.85)
        return _texture_set(canvas, warnings, _details(portrait, person, outfit))

    def _paint(self, request: TextureRequest, person: Likeness, outfit: Outfit, report: Report) -> Canvas:
        report("Painting skin and hair", 0.4)
        canvas = Canvas.blank(self._atlas, request.size, request.seed)
        paint_skin(canvas, person.tone)
        scalp = np.zeros((request.size, request.size), np.float32)
        if person.hair is not None:
            fringe = has_fringe(person.face, person.palette)
            scalp = paint_hair(canvas, person.hair, person.palette.strands, fringe)
        paint_face(canvas, person.face, person.palette, scalp)
        for number, garment in enumerate(outfit.garments):
            report(f"Dressing: {garment.name}", 0.55 + 0.3 * number / len(outfit.garments))
            dress(canvas, garment)
        return canvas


def left_out(words: Sequence[str]) -> str:
    """The warning of what the wardrobe doesn't know."""
    return f"Not understood in the prompt, and left out: {', '.join(words)}."


def _details(portrait: Portrait, person: Likeness, outfit: Outfit) -> dict[str, object]:
    return {
        "eye_distance_pixels": round(portrait.face.eye_distance, 1),
        "face_turned_degrees": round(portrait.pose.turned, 1),
        "skin_lab": _rounded(person.tone),
        "hair_lab": None if person.hair is None else _rounded(person.hair),
        "garments": [garment.name for garment in outfit.garments],
        "added": list(outfit.added),
        "ignored": list(outfit.ignored),
        "left_out": list(person.left_out),
    }


def _texture_set(canvas: Canvas, warnings: tuple[str, ...], details: dict[str, object]) -> TextureSet:
    used = canvas.atlas.mask(canvas.size)
    # Everything is painted a little beyond the islands anyway; padding reaches what the atlas leaves empty.
    return TextureSet(
        base_color=pad(canvas.base_color(), used),
        normal=pad(canvas.normal(), used),
        roughness=pad(canvas.roughness_map(), used),
        subsurface=pad(canvas.skin_map(), used),
        warnings=warnings,
        details=details,
    )


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 2) for value in values]
