"""Which textures of a person are the best: the rule by which metrics decide together.

Of each metric the candidates get ranks: the best 1, the worst 0, and equal ones the middle of the ranks that they
share. A candidate without a number is the worst. Metrics are about one of three aspects: quality, structure and
identity. The ranks are averaged within each aspect, then over the aspects, so that two metrics of quality do not
outvote the one of identity. The highest averages are kept; of equal ones, the candidate that was made first. Ranks need
no weights: units do not matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

QUALITY, STRUCTURE, IDENTITY = "quality", "structure", "identity"
# Whatever is not listed is about quality.
ASPECTS: Mapping[str, str] = {
    "ssp": STRUCTURE,
    "seam": STRUCTURE,
    "dfr": IDENTITY,
    "identity": IDENTITY,
    "anchor": IDENTITY,
    "skin": IDENTITY,
}
# Averages that differ by less are equal: they came from sums in another order.
_SAME = 1e-9


def best(scores: Sequence[Mapping[str, float]], directions: Mapping[str, bool], keep: int) -> list[int]:
    """Numbers of the `keep` best candidates, the best first; without metrics the first ones.

    Args:
        scores: Of each candidate, by the metrics' names.
        directions: Of each metric that counts, True where higher is better.
        keep: How many.
    """
    values = overall(scores, directions)
    order = sorted(range(len(scores)), key=lambda index: (-round(values[index] / _SAME), index))
    return order[:keep]


def overall(scores: Sequence[Mapping[str, float]], directions: Mapping[str, bool]) -> list[float]:
    """0 to 1 for each candidate: how well it does beside the others."""
    aspects: dict[str, list[list[float]]] = {}
    for name, higher in directions.items():
        values = [one.get(name, math.nan) for one in scores]
        # What nobody has a number for says nothing.
        if not all(math.isnan(value) for value in values):
            aspects.setdefault(aspect_of(name), []).append(_ranks(values, higher))
    means = [[math.fsum(column) / len(column) for column in zip(*ranks, strict=True)] for ranks in aspects.values()]
    if not means:
        return [0.0] * len(scores)
    return [math.fsum(column) / len(column) for column in zip(*means, strict=True)]


def aspect_of(metric: str) -> str:
    """What a metric is about; its name may go on after the word that says so."""
    return next((aspect for name, aspect in ASPECTS.items() if metric.startswith(name)), QUALITY)


def _ranks(values: Sequence[float], higher_is_better: bool) -> list[float]:
    sign = 1 if higher_is_better else -1
    worth = [-math.inf if math.isnan(value) else sign * value for value in values]
    if len(worth) == 1:
        return [1.0]
    ordered = sorted(worth)
    first, count = {}, {}
    for place, value in enumerate(ordered):
        first.setdefault(value, place)
        count[value] = count.get(value, 0) + 1
    return [(first[value] + (count[value] - 1) / 2) / (len(worth) - 1) for value in worth]
