"""The photo's face, projected into the atlas, as what the model's picture is anchored to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from uvmap_id.atlas.face import region_slices
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.base import Report
from uvmap_id.engines.projection.engine import ProjectionEngine, left_out
from uvmap_id.engines.projection.warp import inside_face
from uvmap_id.link.request import TextureRequest
from uvmap_id.pictures import Floats

_DETAILS = ("eye_distance_pixels", "face_turned_degrees", "garments")


@dataclass(frozen=True, slots=True)
class ProjectedFace:
    """What the projection engine made of the same request.

    Attributes:
        texture: (S, S, 3) float32 sRGB 0..1, the whole texture at the size of the maps.
        mask: (S, S) float32, 1 well inside the face, 0 on its outline and elsewhere.
        anchor: How firmly it holds the model's picture, 0 to 1.
        warnings: Sentences for a person, about the photo.
        details: For the manifest.
    """

    texture: Floats
    mask: Floats
    anchor: float
    warnings: tuple[str, ...] = ()
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


def project_face(
    engine: ProjectionEngine, atlas: Atlas, request: TextureRequest, photo: bytes, report: Report
) -> ProjectedFace:
    """Have the projection engine make the texture that the model starts from.

    Raises:
        UVMapError: The photo can't be projected.
    """
    textures = engine.generate(request, (photo,), report)
    # The prompt is for the model, which reads all of it.
    ignored = left_out(textures.details["ignored"])
    return ProjectedFace(
        texture=textures.base_color.astype(np.float32) / 255,
        mask=face_mask(atlas, request.size),
        anchor=request.diffusion.anchor,
        warnings=tuple(warning for warning in textures.warnings if warning != ignored),
        details={name: textures.details[name] for name in _DETAILS},
    )


def face_mask(atlas: Atlas, size: int) -> Floats:
    """(size, size) float32, 1 well inside the face, 0 on its outline and elsewhere."""
    mask = np.zeros((size, size), np.float32)
    mask[region_slices(size)] = inside_face(atlas, size)
    return mask
