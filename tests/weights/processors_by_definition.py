"""Attention as the papers define it, written without looking at the code that is tested: slow, and plain.

A LoRA layer is `W x + up(down(x))` (arXiv 2106.09685); decoupled cross-attention is
`softmax(Q K^T) V + scale * softmax(Q K'^T) V'` (arXiv 2308.06721), with one query and keys and values of its own
for the identity's tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class LowRank(nn.Module):
    def __init__(self, inner: int, out: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(inner, rank, bias=False)
        self.up = nn.Linear(rank, out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


class DefinedProcessor(nn.Module):
    """One attention's processor; its parameters have the names of UVMap-ID's release.

    Attributes:
        tokens: (B, T, C) of the identity, set before the U-Net is called; only cross-attention reads them.
    """

    def __init__(self, hidden: int, context: int | None, token_size: int, rank: int) -> None:
        super().__init__()
        self.is_cross = context is not None
        self.to_q_lora = LowRank(hidden, hidden, rank)
        self.to_k_lora = LowRank(context or hidden, hidden, rank)
        self.to_v_lora = LowRank(context or hidden, hidden, rank)
        self.to_out_lora = LowRank(hidden, hidden, rank)
        if self.is_cross:
            self.to_k_ip = nn.Linear(token_size, hidden, bias=False)
            self.to_v_ip = nn.Linear(token_size, hidden, bias=False)
        self.tokens: Tensor | None = None
        self.scale = 1.0

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.to_q(hidden_states) + self.to_q_lora(hidden_states)
        key = attn.to_k(context) + self.to_k_lora(context)
        value = attn.to_v(context) + self.to_v_lora(context)
        mixed = attend(query, key, value, attn.heads)
        if self.is_cross and self.tokens is not None:
            mixed = mixed + self.scale * attend(query, self.to_k_ip(self.tokens), self.to_v_ip(self.tokens), attn.heads)
        return attn.to_out[0](mixed) + self.to_out_lora(mixed)


class GivenKeysValues:
    """Decoupled cross-attention on a plain attention, with K' and V' given."""

    def __init__(self, key: Tensor, value: Tensor, scale: float) -> None:
        self.key, self.value, self.scale = key, value, scale

    def __call__(self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, **_: Any) -> Tensor:
        query = attn.to_q(hidden_states)
        mixed = attend(query, attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states), attn.heads)
        return attn.to_out[0](mixed + self.scale * attend(query, self.key, self.value, attn.heads))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V of each head, the heads joined again."""
    query, key, value = (each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in (query, key, value))
    weights = torch.softmax(query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5, dim=-1)
    return (weights @ value).transpose(1, 2).flatten(2)
