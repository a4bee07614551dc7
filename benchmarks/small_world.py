"""A world in which UVMap-ID can be trained from zero in minutes: small textures, and small modules of the real classes.

    python benchmarks/small_world.py FOLDER     # writes FOLDER/weights and FOLDER/dataset

The textures are drawn: a head from the front above a body's cloth, different in skin, hair, eyes, brows, nose and
mouth. The VAE is diffusers' with weights that are worked out instead of trained: it averages 2 x 2 pixels.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from uvmap_id.datasets.folder import METADATA, TEXTURES, Row, metadata_of
from uvmap_id.weights import tiny_modules
from uvmap_id.weights.parts import sd15_config

SIDE = 32
FACE = (slice(2, 20), slice(4, 28))
"""Rows and columns of the face in a texture."""
PROMPT = "wearing a shirt"
# Large beside all that is normalised with it, so that the group normalisations become linear.
_LARGE = 100.0
_SIGNALS = 4
_LATENT_SCALE = 2.0
_LUMA = (0.299, 0.587, 0.114)


def draw_texture(seed: int) -> NDArray[np.uint8]:
    """(32, 32, 3) sRGB of a person; the same seed is the same person."""
    rng = np.random.default_rng(seed)
    fine = 4 * SIDE
    y, x = np.mgrid[0:fine, 0:fine] / fine
    skin = np.array([0.3, 0.19, 0.13]) + rng.uniform(0, 1) * np.array([0.65, 0.62, 0.6])
    hair, eyes, cloth = rng.uniform(0.02, 0.9, 3), rng.uniform(0, 0.8, 3), rng.uniform(0, 1, 3)
    picture = np.ones((fine, fine, 3)) * skin
    picture[np.hypot((x - 0.5) / rng.uniform(0.8, 1.2), y - 0.32) > 0.3] = hair
    picture[y < 0.32 - rng.uniform(0.1, 0.22)] = hair
    apart, eye, brow = rng.uniform(0.09, 0.16), rng.uniform(0.02, 0.05), rng.uniform(0.06, 0.1)
    height = 0.32 - rng.uniform(0, 0.06)
    for side in (-1, 1):
        across = x - 0.5 - side * apart
        picture[np.hypot(across / 1.5, y - height) < eye] = eyes
        picture[(np.abs(across) < 0.07) & (np.abs(y - height + brow) < 0.015)] = hair
    nose = (np.abs(x - 0.5) < rng.uniform(0.01, 0.04)) & (np.abs(y - 0.39) < rng.uniform(0.03, 0.06))
    picture[nose] = 0.7 * skin
    mouth = (np.abs(x - 0.5) < rng.uniform(0.05, 0.14)) & (np.abs(y - 0.5) < rng.uniform(0.01, 0.03))
    picture[mouth] = np.array([0.5, 0.1, 0.1]) + rng.uniform(0, 0.4, 3)
    picture[y > 0.65] = cloth
    small = picture.reshape(SIDE, 4, SIDE, 4, 3).mean(axis=(1, 3))
    return (small.clip(0, 1) * 255).round().astype(np.uint8)


def random_identity(seed: int) -> NDArray[np.float32]:
    """(512,) of unit length. Directions that were drawn apart have next to nothing in common, as strangers have."""
    values = np.random.default_rng([seed, 512]).standard_normal(512)
    return (values / np.linalg.norm(values)).astype(np.float32)


def write_dataset(folder: Path, people: int) -> list[NDArray[np.uint8]]:
    """A dataset of one texture for each person, all with the same words: only the identity tells them apart.

    Returns:
        The textures.
    """
    (folder / TEXTURES).mkdir(parents=True)
    textures = [draw_texture(person) for person in range(people)]
    rows = []
    for person, texture in enumerate(textures):
        name = f"{TEXTURES}/person-{person}.png"
        Image.fromarray(texture).save(folder / name)
        embedding = tuple(map(float, random_identity(person)))
        rows.append(
            Row(name, f"person-{person}", PROMPT, embedding=embedding, consent="drawn by a program", licence="CC0-1.0")
        )
    (folder / METADATA).write_text(metadata_of(rows), encoding="utf-8")
    return textures


def write_weights(
    folder: Path, channels: tuple[int, ...] = (32, 64, 64), seed: int = 0, prediction: str = "v_prediction"
) -> None:
    """Weights that have learnt nothing, in the layout of a Stable Diffusion 1.5 folder.

    Velocity is what Stable Diffusion 2.1 predicts. In its loss it counts who is meant even where nothing but noise is
    seen; in the noise's loss that hardly counts, and a small model is slow to learn it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(**unet_config(channels))
        text = tiny_modules.random_text_encoder(tiny_modules.text_encoder_config())
    write_module(folder / "unet", unet_config(channels), unet.state_dict(), "diffusion_pytorch_model")
    write_module(folder / "text_encoder", tiny_modules.text_encoder_config(), text, "model")
    vae = averaging_vae()
    write_module(folder / "vae", dict(vae.config), vae.state_dict(), "diffusion_pytorch_model")
    write_small_parts(folder, prediction)


