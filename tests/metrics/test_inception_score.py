"""The Inception Score: known classifiers give known scores, and only Inception's weights are Inception's weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made_textures import grey, noise
from numpy.typing import NDArray
from torch import Tensor, nn

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Sample
from uvmap_id.metrics.inception import InceptionV3, load_inception
from uvmap_id.metrics.inception_score import InceptionScore, at_inception_size

LOUD = 60.0


class Classifier(nn.Module):
    """Gives every picture the scores that a function finds for its mean grey."""

    def __init__(self, scores: Callable[[int], Tensor]) -> None:
        super().__init__()
        self._scores = scores
        self.seen: list[tuple[int, ...]] = []

    def forward(self, pictures: Tensor) -> Tensor:
        assert pictures.dtype == torch.uint8
        self.seen.append(tuple(pictures.shape))
        return torch.stack([self._scores(round(float(picture.float().mean()))) for picture in pictures])


def one_hot(classes: int) -> Callable[[int], Tensor]:
    return lambda value: LOUD * torch.eye(classes, dtype=torch.float64)[value % classes]


def shades(count: int) -> list[Sample]:
    return [Sample(f"{number:04}", grey(64, number)) for number in range(count)]


def score(network: nn.Module, splits: int = 1) -> InceptionScore:
    return InceptionScore("is_uv", "IS (UV)", network, lambda texture: texture, splits)


def test_a_uniform_classifier_gives_1() -> None:
    metric = score(Classifier(lambda value: torch.zeros(8)), splits=2)
    metric.update(shades(20))
    figure = metric.compute()
    assert figure.value == pytest.approx(1)
    assert figure.spread == pytest.approx(0)
    assert set(figure.scores.values()) == {0.0}
    assert figure.higher_is_better


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_n_one_hot_classes_give_n(classes: int) -> None:
    metric = score(Classifier(one_hot(classes)))
    metric.update(shades(10 * classes))
    figure = metric.compute()
    assert figure.value == pytest.approx(classes, rel=1e-6)
    assert figure.spread is None
    assert all(value == pytest.approx(math.log(classes)) for value in figure.scores.values())


def test_one_class_for_all_gives_1() -> None:
    metric = score(Classifier(one_hot(1)))
    metric.update(shades(10))
    assert metric.compute().value == pytest.approx(1)


def test_it_is_the_same_in_any_batches() -> None:
    def scores(value: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng(value).normal(0, 3, 12))

    figures = []
    for cut in (40, 7, 1):
        metric = score(Classifier(scores), splits=4)
        samples = shades(40)
        for start in range(0, 40, cut):
            metric.update(samples[start : start + cut])
        figures.append(metric.compute())
        assert metric.compute() == figures[-1]
    assert figures[0] == figures[1] == figures[2]
    assert figures[0].spread is not None
    assert figures[0].spread > 0


def test_computing_leaves_the_random_numbers_alone() -> None:
    metric = score(Classifier(one_hot(2)))
    metric.update(shades(10))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    metric.compute()
    assert torch.rand(1) == expected


def test_pictures_come_at_inceptions_size_and_in_batches() -> None:
    network = Classifier(lambda value: torch.zeros(3))
    metric = score(network)
    metric.update([Sample(str(n), grey(64 + n, n)) for n in range(20)])
    assert network.seen == [(16, 3, 299, 299), (4, 3, 299, 299)]


def test_shrinking_averages() -> None:
    stripes = np.zeros((598, 598, 3), np.uint8)
    stripes[:, ::2] = 255
    small = at_inception_size(stripes)
    assert small.shape == (299, 299, 3)
    assert set(np.unique(small)) <= {127, 128}


def test_renders_are_shown_instead_of_textures() -> None:
    def show(texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return grey(299, 255 - int(texture.mean()))

    network = Classifier(one_hot(300))
    metric = InceptionScore("is_r", "IS (R)", network, show, 1)
    metric.update(shades(10))
    assert metric.compute().value == pytest.approx(10)


@pytest.mark.parametrize(("count", "code"), [(0, ErrorCode.DATASET_EMPTY), (19, ErrorCode.DATASET_TOO_SMALL)])
def test_too_few_are_refused(count: int, code: ErrorCode) -> None:
    metric = score(Classifier(one_hot(2)), splits=2)
    if count:
        metric.update(shades(count))
    with pytest.raises(UVMapError) as caught:
        metric.compute()
    assert caught.value.failure.code == code


def test_few_are_noted() -> None:
    metric = score(Classifier(one_hot(2)))
    metric.update(shades(10))
    assert "Fewer than 1000" in metric.compute().notes[0]


def test_a_bad_sample_changes_nothing() -> None:
    metric = score(Classifier(one_hot(2)))
    metric.update(shades(10))
    before = metric.compute()
    for bad in (Sample("0003", grey()), Sample("new", np.zeros((64, 32, 3), np.uint8))):
        with pytest.raises(UVMapError):
            metric.update([Sample("fine", grey()), bad])
    assert metric.compute() == before


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the published one's names and shapes, with random numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = InceptionV3()
        # Fresh layers damp their input so much that all classes come out alike.
        network.fc.weight.data *= 1e7
    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(network.state_dict(), file)
    return file


def test_inception_has_the_published_tensors(weights: Path) -> None:
    state = torch.load(weights, weights_only=True)
    # pt_inception-2015-12-05 has 566 entries, and Inception v3 of 1008 classes 23,850,960 weights.
    assert len(state) == 566
    trained = [value for name, value in state.items() if not name.endswith(("running_mean", "running_var", "tracked"))]
    assert sum(value.numel() for value in trained) == 23_850_960
    assert state["Mixed_6c.branch7x7dbl_4.conv.weight"].shape == (160, 160, 7, 1)
    assert state["Mixed_7c.branch3x3dbl_3a.bn.running_mean"].shape == (384,)
    assert state["fc.weight"].shape == (1008, 2048)


def test_inception_runs_and_repeats(weights: Path) -> None:
    network = load_inception(weights)
    pictures = torch.from_numpy(np.stack([noise(n, 299) for n in range(2)]).transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        both = network(pictures)
        features = network.features(pictures[:1])
    assert both.shape == (2, 1008)
    assert both.dtype == torch.float64
    assert features.shape == (1, 2048)
    expected = features.double() @ network.fc.weight.double().T
    assert expected.abs().max() > 0.1
    assert torch.allclose(both[:1], expected, rtol=1e-3, atol=1e-3), "the bias must be left out"


def test_inception_scores_textures(weights: Path) -> None:
    metric = score(load_inception(weights))
    metric.update([Sample(str(n), noise(n, 64)) for n in range(10)])
    figure = metric.compute()
    assert 1 < figure.value < 10
    assert figure.count == 10


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda state: state.pop("fc.bias"), "lacks fc.bias"),
        (lambda state: state.update(AuxLogits=torch.zeros(1)), "holds AuxLogits"),
        (lambda state: state.update({"fc.weight": torch.zeros(1000, 2048)}), r"fc.weight is \(1000, 2048\)"),
        (lambda state: state.update({"fc.bias": torch.full((1008,), torch.nan)}), "not finite"),
    ],
)
def test_other_weights_are_refused(weights: Path, tmp_path: Path, damage, says: str) -> None:
    state = torch.load(weights, weights_only=True)
    damage(state)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UVMapError, match=says) as caught:
        load_inception(tmp_path / "w.pth")
    assert caught.value.failure.code == ErrorCode.WEIGHTS_INVALID


def test_weights_without_counters_are_taken(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    torch.save({name: value for name, value in state.items() if not name.endswith("tracked")}, tmp_path / "w.pth")
    load_inception(tmp_path / "w.pth")


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_text("<html>log in</html>")
    with pytest.raises(UVMapError) as caught:
        load_inception(tmp_path / "w.pth")
    assert caught.value.failure.code == ErrorCode.WEIGHTS_INVALID
