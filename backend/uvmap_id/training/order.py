"""Which examples each process sees in each batch: a function of the seed and the position, so that a run can go on.

All examples come once before any comes again, in another order each time. With several processes each takes its own
part of the same order.
"""

from __future__ import annotations

import numpy as np


class Order:
    """An endless order of `count` things."""

    def __init__(self, count: int, seed: int, stream: int) -> None:
        """`stream` tells orders of one seed apart."""
        self._count = count
        self._seed = (seed, stream)
        self._round = -1
        self._order = np.zeros(0, np.int64)

    def take(self, position: int, count: int) -> list[int]:
        """`count` of them from a position on, which is how many were taken before by all processes."""
        return [self._at(place) for place in range(position, position + count)]

    def _at(self, position: int) -> int:
        number, place = divmod(position, self._count)
        if number != self._round:
            self._round = number
            self._order = np.random.default_rng((*self._seed, number)).permutation(self._count)
        return int(self._order[place])
