"""The Inception Score of textures, and of a body that wears them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Figure, Sample
from uvmap_id.metrics.inception import SIDE
from uvmap_id.metrics.means import square_texture, unusable
from uvmap_id.onnx_runtime import import_package
from uvmap_id.pictures import resize

SPLITS = 10
_EACH_SPLIT = 10
_FEW = 1000
_SEED = 0
_BATCH = 16

Show = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


class InceptionScore:
    """exp of the mean KL(p(class | picture) || p(class)) (Salimans et al. 2016), mean and deviation over splits.

    Follows `Metric`. The order in which pictures fall into splits is shuffled with a seed of its own, so that it is the
    same in every run, however the samples came. A sample's own number is its KL to all pictures, in nats.
    """

    unit = ""
    higher_is_better = True

    def __init__(self, name: str, title: str, network: nn.Module, show: Show, splits: int = SPLITS) -> None:
        """Judge pictures of textures.

        Args:
            name: The metric's.
            title: The metric's, for a person.
            network: Takes (N, 3, 299, 299) uint8 sRGB, gives (N, classes) scores.
            show: Makes the picture of a texture; any size, brought to 299 x 299 by averaging.
            splits: How many groups are scored on their own.
        """
        self.name, self.title = name, title
        self._network, self._show, self._splits = network, show, splits
        self._names: dict[str, None] = {}
        self._metric = _torchmetrics(network, splits)

    def update(self, samples: Sequence[Sample]) -> None:
        """See `Metric.update`; takes all of its samples or none."""
        names = [sample.name for sample in samples]
        if twice := next((sample for n, sample in enumerate(samples) if self._known(sample, names[:n])), None):
            raise unusable(twice, "is there twice")
        pictures = [at_inception_size(self._show(square_texture(sample))) for sample in samples]
        device = next(self._network.parameters()).device if any(True for _ in self._network.parameters()) else "cpu"
        for start in range(0, len(pictures), _BATCH):
            stacked = np.stack(pictures[start : start + _BATCH]).transpose(0, 3, 1, 2)
            with torch.inference_mode():
                self._metric.update(torch.from_numpy(np.ascontiguousarray(stacked)).to(device))
        self._names |= dict.fromkeys(names)

    def compute(self) -> Figure:
        """See `Metric.compute`."""
        count, needed = len(self._names), _EACH_SPLIT * self._splits
        if not count:
            raise UVMapError(ErrorCode.DATASET_EMPTY, f"There is no texture for {self.title}.", "")
        if count < needed:
            raise UVMapError(
                ErrorCode.DATASET_TOO_SMALL,
                f"{self.title} in {self._splits} splits needs at least {needed} textures, and there are {count}.",
                "Evaluate more textures, or fewer splits: --splits 1",
            )
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(_SEED)
            mean, deviation = (float(value) for value in self._metric.compute())
        return Figure(
            value=mean,
            spread=deviation if self._splits > 1 else None,
            unit=self.unit,
            higher_is_better=self.higher_is_better,
            count=count,
            scores=dict(zip(self._names, self._divergences().tolist(), strict=True)),
            notes=(f"Fewer than {_FEW} textures: the score depends on their number.",) if count < _FEW else (),
        )

    def _known(self, sample: Sample, before: Sequence[str]) -> bool:
        return sample.name in self._names or sample.name in before

    def _divergences(self) -> torch.Tensor:
        scores = torch.cat(self._metric.features).cpu()
        chances = scores.softmax(dim=1)
        return (chances * (scores.log_softmax(dim=1) - chances.mean(dim=0).log())).sum(dim=1)


def at_inception_size(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(299, 299, 3), averaged where it shrinks."""
    return picture if picture.shape[0] == SIDE else resize(picture, (SIDE, SIDE))


def _torchmetrics(network: nn.Module, splits: int) -> Any:
    module = import_package("torchmetrics.image.inception", "The Inception Score", extra="train")
    with warnings.catch_warnings():
        # It says that it keeps the features, which is what is wanted.
        warnings.simplefilter("ignore")
        return module.InceptionScore(feature=network, splits=splits)
