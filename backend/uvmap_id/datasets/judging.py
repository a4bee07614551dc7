"""The metrics that can judge a single texture here, and which can't and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uvmap_id.metrics.base import Sample, SampleMetric


class Judges:
    """Metrics by their names, made when they are first needed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._metrics: dict[str, SampleMetric] = {}

    @property
    def directions(self) -> Mapping[str, bool]:
        return {name: metric.higher_is_better for name, metric in self._metrics.items()}

    def score(self, sample: Sample) -> dict[str, float]:
        return {}
