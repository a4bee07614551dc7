"""Low-rank updates: put beside the attentions' layers by PEFT, and folded into them at the end."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.fold import LORA_LAYERS, add_update
from uvmap_id.weights.tensors import Tensors

_LAYERS = {"unet": tuple(LORA_LAYERS.values()), "text_encoder": ("q_proj", "k_proj", "v_proj", "out_proj")}
_ADAPTER = "default"
_BASE, _DOWN, _UP = ".base_layer.", ".lora_A.", ".lora_B."


def add_lora(module: nn.Module, name: str, rank: int, alpha: float, seed: int) -> None:
    """Add updates to the attentions of a U-Net or a text encoder, which the module computes from then on.

    Args:
        module: Frozen already; the updates are not.
        name: "unet" or "text_encoder".
        rank: Of the updates.
        alpha: Their strength is alpha / rank.
        seed: Of their start, which changes nothing yet.

    Raises:
        UVMapError: package_missing.
    """
    try:
        import peft
    except ImportError as error:
        raise UVMapError(
            ErrorCode.PACKAGE_MISSING, "Low-rank updates need the package peft.", 'pip install "uvmap-id[train]"'
        ) from error
    settings: Any = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(_LAYERS[name]))  # pyright: ignore[reportArgumentType]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(settings, module, _ADAPTER)


def folded_tensors(module: nn.Module) -> Tensors:
    """A module's tensors as if there had never been updates beside its layers: they are folded in."""
    tensors: Tensors = {}
    state = module.state_dict()
    for name, tensor in state.items():
        if _DOWN in name or _UP in name:
            continue
        plain = name.replace(_BASE, ".")
        layer = name.partition(_BASE)[0]
        if plain != name and name.endswith(".weight"):
            down, up = (state[f"{layer}{part}{_ADAPTER}.weight"] for part in (_DOWN, _UP))
            scaling: Any = module.get_submodule(layer).scaling
            tensor = add_update(tensor, down, up, scaling[_ADAPTER], plain)
        tensors[plain] = tensor
    return tensors
