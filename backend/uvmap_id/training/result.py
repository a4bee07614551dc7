"""The finished model in the fused format, which the engine loads as it is."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import init_empty_weights
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextModel

from uvmap_id.training.average import Average
from uvmap_id.training.config import Config
from uvmap_id.training.lora import folded_tensors
from uvmap_id.training.model import TrainedModel
from uvmap_id.weights.convert import write_fused
from uvmap_id.weights.load import Components, empty, fill
from uvmap_id.weights.tensors import Tensors

SOURCE = "trained"


def write_result(
    model: TrainedModel, average: Average | None, components: Components, config: Config, card: str
) -> Path:
    """Write `model/` in the run's folder, in place of an earlier one.

    Raises:
        UVMapError: disk_full, output_not_writable.
    """
    dtype = getattr(torch, config.output.dtype)
    folder = config.out / "model"
    with average.in_place() if average is not None else nullcontext():
        finished = _finished(model, components, dtype)
        write_fused(
            folder,
            finished,
            dtype,
            source=SOURCE,
            licence=config.output.licence,
            overwrite=True,
            texts={"README.md": card},
        )
    return folder


def _finished(model: TrainedModel, components: Components, dtype: torch.dtype) -> Components:
    """Plain modules on the CPU: updates folded in, nothing of the training left."""
    unet = empty(UNet2DConditionModel, dict(model.unet.config))
    vae = empty(AutoencoderKL, dict(components.vae.config))
    with init_empty_weights(include_buffers=False):
        text_encoder = CLIPTextModel(model.text_encoder.config)
    return replace(
        components,
        unet=fill(unet, _on_cpu(folded_tensors(model.unet)), dtype),
        vae=fill(vae, _on_cpu(components.vae.state_dict()), dtype),
        text_encoder=fill(text_encoder, _on_cpu(folded_tensors(model.text_encoder)), torch.float32),
        identity_projection=model.projection,
    )


def _on_cpu(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}
