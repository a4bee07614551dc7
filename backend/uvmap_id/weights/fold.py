"""Folding low-rank updates into the weights that they update, so that a plain U-Net is left.

A LoRA layer computes `W x + up (down x)`, which is `(W + up down) x`. What can't be folded, the keys and values of the
identity, is kept apart for `FaceIdentityProjection`. All products are computed in float32.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.tensors import Tensors

LORA_LAYERS = {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "to_out": "to_out.0"}
"""What a processor's pair of matrices is called, and the attention's layer that it updates."""

Value = TypeVar("Value")

_PROCESSOR = ".processor."
_NUMBERED = re.compile(r"ip_adapter\.(\d+)\.(.+)")
_ANOTHER = "The weights are of another model or version."


@dataclass(frozen=True, slots=True)
class PeftSettings:
    """What an `adapter_config.json` says about the strength of each layer's update.

    Attributes:
        alphas, ranks: By the layer's name, or the end of it; `alpha` and `rank` are for all others.
        root: The strength is alpha / sqrt(rank) instead of alpha / rank ("rank-stabilised").
    """

    alpha: float
    rank: int
    alphas: dict[str, float]
    ranks: dict[str, int]
    root: bool = False

    def strength(self, layer: str) -> float:
        """The factor of the update of one layer."""
        rank = _of_layer(self.ranks, layer, self.rank)
        return _of_layer(self.alphas, layer, self.alpha) / (math.sqrt(rank) if self.root else rank)


def peft_settings(config: Mapping[str, Any], where: Path) -> PeftSettings:
    """What counts of an `adapter_config.json`.

    Raises:
        UVMapError: `weights_invalid`: the strength is missing. `weights_unsupported`: an adapter that is no plain LoRA.
    """
    if config.get("use_dora") or config.get("fan_in_fan_out") or config.get("bias", "none") != "none":
        raise UVMapError(ErrorCode.WEIGHTS_UNSUPPORTED, f"{where} is no plain LoRA.", "Merge it into its base first.")
    try:
        return PeftSettings(
            alpha=float(config["lora_alpha"]),
            rank=int(config["r"]),
            alphas=dict(config.get("alpha_pattern") or {}),
            ranks=dict(config.get("rank_pattern") or {}),
            root=bool(config.get("use_rslora")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"{where} doesn't say its strength: {error}.", _ANOTHER) from error


def split_processors(tensors: Tensors) -> tuple[Tensors, Tensors]:
    """A U-Net's own tensors, and those of the processors that were saved with it."""
    processors = {name: tensor for name, tensor in tensors.items() if _PROCESSOR in name}
    return {name: tensor for name, tensor in tensors.items() if name not in processors}, processors


def name_by_attention(tensors: Tensors, attentions: Sequence[str]) -> Tensors:
    """IP-Adapter's numbered tensors (`ip_adapter.1.to_k_ip.weight`) under the names of the attentions they belong to.

    Args:
        tensors: Numbered.
        attentions: Paths of all attention layers, in the order of `unet.attn_processors`: number N is the N-th.

    Raises:
        UVMapError: `weights_invalid`: a number that the U-Net has no attention for.
    """
    named: Tensors = {}
    for name, tensor in tensors.items():
        match = _NUMBERED.fullmatch(name)
        if not match or int(match[1]) >= len(attentions):
            raise _extra(name)
        named[f"{attentions[int(match[1])]}{_PROCESSOR}{match[2]}"] = tensor
    return named


