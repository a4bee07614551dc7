"""The names that Stable Diffusion 1.5's tensors have in one file, from those that they have in diffusers.

The single file numbers the layers of a block through (`input_blocks.4.1`); diffusers names blocks, resnets and
attentions apart (`down_blocks.1.attentions.0`). All names here are without the module's prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
TEXT_ENCODER_PREFIX = "cond_stage_model.transformer."
TEXT_MODEL = "text_model."
"""Begins the names of a CLIP text encoder or not, depending on the version of transformers that saved it."""

_UNET_HEADS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_PARTS = {
    "mid_block.resnets.0.": "mid.block_1.",
    "mid_block.resnets.1.": "mid.block_2.",
    "mid_block.attentions.0.": "mid.attn_1.",
    "conv_norm_out": "norm_out",
    "conv_shortcut": "nin_shortcut",
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def unet_name(name: str, layers_per_block: int, attention_ups: Iterable[int]) -> str:
    """The name of a U-Net's tensor in a single file.

    Args:
        name: The name in diffusers, e.g. "down_blocks.1.resnets.0.norm1.weight".
        layers_per_block: Of the U-Net.
        attention_ups: Numbers of the up blocks that have attention: there the upsampler comes third, not second.
    """
    for head, other in _UNET_HEADS.items():
        if name.startswith(f"{head}."):
            return other + _unet_tail(head, name.removeprefix(head))
    match = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)(\..+)", name)
    if not match:
        return name
    side, part, tail = match[1], match[3], match[5]
    block, layer = int(match[2]), int(match[4])
    if part == "downsamplers":
        return f"input_blocks.{(block + 1) * (layers_per_block + 1)}.0{tail.replace('.conv.', '.op.')}"
    if part == "upsamplers":
        place = 2 if block in set(attention_ups) else 1
        return f"output_blocks.{block * (layers_per_block + 1) + layers_per_block}.{place}{tail}"
    number = block * (layers_per_block + 1) + layer + (1 if side == "down" else 0)
    place = 0 if part == "resnets" else 1
    return f"{'input' if side == 'down' else 'output'}_blocks.{number}.{place}{_unet_tail(part, tail)}"


def vae_name(name: str, blocks: int) -> str:
    """The name of a VAE's tensor in a single file.

    Args:
        name: The name in diffusers, e.g. "decoder.up_blocks.0.resnets.0.conv1.weight".
        blocks: How many blocks the encoder, and the decoder, has.
    """
    name = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", name)
    # The single file counts the decoder's blocks from the image, diffusers from the latents.
    name = re.sub(r"up_blocks\.(\d+)\.", lambda match: f"up.{blocks - 1 - int(match[1])}.", name)
    name = re.sub(r"(up\.\d+)\.resnets\.", r"\1.block.", name)
    name = re.sub(r"(up\.\d+)\.upsamplers\.0\.", r"\1.upsample.", name)
    for part, other in _VAE_PARTS.items():
        name = name.replace(part, other)
    return name


def _unet_tail(head: str, tail: str) -> str:
    """What follows the layer: `head` says whether it is a resnet, whose own layers have other names."""
    if "resnets" not in head:
        return tail
    part, _, rest = tail.removeprefix(".").partition(".")
    return f".{_UNET_RESNET.get(part, part)}.{rest}"
