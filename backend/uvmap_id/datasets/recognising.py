"""Who a photo shows: the embedding reader on the weights that are installed."""

from __future__ import annotations

from uvmap_id.engines.diffusion.choice import identity_weights
from uvmap_id.faces.identity import IdentityReader
from uvmap_id.weights.store import WeightsStore


def identity_reader(store: WeightsStore | None = None) -> IdentityReader:
    """A reader on the installed identity models; without any it reads .npy embeddings only."""
    store = store or WeightsStore()
    weights = identity_weights(store)
    return IdentityReader(None if weights is None else store.path(weights))
