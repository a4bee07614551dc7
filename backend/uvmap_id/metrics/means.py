"""Metrics that are the mean of one number a texture."""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Figure, Sample

SMALLEST_TEXTURE = 64
_COLUMNS = "See docs/metrics.md for what each metric needs."


class MeanMetric(ABC):
    """Follows `SampleMetric`: what is left to say is a texture's number.

    `update` takes all of its samples or none.
    """

    name: str
    title: str
    unit: str = ""
    higher_is_better: bool

    def __init__(self) -> None:
        self._scores: dict[str, float] = {}

    @abstractmethod
    def score(self, sample: Sample) -> float:
        """See `SampleMetric.score`.

        Raises:
            UVMapError: dataset_unreadable where the sample lacks what the metric needs, or what is wrong with its
                photo.
        """

    def update(self, samples: Sequence[Sample]) -> None:
        """See `Metric.update`."""
        found = dict(self._scores)
        for sample in samples:
            if sample.name in found:
                raise unusable(sample, "is there twice")
            score = self.score(sample)
            if not math.isfinite(score):
                raise unusable(sample, f"has a {self.title} that is no finite number")
            found[sample.name] = score
        self._scores = found

    def compute(self) -> Figure:
        """See `Metric.compute`: the mean, and the standard deviation over the textures."""
        return self._figure(self._scores)

    def _figure(self, scores: Mapping[str, float]) -> Figure:
        if not scores:
            raise UVMapError(
                ErrorCode.DATASET_EMPTY, f"There is no texture whose {self.title} could be told.", _COLUMNS
            )
        return mean_figure(scores, self.unit, higher_is_better=self.higher_is_better)


def mean_figure(
    scores: Mapping[str, float], unit: str, *, higher_is_better: bool, notes: tuple[str, ...] = ()
) -> Figure:
    """The mean and the standard deviation of one or more scores, which have the textures' names."""
    values = list(scores.values())
    return Figure(
        value=statistics.fmean(values),
        spread=statistics.pstdev(values),
        unit=unit,
        higher_is_better=higher_is_better,
        count=len(values),
        scores=dict(scores),
        notes=notes,
    )


def square_texture(sample: Sample) -> NDArray[np.uint8]:
    """(S, S, 3) uint8 sRGB of a sample.

    Raises:
        UVMapError: dataset_unreadable: it is not square, not 8 bits RGB, or smaller than `SMALLEST_TEXTURE`.
    """
    shape = sample.texture.shape
    if sample.texture.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or shape[0] != shape[1]:
        raise unusable(sample, f"is {shape} of {sample.texture.dtype} and no square texture of 8 bits RGB")
    if shape[0] < SMALLEST_TEXTURE:
        raise unusable(sample, f"has only {shape[0]} texels a side")
    return sample.texture


def unusable(sample: Sample, what: str) -> UVMapError:
    """The failure for a sample that a metric can't use."""
    return UVMapError(ErrorCode.DATASET_UNREADABLE, f"{sample.name} {what}.", _COLUMNS)
