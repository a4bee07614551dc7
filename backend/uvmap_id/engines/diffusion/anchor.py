"""What the model's picture is anchored to: the projected face, and an existing texture outside of a region."""

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
from uvmap_id.engines.region import OldTexture
from uvmap_id.link.request import TextureRequest
from uvmap_id.pictures import Floats, resize
from uvmap_id.pipelines.anchor import Anchor

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


def make_anchor(atlas: Atlas, face: ProjectedFace | None, old: OldTexture | None, side: int) -> Anchor | None:
    """What holds the model's picture of `side` x `side` pixels, if anything.

    An existing texture is held wherever nothing may change, so that what is painted beside it fits. Within the region
    the face is held as firmly as its anchor says.
    """
    held = None if face is None else face_mask(atlas, side).astype(np.float32)
    picture = None if face is None else resize(face.texture, (side, side)).astype(np.float32)
    if old is None:
        return None if face is None or picture is None or held is None else Anchor(picture[None], held, face.anchor)
    inside = resize((old.share > 0).astype(np.float32), (side, side)).astype(np.float32)
    base = resize(old.base_color, (side, side)).astype(np.float32) / 255
    mask = 1 - inside
    if face is not None and picture is not None and held is not None:
        within = held * inside
        base = base + within[..., None] * (picture - base)
        mask = np.maximum(mask, within * np.float32(face.anchor))
    # A region is to become something else: nothing of what was there shapes it.
    return Anchor(base.astype(np.float32)[None], mask.astype(np.float32), 1.0, structure=0.0)
