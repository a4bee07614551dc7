"""How much of the photo's face a texture keeps: its face beside what the projection engine makes of the photo."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.face import region_slices
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.engines.projection.warp import inside_face
from uvmap_id.link.request import TextureRequest
from uvmap_id.metrics.base import Sample
from uvmap_id.metrics.comparison import ssim
from uvmap_id.metrics.means import MeanMetric, square_texture
from uvmap_id.metrics.photos import OncePerPhoto
from uvmap_id.pictures import resize

_SIZE = 512
_PROMPT = "wearing white shirt"
_WELL_INSIDE = 0.5


class AnchorFidelity(MeanMetric):
    """SSIM between the texture's face and the photo's face, projected into the atlas; 1 where they are the same.

    Both are compared at 512 x 512, inside the face's outline. The projection evens the photo's light, as the engine
    does by default, so that a texture without the photo's shadows is not held to be worse.
    """

    name = "anchor"
    title = "Anchor fidelity"
    unit = "SSIM"
    higher_is_better = True

    def __init__(self, atlas: Atlas, engine: ProjectionEngine) -> None:
        super().__init__()
        self._engine = engine
        self._photos = OncePerPhoto(self._projected)
        rows, columns = region_slices(_SIZE)
        self._face = np.zeros((_SIZE, _SIZE), bool)
        self._face[rows, columns] = inside_face(atlas, _SIZE) > _WELL_INSIDE

    def score(self, sample: Sample) -> float:
        """See `MeanMetric.score`."""
        texture, wanted = square_texture(sample), self._photos.of(sample)
        return ssim(resize(texture, (_SIZE, _SIZE)), wanted, self._face)

    def _projected(self, content: bytes) -> NDArray[np.uint8]:
        request = TextureRequest(hashlib.sha256(content).hexdigest(), _PROMPT, size=_SIZE)
        return self._engine.generate(request, (content,), _unheard).base_color


def _unheard(stage: str, fraction: float, preview: object = None) -> None:
    del stage, fraction, preview
