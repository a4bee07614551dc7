"""Who a synthetic person is, as 512 numbers: projected from the person's own parameters, or recognised in the photo."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from uvmap_id.datasets.synthetic.identity import Identity
from uvmap_id.faces.embedding import EMBEDDING_SIZE, normalised

PARAMETERS, BUFFALO = "parameters", "buffalo_l"
EMBEDDINGS = (PARAMETERS, BUFFALO)
# Fixed for ever: datasets of different seeds share one space.
_PROJECTION_SEED = 2404_14568


def of_parameters(person: Identity) -> NDArray[np.float32]:
    """(512,) float32, L2-normalised: a fixed random matrix times `Identity.vector`.

    It keeps angles (Johnson and Lindenstrauss), so people who are alike lie near each other, and a network that learns
    to read it can read people whom it has never seen. No recogniser takes part.
    """
    values = person.vector()
    return normalised(_projection(len(values)) @ values)


@functools.cache
def _projection(count: int) -> NDArray[np.float64]:
    return np.random.default_rng(_PROJECTION_SEED).standard_normal((EMBEDDING_SIZE, count))
