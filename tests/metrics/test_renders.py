"""Renders by lookup: the body shows the texture's colours where they belong, and nothing else moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_textures import grey, noise
from PIL import Image
from shared_data import shared

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.parts import BACK, Part
from uvmap_id.faces.landmarks import FaceFinder
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.body import Body, load_body
from uvmap_id.metrics.face_crop import AtlasFace
from uvmap_id.metrics.renders import BACKGROUND, PLACES, Render


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body()


@pytest.fixture(scope="module")
def renders(body: Body) -> dict[str, Render]:
    return {name: Render(body, name) for name in PLACES}


def test_the_body_stands_on_the_ground(body: Body) -> None:
    low, high = body.vertices.min(axis=0), body.vertices.max(axis=0)
    assert low[2] == pytest.approx(0, abs=0.02)
    assert 1.5 < high[2] < 2.0
    assert set(np.unique(body.materials)) == {0, 1, 2}


@pytest.mark.parametrize("name", list(PLACES))
def test_pictures_have_the_cameras_size_and_background(name: str, renders: dict[str, Render]) -> None:
    picture = renders[name].show(grey(256, 90))
    side = PLACES[name].side
    assert picture.shape == (side, side, 3)
    assert picture.dtype == np.uint8
    assert (picture[0] == BACKGROUND).all()
    assert (picture < BACKGROUND - 60).any()


def test_the_same_texture_gives_the_same_bytes(renders: dict[str, Render]) -> None:
    texture = noise(0, 512)
    first = renders["front"].show(texture)
    renders["front"].show(grey())
    assert (renders["front"].show(texture) == first).all()
    assert (texture == noise(0, 512)).all()


def test_front_and_back_show_their_own_side(atlas: Atlas, renders: dict[str, Render]) -> None:
    texture = grey(512, 120)
    texture[atlas.shows(BACK, 512)] = (255, 0, 0)
    texture[atlas.shows({Part.CHEST, Part.ABDOMEN}, 512)] = (0, 255, 0)
    front, back = (renders[name].show(texture).astype(int) for name in ("front", "back"))
    red = [(picture[..., 0] - picture[..., 1] > 80).sum() for picture in (front, back)]
    green = [(picture[..., 1] - picture[..., 0] > 80).sum() for picture in (front, back)]
    assert red[1] > 50 * max(red[0], 1)
    assert green[0] > 10 * max(green[1], 1)


def test_a_brighter_texture_is_brighter_by_as_much(renders: dict[str, Render]) -> None:
    dark, bright = (renders["face"].show(grey(256, value)).astype(float) for value in (60, 180))
    changed = dark != bright
    # Eyes, mouth and background stay.
    assert 0.2 < changed.mean() < 0.6
    assert np.median(bright[changed] / dark[changed]) == pytest.approx(3, abs=0.1)


def test_faces_are_found_in_both_views(atlas_face: AtlasFace, renders: dict[str, Render], finder: FaceFinder) -> None:
    with Image.open(shared("textures/smplitex_01.png")) as image:
        texture = np.asarray(image.convert("RGB"))
    for view in (atlas_face, renders["face"]):
        faces = finder.find(view.show(texture))
        assert len(faces) == 1, view.title
        across, down = np.ptp(faces[0].points[:, :2], axis=0)
        assert 0.6 < across / down < 1.15, view.title


def test_a_body_of_ones_own(body: Body) -> None:
    own = load_body(shared("smpl/SMPL_male_default_resolution.obj"))
    assert own.vertices[:, 2].min() == pytest.approx(0)
    assert own.vertices[:, 2].max() == pytest.approx(1.75)
    picture = Render(own, "front").show(grey(256, 90))
    assert (picture < BACKGROUND - 60).any()
    assert (picture[0] == BACKGROUND).all()


def test_what_is_no_body_is_refused(tmp_path: Path) -> None:
    (tmp_path / "body.obj").write_text("no body")
    with pytest.raises(UVMapError) as caught:
        load_body(tmp_path / "body.obj")
    assert caught.value.failure.code == ErrorCode.BODY_UNREADABLE