def fold_processors(unet: Tensors, processors: Tensors, attentions: Sequence[str]) -> tuple[Tensors, Tensors]:
    """Fold the processors of every attention into the U-Net.

    Args:
        unet: The U-Net's own tensors.
        processors: `<attention>.processor.to_q_lora.down.weight` and so on; for cross-attentions (`attn2`) also
            `to_k_ip.weight` and `to_v_ip.weight`.
        attentions: Paths of all attention layers, in the order of `unet.attn_processors`.

    Returns:
        The folded U-Net, and the identity's keys and values: `layers.<n>.to_k_ip.weight` of the n-th cross-attention.

    Raises:
        UVMapError: `weights_incomplete`, `weights_invalid`: a tensor is missing, too much or of a wrong shape.
    """
    folded, left = dict(unet), dict(processors)
    identity: Tensors = {}
    cross_attentions = [path for path in attentions if path.endswith("attn2")]
    for path in attentions:
        for pair, layer in LORA_LAYERS.items():
            down = _take(left, f"{path}{_PROCESSOR}{pair}_lora.down.weight")
            up = _take(left, f"{path}{_PROCESSOR}{pair}_lora.up.weight")
            weight = f"{path}.{layer}.weight"
            folded[weight] = add_update(_take(folded, weight), down, up, 1.0, weight)
    for number, path in enumerate(cross_attentions):
        for name in ("to_k_ip.weight", "to_v_ip.weight"):
            identity[f"layers.{number}.{name}"] = _take(left, f"{path}{_PROCESSOR}{name}")
    if left:
        raise _extra(min(left))
    return folded, identity


def fold_peft(weights: Tensors, adapter: Tensors, settings: PeftSettings) -> Tensors:
    """Fold a LoRA that PEFT saved into the module that it was trained on.

    Args:
        weights: The module's tensors.
        adapter: `base_model.model.<layer>.lora_A.weight` and `.lora_B.weight`.
        settings: How strong each update is.

    Raises:
        UVMapError: As `fold_processors`.
    """
    folded = dict(weights)
    left = {name.removeprefix("base_model.model."): tensor for name, tensor in adapter.items()}
    for name in sorted(name for name in left if name.endswith(".lora_A.weight")):
        layer = name.removesuffix(".lora_A.weight")
        down, up = _take(left, name), _take(left, f"{layer}.lora_B.weight")
        weight = _weight_of(layer, folded)
        folded[weight] = add_update(folded[weight], down, up, settings.strength(layer), weight)
    if left:
        raise _extra(min(left))
    return folded


def add_update(weight: Tensor, down: Tensor, up: Tensor, strength: float, name: str) -> Tensor:
    """`weight + strength * up @ down` in float32, for linear layers and convolutions.

    Args:
        weight: (out, in) or (out, in, h, w).
        down: (rank, in) or (rank, in, h, w).
        up: (out, rank) or (out, rank, 1, 1).
        strength: Factor of the update.
        name: Of the weight, for the error.

    Raises:
        UVMapError: `weights_invalid`: the shapes don't fit.
    """
    rank = down.shape[0] if down.ndim else 0
    fits = weight.ndim >= 2 and down.shape[1:] == weight.shape[1:] and up.flatten(1).shape == (weight.shape[0], rank)
    if not fits:
        shapes = f"{tuple(up.shape)} x {tuple(down.shape)}"
        raise UVMapError(
            ErrorCode.WEIGHTS_INVALID, f"The update {shapes} doesn't fit {name}, {tuple(weight.shape)}.", _ANOTHER
        )
    flat = torch.addmm(weight.float().flatten(1), up.float().flatten(1), down.float().flatten(1), alpha=strength)
    return flat.reshape(weight.shape)


def _weight_of(layer: str, weights: Tensors) -> str:
    """Text encoders are saved with or without `text_model.`; the adapter and the base may differ in it."""
    bare = layer.removeprefix("text_model.")
    for name in (f"{layer}.weight", f"{bare}.weight", f"text_model.{bare}.weight"):
        if name in weights:
            return name
    raise _extra(f"{layer}.lora_A.weight")


def _take(tensors: Tensors, name: str) -> Tensor:
    if name not in tensors:
        raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"The tensor {name} is missing.", _ANOTHER)
    return tensors.pop(name)


def _extra(name: str) -> UVMapError:
    return UVMapError(ErrorCode.WEIGHTS_INVALID, f"The tensor {name} belongs to no layer.", _ANOTHER)


def _of_layer(values: Mapping[str, Value], layer: str, otherwise: Value) -> Value:
    return next((value for end, value in values.items() if layer == end or layer.endswith(f".{end}")), otherwise)
