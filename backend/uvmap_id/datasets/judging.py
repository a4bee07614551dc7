"""The metrics that judge a single texture: which are at hand here, and which are not and why."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Metric, Sample, SampleMetric
from uvmap_id.metrics.registry import Resources, make_metric, names_of

# Of each aspect what costs little; "anchor" paints a texture of its own for each one that it judges.
CHOOSING = ("sharpness", "clipt", "ssp", "seams", "identity_arcface_atlas", "identity_sface_atlas", "skin")

# Not the sample's fault: the same choice must not come out differently because of these.
_GONE = frozenset((ErrorCode.OUT_OF_MEMORY.value, ErrorCode.DEVICE_LOST.value, ErrorCode.INTERNAL.value))

MetricFactory = Callable[[str], Metric]


class Judges:
    """Metrics by their names, for as long as a process lives."""

    def __init__(self, names: Sequence[str], factory: MetricFactory | None = None) -> None:
        """Make all metrics.

        Args:
            names: As from `at_hand`.
            factory: Makes a metric by its name; by default the registry's.

        Raises:
            UVMapError: metric_unknown, or what a metric needs is missing here.
        """
        self.names = tuple(names)
        make = factory or _factory()
        self._metrics = {name: _judge(make, name) for name in self.names}

    @property
    def directions(self) -> Mapping[str, bool]:
        """Of each metric, True where higher is better."""
        return {name: metric.higher_is_better for name, metric in self._metrics.items()}

    def score(self, sample: Sample) -> dict[str, float]:
        """A number of each metric that has one for this sample: a texture without a face has no likeness, say."""
        scores = {}
        for name, metric in self._metrics.items():
            try:
                scores[name] = round(float(metric.score(sample)), 6)
            except UVMapError as error:
                if error.failure.code in _GONE:
                    raise
        return {name: value for name, value in scores.items() if math.isfinite(value)}


def at_hand(wanted: Iterable[str], factory: MetricFactory | None = None) -> tuple[Judges, dict[str, str]]:
    """The metrics of a list that can be had here, and of each of the others why it can't.

    Args:
        wanted: Names, or words for several.
        factory: Makes a metric by its name; by default the registry's.

    Raises:
        UVMapError: metric_unknown.
    """
    make = factory or _factory()
    judges: dict[str, Metric] = {}
    left_out: dict[str, str] = {}
    for name in names_of(wanted):
        try:
            judges[name] = _judge(make, name)
        except UVMapError as error:
            if error.failure.code == ErrorCode.METRIC_UNKNOWN:
                raise
            left_out[name] = " ".join(filter(None, (error.failure.message, error.failure.hint)))
    return Judges(tuple(judges), judges.__getitem__), left_out


def ask(wanted: Sequence[str]) -> tuple[dict[str, bool], dict[str, str]]:
    """What `at_hand` finds, in a process of its own: metrics load models, which only workers need.

    Returns:
        Of each metric at hand whether higher is better; of each of the others why it can't be had.

    Raises:
        UVMapError: metric_unknown; internal where the process broke down.
    """
    command = (sys.executable, "-P", "-m", "uvmap_id.datasets.judging", *wanted)
    done = subprocess.run(command, capture_output=True, check=False)
    try:
        said = json.loads(done.stdout)
        if failure := said.get("failure"):
            raise UVMapError(ErrorCode(failure["code"]), failure["message"], failure["hint"])
        return said["directions"], said["left_out"]
    except (ValueError, KeyError) as error:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise UVMapError(ErrorCode.INTERNAL, f"The metrics broke down: {last}.", 'Do without: --metrics ""') from error


def main() -> None:
    """Entry of `python -m uvmap_id.datasets.judging METRIC ...`: says in JSON which are at hand."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Libraries print to stdout, from C too.
    os.dup2(2, 1)
    try:
        judges, left_out = at_hand(sys.argv[1:])
        said: dict[str, Any] = {"directions": dict(judges.directions), "left_out": left_out}
    except UVMapError as error:
        said = {"failure": asdict(error.failure)}
    json.dump(said, out)
    out.close()


def _judge(make: MetricFactory, name: str) -> SampleMetric:
    metric = make(name)
    if not isinstance(metric, SampleMetric):
        raise UVMapError(
            ErrorCode.METRIC_UNAVAILABLE,
            f'"{name}" is about many textures together and can\'t choose between single ones.',
            "Choose another metric: uvmap-id evaluate --help lists them.",
        )
    return metric


def _factory() -> MetricFactory:
    resources = Resources()
    return lambda name: make_metric(name, resources)


if __name__ == "__main__":
    main()
