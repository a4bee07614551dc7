"""Seams, sharpness, skin and anchor: answers that are known, at any size of the texture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from made_textures import grey, noise
from numpy.typing import NDArray

from uvmap_id.atlas.face import region_slices
from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.parts import FOREARMS, HANDS, HEAD, Part
from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.faces.landmarks import FaceFinder
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.anchor import AnchorFidelity
from uvmap_id.metrics.base import Sample, SampleMetric
from uvmap_id.metrics.comparison import ciede2000, median_lab
from uvmap_id.metrics.means import MeanMetric
from uvmap_id.metrics.photos import OncePerPhoto
from uvmap_id.metrics.skin import CHEEKS, SkinDifference, cheek_colour
from uvmap_id.metrics.surface import SeamStepRatio, Sharpness


@pytest.fixture(scope="module")
def seams(atlas: Atlas) -> SeamStepRatio:
    return SeamStepRatio(atlas)


@pytest.fixture(scope="module")
def sharpness(atlas: Atlas) -> Sharpness:
    return Sharpness(atlas)


@pytest.fixture(scope="module")
def skin(atlas: Atlas, finder: FaceFinder) -> SkinDifference:
    return SkinDifference(atlas, finder)


@pytest.fixture(scope="module")
def engine() -> ProjectionEngine:
    return ProjectionEngine()


@pytest.mark.parametrize("size", [256, 512, 1000])
def test_one_colour_has_no_seams_and_no_edges(size: int, seams: SeamStepRatio, sharpness: Sharpness) -> None:
    sample = Sample("grey", grey(size))
    assert seams.score(sample) == 1
    assert sharpness.score(sample) == 0


def test_islands_of_other_colours_show_their_seams(atlas: Atlas, seams: SeamStepRatio) -> None:
    shades = np.linspace(40, 220, 16).astype(np.uint8)
    texture = np.repeat(shades[atlas.islands(512)][..., None], 3, axis=2)
    assert seams.score(Sample("islands", texture)) > 8


def test_noise_hides_seams(seams: SeamStepRatio) -> None:
    assert seams.score(Sample("noise", noise(0, 512))) == pytest.approx(1, abs=0.05)


def test_sharpness_is_the_variance_of_the_laplacian(sharpness: Sharpness) -> None:
    # A grey ramp has none; columns of period 2 swing by 4 x their height about it.
    stripes = grey(1024, 100)
    stripes[:, ::2] = 110
    assert sharpness.score(Sample("stripes", stripes)) == pytest.approx(20**2, rel=1e-3)
    ramp = np.repeat((np.arange(1024) // 8).astype(np.uint8)[None, :, None], 1024, axis=0).repeat(3, axis=2)
    assert sharpness.score(Sample("ramp", ramp)) < 1


def test_blur_costs_sharpness_and_enlarging_gains_none(sharpness: Sharpness) -> None:
    sharp = noise(1, 1024)
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 2), np.uint8)
    small = np.asarray(cv2.resize(sharp, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    large = np.asarray(cv2.resize(small, (1024, 1024), interpolation=cv2.INTER_LINEAR), np.uint8)
    scores = [sharpness.score(Sample("s", each)) for each in (sharp, blurred, small, large)]
    assert scores[0] > 100 * scores[1]
    assert scores[2] == pytest.approx(scores[3])


def test_what_lies_beside_the_islands_does_not_count(atlas: Atlas, sharpness: Sharpness) -> None:
    texture = noise(2, 1024)
    texture[cv2.dilate(atlas.mask(1024).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = 128
    assert sharpness.score(Sample("outside", texture)) == 0


def photo_colour(finder: FaceFinder) -> NDArray[np.uint8]:
    """(3,) the median of the astronaut's cheeks, of which skimage has the photo."""
    image = skimage.data.astronaut()
    points = finder.find(image)[0].points[list(CHEEKS), :2].astype(int)
    patches = [image[y - 3 : y + 3, x - 3 : x + 3].reshape(-1, 3) for x, y in points]
    return np.median(np.concatenate(patches), axis=0).astype(np.uint8)


def test_the_photos_skin_is_no_difference(skin: SkinDifference, finder: FaceFinder, astronaut: Path) -> None:
    texture = np.broadcast_to(photo_colour(finder), (512, 512, 3)).copy()
    assert skin.score(Sample("same", texture, photo=astronaut)) < 1
    assert skin.score(Sample("blue", grey() * np.array([0, 0, 1], np.uint8), photo=astronaut)) > 40


def test_sleeves_and_gloves_are_no_skin(
    atlas: Atlas, skin: SkinDifference, finder: FaceFinder, astronaut: Path
) -> None:
    texture = np.broadcast_to(photo_colour(finder), (512, 512, 3)).copy()
    texture[atlas.shows(FOREARMS | HANDS, 512)] = (20, 20, 200)
    assert skin.score(Sample("dressed", texture, photo=astronaut)) < 1
    texture[atlas.shows(HEAD | {Part.NECK}, 512)] = (20, 20, 200)
    assert skin.score(Sample("a smurf", texture, photo=astronaut)) > 40


