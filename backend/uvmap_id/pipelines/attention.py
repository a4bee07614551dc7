"""Decoupled cross-attention with everything that is constant over the steps computed once.

Section 3.2.1 of UVMap-ID (arXiv 2404.14568): Z' = softmax(QK^T / sqrt(d)) V + softmax(QK'^T / sqrt(d)) V', where K
and V come from the text and K' and V' from the identity. Neither changes while a texture is denoised, so both are made
before the first step and travel beside the latents; the processors here hold no state and no weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from diffusers import UNet2DConditionModel
from torch import Tensor

from .identity_projection import FaceIdentityProjection, cross_attention_names

# Rows of the score matrix that are worked on at once on a CPU: for all heads they fit its caches.
_ROWS = 128
# With fewer keys the fused kernel is the faster one.
_MANY_KEYS = 256


class AttentionLayer(Protocol):
    """What is used here of diffusers' `Attention`."""

    heads: int
    to_q: Callable[[Tensor], Tensor]
    to_k: Callable[[Tensor], Tensor]
    to_v: Callable[[Tensor], Tensor]
    to_out: Sequence[Callable[[Tensor], Tensor]]


class LayerConditioning(NamedTuple):
    """Keys and values of one cross-attention layer, each (B, heads, tokens, head size)."""

    text_key: Tensor
    text_value: Tensor
    identity_key: Tensor | None
    identity_value: Tensor | None

    def rows(self, start: int) -> LayerConditioning:
        """The same for the samples from `start` on."""
        identity = self.identity_key, self.identity_value
        key, value = (None if part is None else part[start:] for part in identity)
        return LayerConditioning(self.text_key[start:], self.text_value[start:], key, value)


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the U-Net is told beside the latents and the time.

    Attributes:
        layers: One for each cross-attention layer, in the order of `cross_attention_names`.
        text_mask: (B, 1, 1, T), True where a text token counts; None where all do.
    """

    layers: tuple[LayerConditioning, ...]
    text_mask: Tensor | None

    def rows(self, start: int) -> Conditioning:
        """The same for the samples from `start` on."""
        layers = tuple(layer.rows(start) for layer in self.layers)
        return Conditioning(layers, None if self.text_mask is None else self.text_mask[start:])


class SelfAttention:
    """Processor of attn1; takes the conditioning that its neighbour needs, and leaves it."""

    def __call__(
        self,
        attn: AttentionLayer,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        conditioning: Conditioning | None = None,
    ) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        del encoder_hidden_states, attention_mask, conditioning
        query, key, value = (_split(to(hidden_states), attn.heads) for to in (attn.to_q, attn.to_k, attn.to_v))
        return attn.to_out[0](_join(attend(query, key, value)))


class DecoupledCrossAttention:
    """Processor of attn2: the text's attention plus the identity's."""

    def __init__(self, layer: int) -> None:
        """`layer` is its place in `Conditioning.layers`."""
        self.layer = layer

    def __call__(
        self,
        attn: AttentionLayer,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        conditioning: Conditioning | None = None,
    ) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        del encoder_hidden_states, attention_mask
        if conditioning is None:
            raise TypeError("The U-Net was called without its conditioning.")
        layer = conditioning.layers[self.layer]
        query = _split(attn.to_q(hidden_states), attn.heads)
        attended = attend(query, layer.text_key, layer.text_value, conditioning.text_mask)
        if layer.identity_key is not None and layer.identity_value is not None:
            attended = attended + attend(query, layer.identity_key, layer.identity_value)
        return attn.to_out[0](_join(attended))


def install_processors(unet: UNet2DConditionModel) -> None:
    """Have a U-Net attend in the way of this module."""
    places = {f"{name}.processor": place for place, name in enumerate(cross_attention_names(unet))}
    unet.set_attn_processor(
        {
            name: DecoupledCrossAttention(places[name]) if name in places else SelfAttention()
            for name in unet.attn_processors
        }  # pyright: ignore[reportArgumentType] - the annotation lists diffusers' own classes only
    )


def make_conditioning(
    unet: UNet2DConditionModel,
    text: Tensor,
    text_mask: Tensor | None,
    projection: FaceIdentityProjection | None,
    identity: Tensor | None,
    strength: Tensor,
) -> Conditioning:
    """Keys and values for all layers.

    Args:
        unet: Whose layers they are for.
        text: (B, T, C) from the text encoder.
        text_mask: (B, T), True where a token counts; None where all do.
        projection: The identity's; None for weights that know no identity.
        identity: (B, 512), L2-normalised or zeros; None leaves the identity out.
        strength: (B,) weight of the identity beside the text.
    """
    attentions = [cast(AttentionLayer, unet.get_submodule(name)) for name in cross_attention_names(unet)]
    text = text.to(unet.dtype)
    pairs: list[tuple[Tensor, Tensor]] | None = None
    if projection is not None and identity is not None:
        pairs = projection.keys_values(projection(identity))
    layers = []
    for place, attention in enumerate(attentions):
        heads = attention.heads
        text_key, text_value = (_split(to(text), heads).contiguous() for to in (attention.to_k, attention.to_v))
        key = value = None
        if pairs is not None:
            key, value = (_split(part, heads).contiguous().to(unet.dtype) for part in pairs[place])
            # Attention is linear in the values, so the strength can go there.
            value = value * strength.to(value)[:, None, None, None]
        layers.append(LayerConditioning(text_key, text_value, key, value))
    return Conditioning(tuple(layers), None if text_mask is None else text_mask[:, None, None, :])


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(QK^T / sqrt(d)) V.

    Args:
        query: (B, heads, N, d)
        key: (B, heads, T, d)
        value: (B, heads, T, d)
        mask: (B, 1, 1, T), True where a key counts.
    """
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and key.shape[2] >= _MANY_KEYS:
        return _attend_by_rows(query, key, value, mask)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _attend_by_rows(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """The same in plain matrix products, whose bfloat16 kernels are twice as fast as the fused one on CPUs."""
    # Copies: batched products of strided matrices fall back to slow kernels.
    turned = (key * query.shape[-1] ** -0.5).transpose(-1, -2).contiguous().flatten(0, 1)
    query_rows, values = query.contiguous().flatten(0, 1), value.contiguous().flatten(0, 1)
    hidden = None
    if mask is not None and not bool(mask.all()):
        hidden = (~mask).expand(-1, query.shape[1], -1, -1).flatten(0, 1)
    attended = torch.empty_like(query_rows)
    for top in range(0, query_rows.shape[1], _ROWS):
        scores = torch.bmm(query_rows[:, top : top + _ROWS], turned)
        if hidden is not None:
            scores.masked_fill_(hidden, float("-inf"))
        attended[:, top : top + _ROWS] = torch.bmm(torch.softmax(scores, -1), values)
    return attended.unflatten(0, query.shape[:2])


def _split(tokens: Tensor, heads: int) -> Tensor:
    """(B, N, heads * d) -> (B, heads, N, d)"""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def _join(tokens: Tensor) -> Tensor:
    """(B, heads, N, d) -> (B, N, heads * d)"""
    return tokens.transpose(1, 2).flatten(2)