def write_small_parts(folder: Path, prediction: str) -> None:
    """The tokenizer, the scheduler, and the file that says what the folder is."""
    tiny_modules.write_tokenizer(folder / "tokenizer")
    (folder / "scheduler").mkdir()
    scheduler = {"_class_name": "DDIMScheduler", **sd15_config("scheduler"), "prediction_type": prediction}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler), encoding="utf-8")
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}', encoding="utf-8")


def unet_config(channels: tuple[int, ...]) -> dict[str, Any]:
    """Stable Diffusion 1.5's with other channels: attention at all levels but the lowest."""
    deep = len(channels) - 1
    return sd15_config("unet") | {
        "block_out_channels": list(channels),
        "down_block_types": [*["CrossAttnDownBlock2D"] * deep, "DownBlock2D"],
        "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * deep],
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "attention_head_dim": 4,
        "cross_attention_dim": tiny_modules.WIDTH,
        "sample_size": SIDE // 2,
    }


def averaging_vae() -> AutoencoderKL:
    """A VAE whose latents are the mean colour of 2 x 2 pixels and the brightness' step across them.

    Every signal has four channels: itself, its negative, and a large constant with either sign. A group normalisation
    over them divides by that constant alone; and what SiLU bends is straight in the difference, as
    silu(x) - silu(-x) = x.
    """
    width = 4 * _SIGNALS
    settings: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (width, width),
        "layers_per_block": 1,
        "norm_num_groups": _SIGNALS,
        "latent_channels": _SIGNALS,
        "scaling_factor": _LATENT_SCALE,
    }
    vae: Any = AutoencoderKL(**settings)
    vae.requires_grad_(False)
    for name, module in vae.named_modules():
        # Residual branches add nothing.
        if name.endswith((".conv2", ".to_out.0")):
            _zero(module)
    encoder, decoder = vae.encoder, vae.decoder
    _spread(encoder.conv_in, torch.cat([torch.eye(3), torch.tensor([_LUMA])]))
    _downsample(encoder.down_blocks[0].downsamplers[0].conv)
    _spread(decoder.conv_in, torch.eye(_SIGNALS))
    _centre(decoder.up_blocks[0].upsamplers[0].conv, torch.eye(width))
    _collect(encoder.conv_norm_out, encoder.conv_out, _SIGNALS)
    encoder.conv_out.bias[_SIGNALS:] = -10.0
    _collect(decoder.conv_norm_out, decoder.conv_out, 3)
    _centre(vae.quant_conv, torch.eye(2 * _SIGNALS))
    _centre(vae.post_quant_conv, torch.eye(_SIGNALS))
    return vae.eval()


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.zero_()


def _centre(conv: nn.Conv2d, matrix: Tensor) -> None:
    """A convolution that multiplies each pixel's channels by a matrix."""
    _zero(conv)
    middle = conv.kernel_size[0] // 2
    conv.weight[:, :, middle, middle] = matrix


def _spread(conv: nn.Conv2d, signals: Tensor) -> None:
    """Signals, each with its negative and the constants."""
    signs = torch.tensor([1.0, -1.0, 0.0, 0.0])
    _centre(conv, torch.einsum("sc,k->skc", signals, signs).flatten(0, 1))
    cast(Tensor, conv.bias).copy_(torch.tensor([0.0, 0.0, _LARGE, -_LARGE]).repeat(_SIGNALS))


def _downsample(conv: nn.Conv2d) -> None:
    """Every second pixel: means of the colours, seven times the step of the brightness, the constants kept."""
    _zero(conv)
    for channel in range(conv.out_channels):
        taps = torch.full((2, 2), 0.25)
        if channel % 4 >= 2:
            taps = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
        elif channel // 4 == _SIGNALS - 1:
            taps = torch.tensor([[3.5, -3.5], [3.5, -3.5]])
        conv.weight[channel, channel, :2, :2] = taps


def _collect(norm: nn.GroupNorm, conv: nn.Conv2d, signals: int) -> None:
    """The signals back from their four channels."""
    norm.weight.fill_(_LARGE / 2**0.5)
    norm.bias.zero_()
    matrix = torch.zeros(conv.out_channels, conv.in_channels)
    for signal in range(signals):
        matrix[signal, 4 * signal], matrix[signal, 4 * signal + 1] = 1.0, -1.0
    _centre(conv, matrix)


def write_module(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor], name: str) -> None:
    """A configuration and tensors as diffusers and transformers save them."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config, default=str), encoding="utf-8")
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / f"{name}.safetensors")


if __name__ == "__main__":
    write_weights(Path(sys.argv[1]) / "weights")
    write_dataset(Path(sys.argv[1]) / "dataset", 8)