def test_skin_is_the_same_at_any_size(skin: SkinDifference, astronaut: Path) -> None:
    scores = [skin.score(Sample("s", grey(size, 150), photo=astronaut)) for size in (128, 512, 700, 1024)]
    assert scores == pytest.approx([scores[0]] * 4)


def test_a_cheek_at_the_border_is_cut() -> None:
    points = np.full((478, 2), -5.0)
    assert np.isfinite(cheek_colour(noise(0), points, 4)).all()


def test_colours_are_compared_as_published() -> None:
    # From the test data of Sharma, Wu and Dalal (2005).
    assert ciede2000(np.array([50.0, 2.6772, -79.7751]), np.array([50.0, 0.0, -82.7485])) == pytest.approx(
        2.0425, abs=1e-4
    )
    assert median_lab(np.full((5, 3), 255, np.uint8)) == pytest.approx([100, 0, 0], abs=0.01)


def test_the_projection_is_its_own_anchor(atlas: Atlas, engine: ProjectionEngine, astronaut: Path) -> None:
    metric = AnchorFidelity(atlas, engine)
    own = metric._photos.of(Sample("photo", grey(), photo=astronaut))
    assert metric.score(Sample("own", own, photo=astronaut)) == pytest.approx(1)
    mirrored, elsewhere = own.copy(), own.copy()
    rows, columns = region_slices(512)
    mirrored[rows, columns] = own[rows, columns][:, ::-1]
    elsewhere[rows.stop :] = 0
    assert metric.score(Sample("elsewhere", elsewhere, photo=astronaut)) == pytest.approx(1)
    assert 0.2 < metric.score(Sample("mirrored", mirrored, photo=astronaut)) < 0.9
    assert metric.score(Sample("grey", grey(512), photo=astronaut)) < 0.8


def test_all_of_them_are_sample_metrics(seams: SeamStepRatio, sharpness: Sharpness, skin: SkinDifference) -> None:
    assert all(isinstance(metric, SampleMetric) for metric in (seams, sharpness, skin))


def unheard(stage: str, fraction: float, preview: object = None) -> None:
    del stage, fraction, preview


class Brightness(MeanMetric):
    name, title, higher_is_better = "brightness", "Brightness", True

    def score(self, sample: Sample) -> float:
        return float(sample.texture.mean())


def test_figures_are_means_in_any_batches() -> None:
    samples = [Sample(str(value), grey(64, value)) for value in (0, 50, 100, 250)]
    figures = []
    for cut in (4, 3, 1):
        metric = Brightness()
        for start in range(0, 4, cut):
            metric.update(samples[start : start + cut])
        figures.append(metric.compute())
    assert figures[0] == figures[1] == figures[2]
    assert (figures[0].value, figures[0].count) == (100, 4)
    assert figures[0].spread == pytest.approx(np.std([0, 50, 100, 250]))


def test_a_name_stands_for_one_texture() -> None:
    metric = Brightness()
    metric.update([Sample("a", grey())])
    for batch in ([Sample("a", grey())], [Sample("b", grey()), Sample("b", grey())]):
        with pytest.raises(UVMapError, match="twice"):
            metric.update(batch)
    assert metric.compute().count == 1


@pytest.mark.parametrize(
    "texture",
    [np.zeros((64, 32, 3), np.uint8), np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3)), grey(32)],
    ids=["oblong", "grey", "floats", "tiny"],
)
def test_what_is_no_texture_is_named(texture: NDArray[np.uint8], seams: SeamStepRatio) -> None:
    with pytest.raises(UVMapError, match=r"odd\.png") as caught:
        seams.update([Sample("odd.png", texture)])
    assert caught.value.failure.code == ErrorCode.DATASET_UNREADABLE


def test_no_photo_is_named(skin: SkinDifference, tmp_path: Path) -> None:
    for photo in (None, tmp_path / "gone.png"):
        with pytest.raises(UVMapError) as caught:
            skin.score(Sample("a", grey(), photo=photo))
        assert caught.value.failure.code == ErrorCode.DATASET_UNREADABLE


def test_a_photo_is_measured_once(tmp_path: Path) -> None:
    seen: list[bytes] = []
    once = OncePerPhoto(lambda content: seen.append(content) or len(content), remembered=2)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(name.encode() * 3)
    for name in ("a", "a", "b", "a", "c", "a", "b"):
        assert once.of(Sample("s", grey(), photo=tmp_path / name)) == 3
    assert [content[:1] for content in seen] == [b"a", b"b", b"c", b"b"]
