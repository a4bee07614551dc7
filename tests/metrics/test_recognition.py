"""DFR and identity: the right face is recognised, another's and none is not, by each recogniser on its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_textures import face_texture, grey, person_photo
from tiny_identity import scene, write_models
from tiny_sface import write_sface

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Sample
from uvmap_id.metrics.face_crop import AtlasFace
from uvmap_id.metrics.identity import IdentitySimilarity
from uvmap_id.metrics.recognisers import ArcFace, FaceRecogniser, SFace
from uvmap_id.metrics.recognition import FaceRecognition


@pytest.fixture(scope="module")
def arcface(tmp_path_factory: pytest.TempPathFactory) -> ArcFace:
    return ArcFace(write_models(tmp_path_factory.mktemp("buffalo_l")))


@pytest.fixture(params=["sface", "arcface"])
def recogniser(request: pytest.FixtureRequest) -> FaceRecogniser:
    return request.getfixturevalue(request.param)


@pytest.fixture
def make(recogniser: FaceRecogniser, atlas_face: AtlasFace, tmp_path: Path):
    """A sample that is to show one person and shows another; nobody for a negative number."""

    def sample(wanted: int, shown: int, copy: int = 0) -> Sample:
        texture = face_texture(shown, atlas_face, 0 if recogniser.name == "sface" else 640)
        photo = person_photo(wanted, tmp_path / f"{wanted}.png")
        return Sample(f"{wanted}-{shown}-{copy}", texture, identity=f"person {wanted}", photo=photo)

    return sample


def test_all_right_faces_are_1000(make, recogniser: FaceRecogniser, atlas_face: AtlasFace) -> None:
    metric = FaceRecognition(recogniser, atlas_face)
    metric.update([make(looks, looks) for looks in (1, 2, 3)])
    figure = metric.compute()
    assert (figure.value, figure.spread, figure.count, figure.unit) == (1000, 0, 3, "of 1000")
    assert min(figure.scores.values()) > 0.95
    assert "3 of 3 textures of 3 identities" in figure.notes[0]


def test_others_and_nobody_are_not_recognised(make, recogniser: FaceRecogniser, atlas_face: AtlasFace) -> None:
    metric = FaceRecognition(recogniser, atlas_face)
    metric.update([make(1, 1)])
    metric.update([make(1, 1, 1), make(1, 2), make(2, -1)])
    figure = metric.compute()
    assert figure.value == 500
    # Of the first identity two thirds, of the second none.
    assert figure.spread == pytest.approx(1000 / 3)
    assert "2--1-0" not in figure.scores
    assert any("In 1 textures no face is found" in note for note in figure.notes)


def test_strangers_are_counted(make, recogniser: FaceRecogniser, atlas_face: AtlasFace) -> None:
    metric = FaceRecognition(recogniser, atlas_face)
    metric.update([make(1, 1), make(2, 2)])
    assert any(note.startswith("0.0 % of the comparisons") for note in metric.compute().notes)
    swapped = FaceRecognition(recogniser, atlas_face)
    swapped.update([make(1, 2), make(2, 1)])
    figure = swapped.compute()
    assert figure.value == 0
    assert any(note.startswith("100.0 % of the comparisons") for note in figure.notes)


def test_one_identity_says_so(make, recogniser: FaceRecogniser, atlas_face: AtlasFace) -> None:
    metric = FaceRecognition(recogniser, atlas_face)
    metric.update([make(1, 1)])
    figure = metric.compute()
    assert figure.spread is None
    assert any("one identity only" in note for note in figure.notes)


def test_only_the_model_that_conditions_is_circular(make, recogniser: FaceRecogniser, atlas_face: AtlasFace) -> None:
    metric = FaceRecognition(recogniser, atlas_face)
    metric.update([make(1, 1)])
    assert any("circular" in note for note in metric.compute().notes) == (recogniser.name == "arcface")


def test_similarity_is_the_cosine(make, recogniser: FaceRecogniser, atlas_face: AtlasFace) -> None:
    metric = IdentitySimilarity(recogniser, atlas_face)
    assert metric.name == f"identity_{recogniser.name}_atlas"
    right, wrong = metric.score(make(1, 1)), metric.score(make(1, 2))
    one, other = recogniser.embed(scene((1, 2, 6, 6))), recogniser.embed(scene((2, 2, 6, 6)))
    assert one is not None
    assert other is not None
    assert right > 0.95
    assert wrong == pytest.approx(float(one @ other), abs=0.05)


def test_a_texture_without_a_face_has_no_similarity(make, recogniser: FaceRecogniser, atlas_face: AtlasFace) -> None:
    with pytest.raises(UVMapError) as caught:
        IdentitySimilarity(recogniser, atlas_face).score(make(1, -1))
    assert caught.value.failure.code == ErrorCode.FACE_NOT_FOUND


def test_batches_make_no_difference(make, recogniser: FaceRecogniser, atlas_face: AtlasFace) -> None:
    samples = [make(1, 1), make(1, 2), make(2, 2), make(3, -1)]
    figures = []
    for cut in (4, 1):
        metric = FaceRecognition(recogniser, atlas_face)
        for start in range(0, 4, cut):
            metric.update(samples[start : start + cut])
        figures.append(metric.compute())
    assert figures[0] == figures[1]


def test_an_embedding_stands_for_a_photo_with_its_own_recogniser_only(
    arcface: ArcFace, sface: SFace, atlas_face: AtlasFace
) -> None:
    embedding = arcface.embed(scene((1, 2, 6, 6)))
    assert embedding is not None
    sample = Sample("a", face_texture(1, atlas_face, 640), identity="a", embedding=embedding)
    metric = FaceRecognition(arcface, atlas_face)
    metric.update([sample])
    assert metric.compute().value == 1000
    with pytest.raises(UVMapError, match="no photo") as caught:
        FaceRecognition(sface, atlas_face).update([sample])
    assert caught.value.failure.code == ErrorCode.DATASET_UNREADABLE


def test_what_is_missing_is_named(sface: SFace, atlas_face: AtlasFace, tmp_path: Path) -> None:
    metric = FaceRecognition(sface, atlas_face)
    photo = person_photo(1, tmp_path / "1.png")
    for sample in (Sample("a", grey(), photo=photo), Sample("a", grey(), identity="a")):
        with pytest.raises(UVMapError) as caught:
            metric.update([sample])
        assert caught.value.failure.code == ErrorCode.DATASET_UNREADABLE
    with pytest.raises(UVMapError) as caught:
        metric.compute()
    assert caught.value.failure.code == ErrorCode.DATASET_EMPTY


def test_a_photo_without_a_face_is_named_and_read_once(sface: SFace, atlas_face: AtlasFace, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((640, 640, 3), np.uint8)).save(tmp_path / "black.png")
    metric = FaceRecognition(sface, atlas_face)
    for name in "ab":
        with pytest.raises(UVMapError) as caught:
            metric.update([Sample(name, grey(), identity="a", photo=tmp_path / "black.png")])
        assert caught.value.failure.code == ErrorCode.FACE_NOT_FOUND


def test_missing_and_damaged_models_are_named(tmp_path: Path) -> None:
    detector, recogniser = write_sface(tmp_path)
    with pytest.raises(UVMapError) as caught:
        SFace(detector, tmp_path / "none.onnx")
    assert caught.value.failure.code == ErrorCode.WEIGHTS_INCOMPLETE
    recogniser.write_bytes(b"no model")
    with pytest.raises(UVMapError) as caught:
        SFace(detector, recogniser)
    assert caught.value.failure.code == ErrorCode.WEIGHTS_INVALID


def test_large_pictures_are_brought_to_yunets_size(sface: SFace) -> None:
    picture = scene((1, 2, 6, 6))
    enlarged = picture.repeat(2, axis=0).repeat(2, axis=1)
    one, other = sface.embed(picture), sface.embed(enlarged)
    assert one is not None
    assert other is not None
    assert float(one @ other) > 0.99
