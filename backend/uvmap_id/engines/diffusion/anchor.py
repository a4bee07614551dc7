"""The photo's face, projected into the atlas, as what the model's picture is anchored to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uvmap_id.atlas.face import region_slices
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.warp import inside_face
from uvmap_id.pictures import Floats


@dataclass(frozen=True, slots=True)
class ProjectedFace:
    """What the projection engine made of the same request.

    Attributes:
        texture: (S, S, 3) float32 sRGB 0..1, the whole texture at the size of the maps.
        mask: (S, S) float32, 1 well inside the face, 0 on its outline and elsewhere.
        anchor: How firmly it holds the model's picture, 0 to 1.
    """

    texture: Floats
    mask: Floats
    anchor: float


def face_mask(atlas: Atlas, size: int) -> Floats:
    """(size, size) float32, 1 well inside the face, 0 on its outline and elsewhere."""
    mask = np.zeros((size, size), np.float32)
    mask[region_slices(size)] = inside_face(atlas, size)
    return mask
