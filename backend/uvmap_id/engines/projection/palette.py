"""What the colours of a photo are: skin, hair, or something else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.engines.projection.colour import from_lab, to_lab, to_linear
from uvmap_id.engines.projection.warp import WarpedFace
from uvmap_id.faces.landmarks import FaceLandmarks
from uvmap_id.pictures import Floats, resize, scale

_WORKING_SIDE = 192
_FACE_PIXELS = 160  # The photo is looked at with the face so wide.
_CORE = 0.03  # Atlas units inside the outline where nearly everything is skin.
_FEWEST = 60  # Pixels that make a colour.
_FEWEST_SHARE = 0.12  # of the person above and beside the face, that must be hair if there is any.
_KEPT = 80  # Percent of the samples that are nearest to their median: the rest may be something else.
_FLOOR = np.array([6.0, 3.0, 3.0])  # Standard deviations of Lab below which no colour is known.
_ANYTHING = 1 / (100 * 60 * 60)  # Density of whatever else there is, over all of Lab.
_STRANDS = 16
_LEAST_LIKE, _ROUNDS = 0.4, 4
# How far the middle of hair is from that of skin, at least: a bald head shines, so lighter colours count later.
_UNLIKE, _UNLIKE_LIGHTER = 8.0, 14.0


@dataclass(frozen=True, slots=True)
class Shade:
    """A cloud of colours in Lab: a normal distribution.

    Attributes:
        mean: (3,).
        spread: (3, 3) its covariance.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, lab: Floats) -> Self:
        """Fit it to colours, (N, 3), of which a part may be something else."""
        distance = np.linalg.norm((lab - np.median(lab, axis=0)) * [0.5, 1, 1], axis=1)
        kept = lab[distance <= np.percentile(distance, _KEPT)].astype(np.float64)
        return cls(kept.mean(axis=0), np.cov(kept.T) * 1.5 + np.diag(_FLOOR**2))

    def away(self, other: Shade) -> float:
        """CIE76 between the middles of two clouds, where lightness counts half."""
        return float(np.linalg.norm((other.mean - self.mean) * [0.5, 1, 1]))

    def in_light(self, factor: float) -> Shade:
        """The same colours in so many times the light."""
        return Shade(to_lab(from_lab(self.mean[None]) * factor)[0].astype(np.float64), self.spread)

    def density(self, lab: Floats) -> Floats:
        """(...) how often a colour (..., 3) is met."""
        away = lab - self.mean
        exponent = np.einsum("...i,ij,...j->...", away, np.linalg.inv(self.spread), away)
        return np.exp(-0.5 * exponent) / np.sqrt((2 * np.pi) ** 3 * np.linalg.det(self.spread))


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of skin and of hair in one photo.

    Attributes:
        skin: Of the face.
        hair: Around the face, or None where no hair is seen.
        strands: (N, 3) changes of Lab from the hair's darkest to its lightest strands; empty where none is seen.
    """

    skin: Shade
    hair: Shade | None
    strands: Floats = field(default_factory=lambda: np.zeros((0, 3), np.float32))

    def skin_share(self, lab: Floats) -> Floats:
        """(...) probability that a colour (..., 3) is skin."""
        return self._share(self.skin, lab)

    def hair_share(self, lab: Floats) -> Floats:
        """(...) probability that a colour (..., 3) is hair."""
        return np.zeros(lab.shape[:-1], np.float32) if self.hair is None else self._share(self.hair, lab)

    def in_light(self, factor: float) -> Palette:
        """The same colours in so many times the light."""
        hair = None if self.hair is None else self.hair.in_light(factor)
        return Palette(self.skin.in_light(factor), hair, self.strands)

    def _share(self, chosen: Shade, lab: Floats) -> Floats:
        every = sum(shade.density(lab) for shade in (self.skin, self.hair) if shade is not None)
        return (chosen.density(lab) / (every + _ANYTHING)).astype(np.float32)


def read_palette(photo: NDArray[np.uint8], face: FaceLandmarks, person: Floats, warped: WarpedFace) -> Palette:
    """Measure skin inside the face, and hair above and beside it.

    Args:
        photo: (H, W, 3) uint8 sRGB.
        face: Its landmarks.
        person: (H, W) 1 on the person, 0 on the background.
        warped: The same face in the atlas, in the photo's light.
    """
    skin = Palette(Shade.of(_skin_colours(warped)), None)
    around = _colours_around(photo, face, person)
    return skin if len(around) < _FEWEST else _with_hair(skin.skin, around)


def _with_hair(skin: Shade, around: Floats) -> Palette:
    """Tell hair from skin in colours above the face, (N, 3) Lab, starting from what is least like skin."""
    density = skin.density(around)
    hair, chosen = Shade.of(around[density <= np.quantile(density, _LEAST_LIKE)]), around
    for _ in range(_ROUNDS):
        chosen = around[Palette(skin, hair).hair_share(around) > 0.5]
        if len(chosen) < max(_FEWEST, _FEWEST_SHARE * len(around)):
            return Palette(skin, None)
        hair = Shade.of(chosen)
    least = _UNLIKE_LIGHTER if hair.mean[0] > skin.mean[0] else _UNLIKE
    return Palette(skin, hair, _strands(chosen, hair)) if skin.away(hair) > least else Palette(skin, None)


def _strands(lab: Floats, hair: Shade) -> Floats:
    """(N, 3) see `Palette.strands`, of colours of hair, (M, 3)."""
    ordered = lab[np.argsort(lab[:, 0], kind="stable")]
    steps = np.stack([part.mean(axis=0) for part in np.array_split(ordered, _STRANDS)])
    return (steps - hair.mean).astype(np.float32)


def _skin_colours(warped: WarpedFace) -> Floats:
    square = (_WORKING_SIDE, _WORKING_SIDE)
    inner = (resize(warped.depth, square) > _CORE) & (resize(warped.features, square) < 0.1)
    shown = inner & (resize(warped.seen, square) > 0.5)
    return to_lab(resize(warped.colour, square)[shown if shown.sum() > _FEWEST else inner])


def _colours_around(photo: NDArray[np.uint8], face: FaceLandmarks, person: Floats) -> Floats:
    """(N, 3) Lab of the person above the face and beside the forehead."""
    low, high = face.points[:, :2].min(axis=0), face.points[:, :2].max(axis=0)
    factor = min(1.0, _FACE_PIXELS / float(high[0] - low[0]))
    width, height = high - low
    top, bottom = max(0, int(low[1] - 0.3 * height)), max(1, int(low[1] + 0.25 * height))
    left, right = max(0, int(low[0] - 0.12 * width)), max(1, int(high[0] + 0.12 * width))
    window = (slice(top, bottom), slice(left, right))
    colours, sure = scale(photo[window], factor), scale(person[window], factor)
    # Where the mask of the person ends is uncertain by a few pixels.
    inner = cv2.erode((sure > 0.9).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return to_lab(to_linear(colours[inner])) if inner.any() else np.zeros((0, 3), np.float32)
