"""The projection engine: photo and prompt to a texture set, without any weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import uvmap_id
from uvmap_id.atlas.layout import Atlas, pad
from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import from_lab, linear, to_lab
from uvmap_id.engines.projection.hair import hair_colour, has_fringe, paint_hair
from uvmap_id.engines.projection.skin import paint_face, paint_skin
from uvmap_id.engines.projection.tailor import dress
from uvmap_id.engines.projection.tone import evened, exposed, exposure, skin_tone
from uvmap_id.engines.projection.wardrobe import Outfit, read_prompt
from uvmap_id.engines.projection.warp import warp_face
from uvmap_id.faces.landmarks import FaceFinder, FaceLandmarks
from uvmap_id.faces.person import PersonFinder
from uvmap_id.faces.photo import read_photo
from uvmap_id.link.messages import ErrorCode, TextureRequest, UVMapError
from uvmap_id.pictures import Floats

# Pixels between the outer corners of the eyes.
SMALL_FACE, TOO_SMALL_FACE = 96, 40


class ProjectionEngine:
    """Follows `uvmap_id.engines.base.Engine`. Holds mediapipe's models and the atlas."""

    name = "projection"
    version = uvmap_id.__version__

    def __init__(self) -> None:
        self._atlas = Atlas.load()
        self._faces = FaceFinder()
        self._people = PersonFinder()

    def generate(self, request: TextureRequest, photo: bytes, report: Report) -> TextureSet:
        """See `Engine.generate`."""
        report("Reading the photo", 0.0)
        image = read_photo(photo)
        report("Finding the face", 0.1)
        face, warnings = _largest(self._faces.find(image))
        person = self._people.mask(image)
        outfit = read_prompt(request.prompt)
        if outfit.ignored:
            warnings.append(f"Not understood in the prompt, and left out: {', '.join(outfit.ignored)}.")
        report("Projecting the face", 0.25)
        canvas, details = self._paint(request, image, face, person, outfit, report)
        report("Making the maps", 0.85)
        return _texture_set(canvas, tuple(warnings), details)

    def _paint(
        self,
        request: TextureRequest,
        image: NDArray[np.uint8],
        face: FaceLandmarks,
        person: Floats,
        outfit: Outfit,
        report: Report,
    ) -> tuple[Canvas, dict[str, object]]:
        canvas = Canvas.blank(self._atlas, request.size, request.seed)
        warped = warp_face(image, face, person, self._atlas, request.size)
        photographed = skin_tone(warped, self._atlas)
        light = exposure(photographed)
        warped = exposed(warped, light)
        tone = skin_tone(warped, self._atlas)
        report("Painting skin and hair", 0.4)
        paint_skin(canvas, tone)
        own_hair = _in_light(hair_colour(image, face, person, photographed), light)
        hair = _chosen_hair(own_hair, outfit)
        if hair is not None:
            paint_hair(canvas, hair, has_fringe(warped, tone, own_hair))
        paint_face(canvas, evened(warped, tone, own_hair), tone, own_hair)
        for number, garment in enumerate(outfit.garments):
            report(f"Dressing: {garment.name}", 0.55 + 0.3 * number / len(outfit.garments))
            dress(canvas, garment)
        details: dict[str, object] = {
            "eye_distance_pixels": round(face.eye_distance, 1),
            "skin_lab": _rounded(tone),
            "hair_lab": None if hair is None else _rounded(hair),
            "garments": [garment.name for garment in outfit.garments],
            "added": list(outfit.added),
            "ignored": list(outfit.ignored),
        }
        return canvas, details


def _largest(faces: list[FaceLandmarks]) -> tuple[FaceLandmarks, list[str]]:
    if not faces:
        raise UVMapError(
            ErrorCode.FACE_NOT_FOUND,
            "No face was found in the photo.",
            "Choose a photo that shows one face from the front, well lit and not covered.",
        )
    face, warnings = faces[0], []
    if face.eye_distance < TOO_SMALL_FACE:
        raise UVMapError(
            ErrorCode.FACE_TOO_SMALL,
            f"The face is too small: {face.eye_distance:.0f} pixels between the eyes' outer corners.",
            f"Choose a photo with at least {TOO_SMALL_FACE}, better {SMALL_FACE} pixels between them.",
        )
    if len(faces) > 1:
        warnings.append(f"The photo shows {len(faces)} faces; the largest one was used.")
    if face.eye_distance < SMALL_FACE:
        warnings.append(
            f"The face is small ({face.eye_distance:.0f} pixels between the eyes' outer corners) and will look soft; "
            f"{SMALL_FACE} or more are sharp."
        )
    return face, warnings


def _in_light(lab: Floats | None, light: float) -> Floats | None:
    """A colour in Lab, seen in more or less light."""
    return None if lab is None else to_lab(from_lab(lab[None]) * light)[0]


def _chosen_hair(own: Floats | None, outfit: Outfit) -> Floats | None:
    """(3,) Lab of the hair to paint: what the prompt says wins over the photo."""
    if outfit.bald:
        return None
    return own if outfit.hair is None else to_lab(linear(outfit.hair)[None])[0]


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
