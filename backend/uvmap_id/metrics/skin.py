"""Whether a texture's skin is the photo's: CIEDE2000 between the cheeks of the one and the skin of the other."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.parts import FOREARMS, HANDS, Part
from uvmap_id.faces.landmarks import FaceFinder
from uvmap_id.faces.photo import read_photo
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Sample
from uvmap_id.metrics.comparison import ciede2000, median_lab
from uvmap_id.metrics.means import MeanMetric, square_texture
from uvmap_id.metrics.photos import OncePerPhoto
from uvmap_id.pictures import resize

CHEEKS = (50, 280, 205, 425, 101, 330)  # mediapipe's numbers
BODY_SKIN = (frozenset({Part.NECK}), FOREARMS, HANDS)
_CHEEK_REACH = 0.045  # of the distance between the eyes' outer corners
_ATLAS_CHEEK_REACH = 0.008  # atlas units
_LARGEST = 512


class SkinDifference(MeanMetric):
    """CIEDE2000 between the photo's cheeks and the texture's skin.

    Four places are measured, each by its median: cheeks, neck, forearms, hands. The lower median of their distances
    counts, so that sleeves and gloves, or a scarf, are not held against the skin.
    """

    name = "skin"
    title = "Skin difference"
    unit = "CIEDE2000"
    higher_is_better = False

    def __init__(self, atlas: Atlas, finder: FaceFinder) -> None:
        """`finder` looks at the photos."""
        super().__init__()
        self._atlas = atlas
        self._photos = OncePerPhoto(lambda content: photo_cheeks(content, finder))
        self._places: dict[int, list[NDArray[np.bool_]]] = {}

    def score(self, sample: Sample) -> float:
        """See `MeanMetric.score`."""
        texture = square_texture(sample)
        if texture.shape[0] > _LARGEST:
            texture = resize(texture, (_LARGEST, _LARGEST))
        cheeks = self._photos.of(sample)
        return statistics.median_low(skin_differences(cheeks, texture, self._masks(texture.shape[0])))

    def _masks(self, size: int) -> list[NDArray[np.bool_]]:
        if size not in self._places:
            body = [self._atlas.shows(parts, size) for parts in BODY_SKIN]
            self._places[size] = [atlas_cheeks(self._atlas, size), *body]
        return self._places[size]


def skin_differences(
    cheeks: NDArray[np.float64], texture: NDArray[np.uint8], places: Iterable[NDArray[np.bool_]]
) -> list[float]:
    """CIEDE2000 between a colour, (3,) Lab, and the median of (S, S, 3) sRGB in each of some (S, S) masks."""
    return [ciede2000(cheeks, median_lab(texture[place])) for place in places]


def photo_cheeks(content: bytes, finder: FaceFinder) -> NDArray[np.float64]:
    """(3,) Lab: the cheeks of the largest face in a photo's file.

    Raises:
        UVMapError: face_not_found, or what is wrong with the photo's file.
    """
    image = read_photo(content)
    faces = finder.find(image)
    if not faces:
        raise UVMapError(
            ErrorCode.FACE_NOT_FOUND,
            "No face was found in the photo that the texture was made from.",
            "Choose a photo that shows one face from the front.",
        )
    reach = max(2, round(_CHEEK_REACH * faces[0].eye_distance))
    return cheek_colour(image, faces[0].points[:, :2], reach)


def cheek_colour(image: NDArray[np.uint8], points: NDArray[np.floating], reach: int) -> NDArray[np.float64]:
    """(3,) Lab: the median over squares of 2 `reach` pixels about the landmarks `CHEEKS` of `points`, (478, 2)."""
    height, width = image.shape[:2]
    places = np.clip(points[list(CHEEKS)].astype(int), 0, [width - 1, height - 1])
    patches = [
        image[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach].reshape(-1, 3) for x, y in places.tolist()
    ]
    return median_lab(np.concatenate(patches))


def atlas_cheeks(atlas: Atlas, size: int) -> NDArray[np.bool_]:
    """(size, size) true on the texels about the landmarks `CHEEKS`."""
    mask = np.zeros((size, size), bool)
    reach = max(1, round(_ATLAS_CHEEK_REACH * size))
    for x, y in (atlas.landmarks[list(CHEEKS)] * [1, -1] * size + [0, size]).astype(int).tolist():
        mask[y - reach : y + reach, x - reach : x + reach] = True
    return mask
