"""Runs metrics over textures. What can't be measured is said, with its reason, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from uvmap_id.link.errors import ErrorCode, Failure, UVMapError
from uvmap_id.metrics.base import Figure, Metric, Sample
from uvmap_id.metrics.registry import Resources, make_metric
from uvmap_id.metrics.sources import Source

_BATCH = 16
_READERS = 2

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one metric came to.

    Attributes:
        name: The metric's.
        title: The metric's; its name where it could not be had.
        figure: None where there is none.
        failure: Why there is none.
        left_out: Why a texture is not in the figure, by the textures' names.
    """

    name: str
    title: str
    figure: Figure | None
    failure: Failure | None
    left_out: dict[str, Failure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What all metrics came to.

    Attributes:
        count: Textures that could be read.
        identities: Of whom.
        unreadable: Why a texture could not be read, by its name.
        outcomes: One for each metric, in the order in which they were asked for.
    """

    count: int
    identities: int
    unreadable: dict[str, Failure]
    outcomes: tuple[Outcome, ...]

    @property
    def complete(self) -> bool:
        """True where every metric has a figure, over every texture."""
        return not self.unreadable and all(each.figure is not None and not each.left_out for each in self.outcomes)

    @property
    def empty(self) -> bool:
        """True where no metric has a figure."""
        return all(each.figure is None for each in self.outcomes)


def evaluate(
    sources: Sequence[Source], names: Sequence[str], resources: Resources, on_progress: OnProgress = lambda *_: None
) -> Evaluation:
    """Measure textures.

    Args:
        sources: The textures; each is opened once.
        names: Of metrics.
        resources: What the metrics are made of.
        on_progress: Called with how many textures have been measured, and of how many.

    Raises:
        UVMapError: dataset_empty without sources, metric_unknown.
    """
    if not sources:
        raise UVMapError(
            ErrorCode.DATASET_EMPTY, "There are no textures to evaluate.", "Name a folder that holds textures."
        )
    runs = [_Run(name, resources) for name in names]
    unreadable: dict[str, Failure] = {}
    identities: set[str] = set()
    done = 0
    for samples in _batches(sources, unreadable):
        for run in runs:
            run.update(samples)
        identities |= {sample.identity for sample in samples if sample.identity}
        done += len(samples)
        on_progress(done + len(unreadable), len(sources))
    return Evaluation(done, len(identities), unreadable, tuple(run.outcome() for run in runs))


class _Run:
    """A metric on its way through the samples."""

    def __init__(self, name: str, resources: Resources) -> None:
        self._name = name
        self._metric: Metric | None = None
        self._failure: Failure | None = None
        self._left_out: dict[str, Failure] = {}
        try:
            self._metric = make_metric(name, resources)
        except UVMapError as error:
            if error.failure.code == ErrorCode.METRIC_UNKNOWN:
                raise
            self._failure = error.failure

    def update(self, samples: Sequence[Sample]) -> None:
        if self._metric is None:
            return
        try:
            self._metric.update(samples)
        except UVMapError:
            # It took none of them: find out which one it can't use.
            for sample in samples:
                try:
                    self._metric.update([sample])
                except UVMapError as error:
                    self._left_out[sample.name] = error.failure

    def outcome(self) -> Outcome:
        if self._metric is None:
            return Outcome(self._name, self._name, None, self._failure)
        try:
            figure = self._metric.compute()
        except UVMapError as error:
            # Where every texture was left out, the first one's reason says more than that nothing was left.
            empty = error.failure.code == ErrorCode.DATASET_EMPTY and bool(self._left_out)
            failure = next(iter(self._left_out.values())) if empty else error.failure
            return Outcome(self._name, self._metric.title, None, failure, self._left_out)
        return Outcome(self._name, self._metric.title, figure, None, self._left_out)


def _batches(sources: Sequence[Source], unreadable: dict[str, Failure]) -> Iterator[list[Sample]]:
    """Samples in their order; files are read while the ones before them are measured."""
    with ThreadPoolExecutor(_READERS) as readers:
        starts = range(0, len(sources), _BATCH)
        ahead = [readers.submit(_opened, source) for source in sources[:_BATCH]]
        for start in starts:
            current = ahead
            ahead = [readers.submit(_opened, each) for each in sources[start + _BATCH : start + 2 * _BATCH]]
            samples = []
            for future in current:
                opened = future.result()
                if isinstance(opened, Sample):
                    samples.append(opened)
                else:
                    unreadable[opened[0]] = opened[1]
            yield samples


def _opened(source: Source) -> Sample | tuple[str, Failure]:
    try:
        return source.load()
    except UVMapError as error:
        return source.name, error.failure
