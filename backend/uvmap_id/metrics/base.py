"""What a metric is given, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sample:
    """A texture with what it was made from.

    Attributes:
        name: Tells it from all others of a run, such as its file's name.
        texture: (S, S, 3) uint8 sRGB, the base colour in SMPL's atlas; row 0 is the top (v = 1).
        prompt: What the texture is to show, without the words of the recipe.
        identity: Whose texture it is; the same word for the same person.
        photo: The face as a file, PNG or JPEG; None where there is none.
        embedding: (512,) float32, L2-normalised, of the recogniser that the texture was made with; None where unknown.
    """

    name: str
    texture: NDArray[np.uint8]
    prompt: str = ""
    identity: str = ""
    photo: Path | None = None
    embedding: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """What a metric found over all of its samples.

    Attributes:
        value: In `unit`.
        spread: Standard deviation over samples or splits, in `unit`; None where there is none.
        unit: For a person, such as "%" or "of 1000"; empty for plain numbers.
        higher_is_better: Which way to go.
        count: How many samples it is about.
        scores: A number for each sample by name, where the metric knows one; for plots and contact sheets.
        notes: Sentences for a person, of what to know when reading the figure.
    """

    value: float
    spread: float | None
    unit: str
    higher_is_better: bool
    count: int
    scores: dict[str, float]
    notes: tuple[str, ...] = ()


class Metric(Protocol):
    """Sees samples in pieces, then says its figure. Keeps no textures."""

    name: str
    title: str

    def update(self, samples: Sequence[Sample]) -> None:
        """Take more samples into account: all of them, or none where one can't be used.

        Raises:
            UVMapError: dataset_unreadable where a sample lacks what the metric needs.
        """
        ...

    def compute(self) -> Figure:
        """The figure over all samples so far.

        Raises:
            UVMapError: dataset_empty, dataset_too_small.
        """
        ...


@runtime_checkable
class SampleMetric(Metric, Protocol):
    """A metric that knows a number for one texture alone, by which textures can be chosen."""

    higher_is_better: bool

    def score(self, sample: Sample) -> float:
        """The number for one sample, in the metric's unit."""
        ...
