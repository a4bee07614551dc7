"""The identity's way into the U-Net: from one face embedding to keys and values of every cross-attention.

UVMap-ID (arXiv 2404.14568, section 3.2.1) follows IP-Adapter-FaceID: the embedding becomes a few tokens beside the
text's, and each cross-attention layer has keys and values of its own for them.
"""

from __future__ import annotations

from typing import cast

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn


class IdentityKeyValue(nn.Module):
    """K' and V' of one cross-attention layer."""

    def __init__(self, token_size: int, hidden_size: int) -> None:
        """From tokens of `token_size` to the layer's `hidden_size`."""
        super().__init__()
        self.to_k_ip = nn.Linear(token_size, hidden_size, bias=False)
        self.to_v_ip = nn.Linear(token_size, hidden_size, bias=False)


class FaceIdentityProjection(ModelMixin, ConfigMixin):
    """512 -> 4 x 768, and on into each layer.

    Attributes:
        proj: embedding -> 2 x embedding -> tokens x token size, with GELU between.
        norm: LayerNorm over each token.
        layers: One `IdentityKeyValue` a cross-attention layer, in the order of `cross_attention_names`.
    """

    @register_to_config
    def __init__(
        self,
        hidden_sizes: tuple[int, ...] | list[int],
        embedding_size: int = 512,
        token_size: int = 768,
        tokens: int = 4,
    ) -> None:
        """`hidden_sizes` are those of the U-Net's cross-attention layers."""
        super().__init__()
        self.proj = nn.Sequential(
            nn.Linear(embedding_size, 2 * embedding_size),
            nn.GELU(),
            nn.Linear(2 * embedding_size, tokens * token_size),
        )
        self.norm = nn.LayerNorm(token_size)
        self.layers = nn.ModuleList(IdentityKeyValue(token_size, size) for size in hidden_sizes)

    def forward(self, embeddings: Tensor) -> Tensor:
        """The identity's tokens.

        Args:
            embeddings: (B, 512), L2-normalised; zeros are the unconditional identity.

        Returns:
            (B, 4, 768)
        """
        weight = self.norm.weight
        tokens = self.proj(embeddings.to(weight.dtype))
        return self.norm(tokens.unflatten(-1, (-1, weight.shape[0])))

    def keys_values(self, tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(K', V') of each layer, (B, 4, hidden size) each, for tokens (B, 4, 768)."""
        layers = [cast(IdentityKeyValue, layer) for layer in self.layers]
        return [(layer.to_k_ip(tokens), layer.to_v_ip(tokens)) for layer in layers]


def cross_attention_names(unet: nn.Module) -> list[str]:
    """Paths of the U-Net's cross-attention layers, e.g. "down_blocks.0.attentions.0.transformer_blocks.0.attn2".

    The order is that of `unet.attn_processors`: down, up, mid. IP-Adapter numbers its tensors in this order.
    """
    processors = cast("dict[str, object]", unet.attn_processors)
    return [name.removesuffix(".processor") for name in processors if name.endswith("attn2.processor")]


def cross_attention_sizes(unet: nn.Module) -> list[int]:
    """The hidden size of each layer that `cross_attention_names` names."""
    keys = (unet.get_submodule(f"{name}.to_k") for name in cross_attention_names(unet))
    return [cast(nn.Linear, key).out_features for key in keys]
