"""Tiny modules with random weights, shaped like Stable Diffusion 1.5's and 2.1's: the same layers, a few channels each.

The U-Net has attention where the large one has it, so that 16 cross-attentions are to be numbered; its blocks differ
in width, so that a wrong number doesn't fit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from uvmap_id.pipelines.identity_projection import FaceIdentityProjection, cross_attention_sizes
from uvmap_id.weights.fold import LORA_LAYERS
from uvmap_id.weights.parts import Config, sd15_config
from uvmap_id.weights.single_file import TEXT_MODEL
from uvmap_id.weights.tensors import Tensors

WIDTH = 32
"""Of a token of the text."""
RANK = 4
TOKENS = 77

_START, _END = "<|startoftext|>", "<|endoftext|>"


def unet_config(*, second: bool = False) -> Config:
    """Of Stable Diffusion 1.5, or the second version, with few channels."""
    tiny = {"block_out_channels": [4, 8, 16, 16], "norm_num_groups": 4, "cross_attention_dim": WIDTH}
    config = sd15_config("unet") | tiny | {"attention_head_dim": 4}
    return config | ({"use_linear_projection": True} if second else {})


def vae_config() -> Config:
    """4 latent channels, 8 pixels to a latent."""
    return sd15_config("vae") | {"block_out_channels": [4, 4, 8, 8], "norm_num_groups": 2, "layers_per_block": 1}


def text_encoder_config(*, second: bool = False) -> Config:
    """CLIP's, or OpenCLIP's for the second version."""
    tiny = {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "projection_dim": WIDTH,
        "vocab_size": len(vocabulary()),
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "hidden_act": "gelu" if second else "quick_gelu",
    }
    start, end = vocabulary()[_START], vocabulary()[_END]
    ends = {"bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
    return sd15_config("text_encoder") | tiny | ends


def random_unet(config: Config) -> UNet2DConditionModel:
    """With PyTorch's own random start."""
    return UNet2DConditionModel(**config)


def random_tensors(module: nn.Module) -> Tensors:
    """A copy of the module's tensors."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def random_vae() -> Tensors:
    """Tensors of a VAE of `vae_config`."""
    return random_tensors(AutoencoderKL(**vae_config()))


def random_text_encoder(config: Config) -> Tensors:
    """Tensors of a text encoder, all names beginning with `text_model.`."""
    tensors = random_tensors(CLIPTextModel(CLIPTextConfig(**config)))
    return {TEXT_MODEL + name.removeprefix(TEXT_MODEL): tensor for name, tensor in tensors.items()}


def random_processors(unet: UNet2DConditionModel) -> Tensors:
    """What UVMap-ID adds to every attention, under the release's names."""
    tensors: Tensors = {}
    weights = unet.state_dict()
    for name in (name.removesuffix(".processor") for name in unet.attn_processors):
        for pair, layer in LORA_LAYERS.items():
            out, inner = weights[f"{name}.{layer}.weight"].shape
            tensors[f"{name}.processor.{pair}_lora.down.weight"] = torch.randn(RANK, inner) / inner**0.5
            tensors[f"{name}.processor.{pair}_lora.up.weight"] = torch.randn(out, RANK) * 0.1
        if name.endswith("attn2"):
            hidden = len(weights[f"{name}.to_k.weight"])
            for layer in ("to_k_ip", "to_v_ip"):
                tensors[f"{name}.processor.{layer}.weight"] = torch.randn(hidden, WIDTH) / WIDTH**0.5
    return tensors


def random_projection(unet: UNet2DConditionModel) -> Tensors:
    """`proj` and `norm` of an identity projection; in half precision, because an embedding is as long as ever."""
    projection = FaceIdentityProjection(cross_attention_sizes(unet), token_size=WIDTH)
    tensors = random_tensors(projection)
    return {name: tensor.half() for name, tensor in tensors.items() if not name.startswith("layers.")}


def random_lora(weights: Tensors, layers: tuple[str, ...]) -> Tensors:
    """A LoRA as PEFT saves it, of all layers whose names end in one of `layers`."""
    tensors: Tensors = {}
    for name, weight in weights.items():
        layer = name.removesuffix(".weight")
        if name.endswith(".weight") and layer.endswith(layers):
            out, inner = weight.shape
            tensors[f"base_model.model.{layer}.lora_A.weight"] = torch.randn(RANK, inner) / inner**0.5
            tensors[f"base_model.model.{layer}.lora_B.weight"] = torch.randn(out, RANK) * 0.1
    return tensors


def vocabulary() -> dict[str, int]:
    """A token for each byte, inside and at the end of a word: any text can be written with it."""
    characters = _byte_characters()
    tokens = [*characters, *(f"{character}</w>" for character in characters), _START, _END]
    return {token: number for number, token in enumerate(tokens)}


def write_tokenizer(folder: Path) -> None:
    """A CLIP tokenizer of `vocabulary`, in the form that all versions of transformers read."""
    folder.mkdir(parents=True)
    ends: dict[str, Any] = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": _END}
    settings = {**ends, "model_max_length": TOKENS, "tokenizer_class": "CLIPTokenizer", "do_lower_case": True}
    (folder / "vocab.json").write_text(json.dumps(vocabulary(), ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(ends), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _byte_characters() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary: itself, or one from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]
