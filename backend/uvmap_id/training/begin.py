"""What a training begins with: weights by id or path, and the identity's part of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pipelines.identity_projection import FaceIdentityProjection, cross_attention_sizes
from uvmap_id.training.config import IDENTITY_FROM_ZERO, IDENTITY_OF_WEIGHTS, Config
from uvmap_id.training.model import new_projection
from uvmap_id.weights.catalogue import Purpose
from uvmap_id.weights.load import Components, load_components
from uvmap_id.weights.store import WeightsStore


def begin(config: Config, store: WeightsStore) -> tuple[Components, FaceIdentityProjection]:
    """The modules that a run begins with, in float32 on the CPU.

    Returns:
        The modules, whose `identity_projection` is the trained one, and that projection.

    Raises:
        UVMapError: weights_missing, weights_unknown, weights_incomplete, weights_invalid, weights_unsupported;
            config_invalid: the weights have no identity of their own, or the size doesn't fit them.
    """
    model = config.model
    weights, vae = _place(store, model.weights), _place(store, model.vae) if model.vae else None
    if model.identity in (IDENTITY_OF_WEIGHTS, IDENTITY_FROM_ZERO):
        components = load_components(weights, vae=vae)
    else:
        components = load_components(_place(store, model.identity), base=weights, vae=vae)
    _check_size(config, components)
    projection = components.identity_projection
    if model.identity == IDENTITY_FROM_ZERO:
        width = components.unet.config["cross_attention_dim"]
        projection = new_projection(cross_attention_sizes(components.unet), width, config.training.seed)
    if projection is None:
        raise UVMapError(
            ErrorCode.CONFIG_INVALID,
            f"model.identity is {model.identity!r}, but {model.weights} knows no identity.",
            f'Name an IP-Adapter-FaceID, or set it to "{IDENTITY_FROM_ZERO}" to begin without one.',
        )
    return replace(components, identity_projection=projection), projection


def identity_models(store: WeightsStore) -> Path | None:
    """The models that measure faces; None where none are installed."""
    weights = store.default(Purpose.IDENTITY)
    return None if weights is None else store.path(weights)


def _place(store: WeightsStore, text: str) -> Path:
    """A path as it is, or where the weights of that id are."""
    path = Path(text).expanduser()
    return path if path.exists() or len(path.parts) != 1 else store.path(text)


def _check_size(config: Config, components: Components) -> None:
    blocks = len(components.vae.config["block_out_channels"]) + len(components.unet.config["block_out_channels"])
    step = 2 ** (blocks - 2)
    if config.data.size % step:
        raise UVMapError(
            ErrorCode.CONFIG_INVALID, f"data.size is {config.data.size}.", f"These weights need a multiple of {step}."
        )
