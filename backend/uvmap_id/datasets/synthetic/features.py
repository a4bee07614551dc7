"""Where a synthetic person's features lie in the atlas: the landmarks, moved as far as the traits say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.datasets.synthetic.identity import Identity
from uvmap_id.faces.landmarks import LEFT_EYE, RIGHT_EYE

Points = NDArray[np.float64]

# mediapipe's numbering; from the outer to the inner end, upper and lower edge.
_RIGHT_BROW = ((70, 63, 105, 66, 107), (46, 53, 52, 65, 55))
_LEFT_BROW = ((300, 293, 334, 296, 336), (276, 283, 282, 295, 285))
_UPPER_LIP = ((61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291), (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308))
_LOWER_LIP = ((61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291), (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308))
# The middle, then its four rims, so that both eyes' points are mirror images.
_IRISES = ((468, 469, 470, 471, 472), (473, 476, 475, 474, 477))
# Of an eye's sixteen points, which begin at the outer corner below the eye: the upper lid's.
_UPPER_LID = (0, 15, 14, 13, 12, 11, 10, 9, 8)
_BROW_THICKNESS = np.array([0.0018, 0.0040, 0.0053, 0.0057, 0.0044])


@dataclass(frozen=True, slots=True)
class Eye:
    """One eye.

    Attributes:
        ring: (16, 2) UVs of the lids' edges, from the outer corner below the eye to the inner corner and back above.
        iris: (2,) its middle.
        radius: (2,) of the iris, in u and in v.
        side: -1 for the right eye, 1 for the left one: where the outer corner lies in u.
    """

    ring: Points
    iris: Points
    radius: Points
    side: int

    @property
    def upper(self) -> Points:
        """(9, 2) the upper lid's edge, from the outer corner to the inner one."""
        return self.ring[list(_UPPER_LID)]

    @property
    def lower(self) -> Points:
        """(9, 2) the lower lid's edge, from the outer corner to the inner one."""
        return self.ring[:9]


@dataclass(frozen=True, slots=True)
class Brow:
    """One brow: its middle line, (5, 2) UVs from the outer end to the inner one, and half its height there, (5,)."""

    line: Points
    half: Points
    side: int


@dataclass(frozen=True, slots=True)
class Features:
    """What is drawn into the face.

    Attributes:
        points: (478, 2) the landmarks as they are in the atlas.
        eyes: The right one and the left one.
        brows: Likewise.
        upper_lip: (11, 2) its upper edge from the right corner to the left one.
        lower_lip: (11, 2) its lower edge.
        mouth: (11, 2) the line between the lips.
    """

    points: Points
    eyes: tuple[Eye, Eye]
    brows: tuple[Brow, Brow]
    upper_lip: Points
    lower_lip: Points
    mouth: Points

    @property
    def lips(self) -> Points:
        """(22, 2) the outline of both lips."""
        return np.concatenate([self.upper_lip, self.lower_lip[::-1]])

    @property
    def axis(self) -> float:
        """The u of the face's middle."""
        return float(self.points[168, 0])


def features(person: Identity, landmarks: NDArray[np.floating]) -> Features:
    """Move the atlas's landmarks, (478, 2) UVs, as the person's traits say."""
    points = symmetric(np.asarray(landmarks, np.float64))
    upper, lower, mouth = _lips(person, points)
    return Features(
        points,
        (_eye(person, points, RIGHT_EYE, _IRISES[0], -1), _eye(person, points, LEFT_EYE, _IRISES[1], 1)),
        (_brow(person, points, _RIGHT_BROW, -1), _brow(person, points, _LEFT_BROW, 1)),
        upper,
        lower,
        mouth,
    )


def symmetric(points: Points) -> Points:
    """Eyes, brows and lips with both sides alike; the other landmarks as they are."""
    pairs = [*zip(RIGHT_EYE, LEFT_EYE, strict=True), *zip(*_IRISES, strict=True)]
    pairs += [pair for one, other in zip(_RIGHT_BROW, _LEFT_BROW, strict=True) for pair in zip(one, other, strict=True)]
    pairs += [(line[k], line[-1 - k]) for line in (*_UPPER_LIP, *_LOWER_LIP) for k in range(5)]
    middle, even = np.array([points[168, 0], 0.0]), points.copy()
    flip = np.array([-1.0, 1.0])
    for right, left in pairs:
        shared = (points[left] - middle + flip * (points[right] - middle)) / 2
        even[left], even[right] = middle + shared, middle + flip * shared
    return even


def _eye(person: Identity, points: Points, ring: tuple[int, ...], iris: tuple[int, ...], side: int) -> Eye:
    outline = points[list(ring)]
    middle = outline.mean(axis=0)
    outline = middle + (outline - middle) * [1, 1 + 0.07 * person["eye_open"]]
    rim = points[list(iris[1:])]
    radius = np.array([np.ptp(rim[:, 0]), np.ptp(rim[:, 1])]) / 2
    return Eye(outline, points[iris[0]], radius * (1 + 0.08 * person["iris_size"]), side)


def _brow(person: Identity, points: Points, rows: tuple[tuple[int, ...], tuple[int, ...]], side: int) -> Brow:
    line = (points[list(rows[0])] + points[list(rows[1])]) / 2
    along = np.linspace(0, 1, 5)
    arch = np.array([0.1, 0.85, 1.0, 0.55, 0.0])
    lift = 0.006 * person["brow_height"] + 0.0055 * person["brow_arch"] * arch
    lift += 0.006 * (person["brow_tilt"] - 0.7) * (0.5 - along)
    reach = 1 + 0.14 * person["brow_length"]
    moved = line[4] + (line - line[4]) * [reach, 1.0] + np.stack([np.zeros(5), lift], axis=1)
    strong = (1.12 if person.gender == "man" else 0.72) * (1 + 0.4 * person["brow_weight"])
    return Brow(moved, _BROW_THICKNESS * strong, side)


def _lips(person: Identity, points: Points) -> tuple[Points, Points, Points]:
    mouth = (points[list(_UPPER_LIP[1])] + points[list(_LOWER_LIP[1])]) / 2
    wide = np.array([1 + 0.10 * person["lip_width"], 1.0])
    fuller = 0.12 if person.group == "african" else 0.0
    edges = []
    for rows, fullness in ((_UPPER_LIP, person["upper_lip"]), (_LOWER_LIP, person["lower_lip"])):
        edge = mouth + (points[list(rows[0])] - mouth) * [1.0, 1.12 + fuller + 0.28 * fullness]
        edges.append(mouth[5] + (edge - mouth[5]) * wide)
    return edges[0], edges[1], mouth[5] + (mouth - mouth[5]) * wide
