"""What is trained, as one module: text and identity to keys and values, and the U-Net that attends to them.

It attends by the very functions that the pipeline samples with, so that training and inference can't drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from uvmap_id.pipelines.attention import install_processors, make_conditioning
from uvmap_id.pipelines.identity_projection import FaceIdentityProjection
from uvmap_id.pipelines.prompts import encode_portions
from uvmap_id.training.config import Config
from uvmap_id.training.lora import add_lora

Portions = list[list[int]]


@dataclass(frozen=True, slots=True)
class Text:
    """The texts of a batch, each different one once.

    Attributes:
        portions: Tokens of each text in portions that the text encoder can read; empty where `encoded` is there.
        rows: (B,) which text each sample has.
        encoded: (texts, T, C) encodings, if they don't change.
        mask: (texts, T), True where a token of `encoded` counts; None where all do.
    """

    portions: list[Portions]
    rows: Tensor
    encoded: Tensor | None = None
    mask: Tensor | None = None


class TrainedModel(nn.Module):
    """Predicts what was added to latents. Its `state_dict` names are `unet.`, `text_encoder.` and `projection.`."""

    def __init__(
        self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, projection: FaceIdentityProjection
    ) -> None:
        """The U-Net's attention processors are replaced."""
        super().__init__()
        install_processors(unet)
        self.unet = unet
        self.text_encoder = text_encoder
        self.projection = projection
        # A function, not the module: it can be a compiled one, and the module is not to be listed twice.
        self._run_unet: Any = unet.forward

    def forward(self, latents: Tensor, timesteps: Tensor, text: Text, identity: Tensor) -> Tensor:
        """The prediction, (B, 4, h, w) float32.

        Args:
            latents: (B, 4, h, w) with noise.
            timesteps: (B,) of the training's schedule.
            text: Of B samples.
            identity: (B, 512), L2-normalised; zeros are the unconditional identity.
        """
        encoded, mask = text.encoded, text.mask
        if encoded is None:
            encoded, mask = encode_portions(text.portions, self.text_encoder)
        strength = torch.ones(len(latents), device=latents.device)
        conditioning = make_conditioning(
            self.unet,
            encoded[text.rows],
            None if mask is None else mask[text.rows],
            self.projection,
            identity,
            strength,
        )
        extra = {"conditioning": conditioning}
        # The text travels in the conditioning; the place that diffusers has for it stays empty.
        return self._run_unet(latents, timesteps, None, cross_attention_kwargs=extra, return_dict=False)[0].float()

    def compile_unet(self) -> None:
        """Compile the U-Net, which takes a minute or two in the first step."""
        self._run_unet = torch.compile(self.unet.forward)

    def use_plain_unet(self) -> None:
        """Undo `compile_unet`."""
        self._run_unet = self.unet.forward


def choose_trained(model: TrainedModel, config: Config) -> None:
    """Freeze what is not trained, and add the low-rank updates if there are to be any."""
    model.requires_grad_(False)
    if config.lora.enabled:
        for name in _trained_attentions(config):
            add_lora(model.get_submodule(name), name, config.lora.rank, config.lora.alpha, config.training.seed)
    else:
        model.unet.requires_grad_(config.model.train_unet)
        model.text_encoder.requires_grad_(config.model.train_text_encoder)
    model.projection.requires_grad_(config.model.train_identity)


def _trained_attentions(config: Config) -> list[str]:
    wanted = {"unet": config.model.train_unet, "text_encoder": config.model.train_text_encoder}
    return [name for name, trained in wanted.items() if trained]


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """What the optimiser changes, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def new_projection(hidden_sizes: list[int], token_size: int, seed: int) -> FaceIdentityProjection:
    """An identity projection that has learnt nothing, and adds nothing: its values are zero.

    The model begins as its base; the first step gives the values a direction, and with it the rest.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projection = FaceIdentityProjection(hidden_sizes, token_size=token_size)
    for layer in projection.layers:
        nn.init.zeros_(layer.get_submodule("to_v_ip").weight)  # pyright: ignore[reportArgumentType]
    return projection
