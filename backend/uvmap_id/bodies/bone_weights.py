"""Which of the mannequin's bones move a vertex, and how much."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from uvmap_id.bodies.skeleton import BONES, Floats, taken_over

_ROUNDS = 5
_MOST_BONES = 4


def merged(shares: Mapping[str, Floats]) -> Floats:
    """(V, B) from (V,) for each of MakeHuman's bones."""
    count = len(next(iter(shares.values())))
    weights = np.zeros((count, len(BONES)))
    for name, share in shares.items():
        weights[:, taken_over(name)] += share
    return weights


def smoothed(weights: Floats, edges: NDArray[np.integer], fixed: NDArray[np.bool_], rounds: int = _ROUNDS) -> Floats:
    """Weights made even between neighbours.

    Args:
        weights: (V, B).
        edges: (E, 2) neighbours.
        fixed: (V,) which keep theirs.
        rounds: How often.
    """
    count = len(weights)
    both = np.concatenate([edges, edges[:, ::-1]])
    graph = csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count))
    degree = np.maximum(graph.sum(axis=1), 1)[:, None]
    for _ in range(rounds):
        weights = np.where(fixed[:, None], weights, (weights + (graph @ weights) / degree) / 2)
    return weights


def quantized(weights: Floats) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The four largest weights of each vertex, (V, 4) bones and (V, 4) values in 255ths whose sum is 255."""
    bones = np.argsort(-weights, axis=1, kind="stable")[:, :_MOST_BONES]
    kept = np.take_along_axis(weights, bones, axis=1)
    exact = kept / kept.sum(axis=1, keepdims=True) * 255
    values = np.floor(exact).astype(np.int64)
    # What rounding down left over goes to those that lost most.
    order = np.argsort(values - exact, axis=1, kind="stable")
    missing = 255 - values.sum(axis=1)
    rank = np.argsort(order, axis=1, kind="stable")
    values += rank < missing[:, None]
    return np.where(values > 0, bones, 0).astype(np.uint8), values.astype(np.uint8)
