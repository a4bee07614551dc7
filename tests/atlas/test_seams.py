"""Both sides of a seam are the same place of the body, and a step over it is told from a step beside it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from shared_data import shared

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.seams import seam_step
from uvmap_id.pictures import sample


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.load()


def at(image: NDArray[np.float32], uvs: NDArray[np.float32]) -> NDArray[np.float32]:
    size = image.shape[0]
    return sample(image, uvs * [1, -1] * size + [0, size])


@pytest.mark.parametrize("size", [512, 2048])
def test_both_sides_are_the_same_place_of_the_body(atlas: Atlas, size: int) -> None:
    places = at(atlas.position(size), atlas.seams.pairs(1 / 512))
    apart = np.linalg.norm(places[:, 0] - places[:, 1], axis=-1)
    assert np.median(apart) < 0.0005
    assert np.percentile(apart, 90) < 0.003
    assert np.percentile(apart, 98) < 0.012  # the slit of the crotch and the webs of the fingers


def test_both_sides_face_the_same_way(atlas: Atlas) -> None:
    normals = at(atlas.normal(1024), atlas.seams.pairs(1 / 512))
    assert np.percentile((normals[:, 0] * normals[:, 1]).sum(axis=-1), 10) > 0.9


def test_pairs_lie_on_the_islands_edges_and_inset_ones_inside(atlas: Atlas) -> None:
    size = 2048
    used = atlas.mask(size).astype(np.float32)
    inside, outside = (at(used, atlas.seams.pairs(1 / 512, inset)) for inset in (2 / size, -3 / size))
    assert (inside > 0.5).mean() > 0.98
    assert (outside < 0.5).mean() > 0.85  # Narrow gaps lead to another island.


def test_the_spacing_is_kept(atlas: Atlas) -> None:
    few, many = atlas.seams.pairs(1 / 256), atlas.seams.pairs(1 / 1024)
    assert few.shape[1:] == (2, 2)
    assert few.dtype == np.float32
    assert 3 < len(many) / len(few) < 5
    assert few.min() >= 0
    assert few.max() <= 1


def test_the_seams_join_every_island(atlas: Atlas) -> None:
    islands = atlas.islands(1024)
    uvs = atlas.seams.pairs(1 / 512, 2 / 1024)
    columns, rows = (uvs * [1, -1] * 1024 + [0, 1024]).astype(int).transpose(2, 0, 1)
    sides = islands[rows, columns]
    joined = {tuple(sorted(pair)) for pair in sides.tolist() if pair[0] != pair[1] and all(pair)}
    reached = {1}
    for _ in range(11):
        reached |= {number for pair in joined if set(pair) & reached for number in pair}
    assert reached == set(range(1, 11))


def painted_on_the_body(atlas: Atlas, frequency: float) -> NDArray[np.float32]:
    return np.sin(atlas.position(1024) * frequency) * 80 + 120


@pytest.mark.parametrize("frequency", [5, 20, 60])
def test_what_is_painted_in_the_bodys_space_has_no_step(atlas: Atlas, frequency: float) -> None:
    waves = painted_on_the_body(atlas, frequency).astype(np.uint8)
    step = seam_step(waves, atlas.seams, atlas.mask(1024))
    assert step.inside > 0.2
    assert step.ratio < 1.2


def test_an_island_in_another_colour_is_seen(atlas: Atlas) -> None:
    waves, used = painted_on_the_body(atlas, 20), atlas.mask(1024)
    even = seam_step(waves.astype(np.uint8), atlas.seams, used)
    uneven = waves + 5.0 * atlas.islands(1024)[..., None]
    stepped = seam_step(uneven.astype(np.uint8), atlas.seams, used)
    assert stepped.inside == pytest.approx(even.inside, rel=0.1)
    assert stepped.ratio > 1.3 * even.ratio


def test_one_colour_has_no_seams(atlas: Atlas) -> None:
    step = seam_step(np.full((512, 512, 3), 90, np.uint8), atlas.seams, atlas.mask(512))
    assert (step.across, step.inside) == pytest.approx((0, 0), abs=1e-5)
    assert step.ratio == 1


def test_the_seams_of_a_published_texture_are_worse_than_its_insides(atlas: Atlas) -> None:
    image = np.asarray(Image.open(shared("textures/smplitex_01.png")).convert("RGB"))
    assert seam_step(image, atlas.seams, atlas.mask(image.shape[0])).ratio > 1.5
