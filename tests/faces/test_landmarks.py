"""Faces are found where they are, the largest first."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from uvmap_id.faces.landmarks import LANDMARK_COUNT, FaceFinder
from uvmap_id.faces.person import PersonFinder


@pytest.fixture(scope="module")
def finder() -> Iterator[FaceFinder]:
    with FaceFinder() as finder:
        yield finder


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return skimage.data.astronaut()


def test_the_portrait_has_one_face_in_its_place(finder: FaceFinder, portrait: NDArray[np.uint8]) -> None:
    (face,) = finder.find(portrait)
    assert face.points.shape == (LANDMARK_COUNT, 3)
    # The eyes, the tip of the nose and the corners of the mouth, read off the photo by eye.
    for landmark, place in {33: (191, 102), 263: (252, 103), 4: (224, 125), 61: (204, 140), 291: (245, 139)}.items():
        assert np.linalg.norm(face.points[landmark, :2] - place) < 6


def test_a_small_face_in_a_large_photo_is_found(finder: FaceFinder, portrait: NDArray[np.uint8]) -> None:
    scene = np.full((1600, 2400, 3), 150, np.uint8)
    scene[900:1412, 1500:2012] = portrait
    (face,) = finder.find(scene)
    assert np.linalg.norm(face.points[4, :2] - [1724, 1025]) < 6


def test_of_two_faces_the_larger_comes_first(finder: FaceFinder, portrait: NDArray[np.uint8]) -> None:
    small = cv2.resize(portrait, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    scene = np.full((512, 860, 3), 150, np.uint8)
    scene[:307, :307] = small
    scene[:, 330:842] = portrait
    first, second = finder.find(scene)
    assert first.points[4, 0] > 330 > second.points[4, 0]
    assert first.eye_distance == pytest.approx(second.eye_distance / 0.6, rel=0.08)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "brick"])
def test_no_face_where_there_is_none(finder: FaceFinder, name: str) -> None:
    image = getattr(skimage.data, name)()
    assert finder.find(image if image.ndim == 3 else np.dstack([image] * 3)) == []


def test_the_person_is_told_from_the_background(portrait: NDArray[np.uint8]) -> None:
    mask = PersonFinder().mask(portrait)
    assert mask.shape == portrait.shape[:2]
    assert mask[120, 224] > 0.95  # nose
    assert mask[40, 215] > 0.9  # hair
    assert mask[60, 60] < 0.1  # wall
