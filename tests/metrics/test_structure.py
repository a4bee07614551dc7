"""SSP: a perfect parse gives 0, a permuted one the share of what was permuted, and damaged parsers are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from made_textures import grey
from tiny_parsers import CLASSES, class_of_parts, painted, write_colour_parser, write_segformer

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.parts import FEET, LEGS, PELVIS, Part
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Sample
from uvmap_id.metrics.parsers import load_parser
from uvmap_id.metrics.parsing_classes import KNOWN_CLASSES
from uvmap_id.metrics.structure import SemanticStructure

_ATR = """Background Hat Hair Sunglasses Upper-clothes Skirt Pants Dress Belt Left-shoe Right-shoe Face Left-leg
Right-leg Left-arm Right-arm Bag Scarf"""
ATR: list[str] = [*_ATR.split()]


@pytest.fixture(scope="module")
def parser_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colour_parser(tmp_path_factory.mktemp("parser") / "colours")


@pytest.fixture(scope="module")
def metric(atlas: Atlas, parser_folder: Path) -> SemanticStructure:
    return SemanticStructure(atlas, load_parser(parser_folder))


def share_of(classes: set[str], atlas: Atlas) -> float:
    """Percent of the used texels that belong to some classes."""
    labels = class_of_parts()[atlas.parts(512)]
    return 100 * np.isin(labels, [list(CLASSES).index(name) for name in classes]).sum() / (labels > 0).sum()


def test_every_part_is_in_one_class() -> None:
    assert (class_of_parts()[1:] > 0).all()
    assert class_of_parts()[Part.NONE] == 0


def test_a_perfect_parse_is_0(metric: SemanticStructure, atlas: Atlas) -> None:
    assert metric.score(Sample("a", painted(atlas))) == 0


def test_other_sizes_are_nearly_perfect(metric: SemanticStructure, atlas: Atlas) -> None:
    assert metric.score(Sample("a", painted(atlas, size=1024))) < 1.5
    assert metric.score(Sample("a", painted(atlas, size=256))) < 3


def test_swapped_classes_cost_what_they_cover(metric: SemanticStructure, atlas: Atlas) -> None:
    swapped = np.arange(len(CLASSES))
    head, legs = (list(CLASSES).index(name) for name in ("head", "legs"))
    swapped[[head, legs]] = legs, head
    assert metric.score(Sample("a", painted(atlas, swapped))) == pytest.approx(share_of({"head", "legs"}, atlas))


def test_rotated_classes_are_all_wrong(metric: SemanticStructure, atlas: Atlas) -> None:
    rotated = np.array([0, 2, 3, 4, 5, 6, 1])
    assert metric.score(Sample("a", painted(atlas, rotated))) == 100


def test_what_is_taken_for_background_is_wrong(metric: SemanticStructure, atlas: Atlas) -> None:
    nothing = np.arange(len(CLASSES))
    nothing[list(CLASSES).index("hands")] = 0
    assert metric.score(Sample("a", painted(atlas, nothing))) == pytest.approx(share_of({"hands"}, atlas))


def test_the_figure_is_the_mean(metric: SemanticStructure, atlas: Atlas, parser_folder: Path) -> None:
    fresh = SemanticStructure(atlas, load_parser(parser_folder))
    fresh.update([Sample("good", painted(atlas))])
    fresh.update([Sample("bad", painted(atlas, np.array([0, 2, 3, 4, 5, 6, 1])))])
    figure = fresh.compute()
    assert (figure.value, figure.spread, figure.count, figure.unit) == (50, 50, 2, "%")
    assert figure.scores == {"good": 0, "bad": 100}
    assert not figure.higher_is_better


def test_a_parser_may_give_labels(tmp_path: Path, atlas: Atlas) -> None:
    parser = load_parser(write_colour_parser(tmp_path / "p", labels=True))
    assert SemanticStructure(atlas, parser).score(Sample("a", painted(atlas))) == 0


def test_a_smaller_parser_errs_at_borders_only(tmp_path: Path, atlas: Atlas) -> None:
    parser = load_parser(write_colour_parser(tmp_path / "p", side=128))
    assert 0 < SemanticStructure(atlas, parser).score(Sample("a", painted(atlas))) < 8


def test_a_segformer_is_known_by_its_names(tmp_path: Path, atlas: Atlas) -> None:
    parser = load_parser(write_segformer(tmp_path / "p", ATR, ATR.index("Left-leg")))
    parts = atlas.parts(512)
    wrong = 100 * (1 - np.isin(parts, list(LEGS | PELVIS | FEET)).sum() / (parts > 0).sum())
    assert SemanticStructure(atlas, parser).score(Sample("a", grey())) == pytest.approx(wrong)


def test_classes_json_wins_over_names(tmp_path: Path, atlas: Atlas) -> None:
    folder = write_segformer(tmp_path / "p", ["one", "two"], 1)
    classes = [{"name": "one", "parts": []}, {"name": "two", "parts": ["head", "torso", "arms", "legs", "feet"]}]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}), encoding="utf-8")
    score = SemanticStructure(atlas, load_parser(folder)).score(Sample("a", grey()))
    missing = np.isin(atlas.parts(512), [Part.NECK, *range(Part.PALM_LEFT, Part.FINGERS_RIGHT + 1)]).sum()
    assert score == pytest.approx(100 * missing / (atlas.parts(512) > 0).sum())


def test_known_classes_cover_the_body_and_nothing_else() -> None:
    everything = frozenset().union(*KNOWN_CLASSES.values())
    assert everything == set(Part) - {Part.NONE}
    assert not KNOWN_CLASSES["background"]


@pytest.mark.parametrize(
    ("damage", "code", "says"),
    [
        (lambda folder: (folder / "classes.json").unlink(), ErrorCode.WEIGHTS_INCOMPLETE, "classes.json"),
        (lambda folder: (folder / "classes.json").write_text("{"), ErrorCode.WEIGHTS_INVALID, "can't be read"),
        (lambda folder: (folder / "classes.json").write_text("[]"), ErrorCode.WEIGHTS_INVALID, "no JSON object"),
        (lambda folder: rewrite(folder, classes=[{"name": "x", "parts": ["wing"]}] * 7), "weights_invalid", "'wing'"),
        (lambda folder: rewrite(folder, classes=[{"name": "x", "parts": []}] * 5), "weights_invalid", "no 5 classes"),
        (lambda folder: rewrite(folder, classes=[{"parts": []}] * 7), "weights_invalid", "without"),
        (lambda folder: rewrite(folder, std=[0, 1, 1]), "weights_invalid", "std"),
        (lambda folder: rewrite(folder, size=[64, 64]), "weights_invalid", "can't take"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"no"), "weights_invalid", "can't be loaded"),
        (lambda folder: (folder / "other.onnx").write_bytes(b"no"), "weights_invalid", "2 ONNX files"),
    ],
)
def test_a_damaged_parser_is_refused(tmp_path: Path, atlas: Atlas, damage, code: str, says: str) -> None:
    folder = write_colour_parser(tmp_path / "p")
    damage(folder)
    with pytest.raises(UVMapError) as caught:
        SemanticStructure(atlas, load_parser(folder)).score(Sample("a", grey()))
    assert caught.value.failure.code == code
    assert says in caught.value.failure.message


def rewrite(folder: Path, **values: object) -> None:
    known = json.loads((folder / "classes.json").read_text())
    (folder / "classes.json").write_text(json.dumps(known | values))


def test_a_segformer_that_lacks_tensors_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = write_segformer(tmp_path / "p", ATR, 0)
    tensors = load_file(folder / "model.safetensors")
    del tensors["decode_head.classifier.bias"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UVMapError, match=r"decode_head\.classifier\.bias") as caught:
        load_parser(folder)
    assert caught.value.failure.code == ErrorCode.WEIGHTS_INVALID


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UVMapError, match="wings") as caught:
        load_parser(write_segformer(tmp_path / "p", ["background", "wings"], 0))
    assert caught.value.failure.code == ErrorCode.WEIGHTS_UNSUPPORTED


def test_no_folder_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UVMapError, match="segformer-b2-clothes") as caught:
        load_parser(tmp_path / "nowhere")
    assert caught.value.failure.code == ErrorCode.WEIGHTS_MISSING


def test_the_model_in_the_test_is_real(parser_folder: Path) -> None:
    onnx.checker.check_model(str(parser_folder / "model.onnx"))
