"""Stable Diffusion's U-Net as two functions: one that does all of it, and one that does the rim alone.

What the deep layers see changes slowly from step to step, so their result can be kept for a few steps while only the
layers nearest to the latents run (DeepCache, arXiv 2312.00858, with its branch 0). Two plain functions instead of
hooks: each can be compiled, and what is kept is a value that the caller holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from uvmap_id.link.errors import ErrorCode, UVMapError

from .attention import Conditioning, install_processors


class SplitUNet:
    """Runs a U-Net of Stable Diffusion 1 or 2 with the processors of `attention`."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        """The U-Net's attention processors are replaced.

        Raises:
            UVMapError: `weights_unsupported`: the U-Net wants more than text, as Stable Diffusion XL's does.
        """
        if unet.config["addition_embed_type"] is not None or unet.class_embedding is not None:
            raise UVMapError(
                ErrorCode.WEIGHTS_UNSUPPORTED,
                "This U-Net is not one of Stable Diffusion 1 or 2.",
                "Choose weights that are made from Stable Diffusion 1.5.",
            )
        install_processors(unet)
        self.unet = unet
        # diffusers leaves the types of a U-Net's parts open.
        self._net: Any = unet
        self._run_full = self._full
        self._run_rim = self._rim

    def compile(self, **options: Any) -> None:
        """Compile both functions; `options` are `torch.compile`'s, by default what suits a graphics card."""
        chosen = options or {"mode": "reduce-overhead", "fullgraph": True}
        self._run_full = torch.compile(self._full, **chosen)
        self._run_rim = torch.compile(self._rim, **chosen)

    @property
    def divisor(self) -> int:
        """What the latents' height and width must be divisible by."""
        return 2 ** (len(self.unet.config["block_out_channels"]) - 1)

    def full(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> tuple[Tensor, Tensor]:
        """All of the U-Net.

        Args:
            latents: (B, 4, h, w), scaled as the scheduler wants them.
            timestep: () of the training's schedule.
            conditioning: For these B samples.

        Returns:
            The prediction (B, 4, h, w), and the deep features (B, C, h, w) for `rim`.
        """
        torch.compiler.cudagraph_mark_step_begin()
        prediction, deep = self._run_full(latents, timestep, conditioning)
        # Compiled for CUDA, the next call would write into the same memory.
        return prediction, deep if self._run_full == self._full else deep.clone()

    def _full(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> tuple[Tensor, Tensor]:
        unet = self._net
        time = self._time(latents, timestep)
        extra = {"conditioning": conditioning}
        rim = unet.conv_in(latents)
        hidden, kept = rim, [rim]
        for block in unet.down_blocks:
            hidden, added = _run_block(block, hidden, time, extra)
            kept += added
        hidden = unet.mid_block(hidden, time, cross_attention_kwargs=extra)
        for block in unet.up_blocks[:-1]:
            hidden = _run_up_block(block, hidden, _taken(kept, len(block.resnets)), time, extra)
        last = unet.up_blocks[-1]
        skips = _taken(kept, len(last.resnets))
        for layer in range(len(last.resnets) - 1):
            hidden = _run_layer(last, layer, hidden, skips[-1 - layer], time, extra)
        return self._finish(hidden, rim, time, extra), hidden

    def rim(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, deep: Tensor) -> Tensor:
        """The layers nearest to the latents, on deep features that `full` gave a few steps ago.

        Args:
            latents: As for `full`.
            timestep: As for `full`.
            conditioning: As for `full`.
            deep: (B, C, h, w)

        Returns:
            The prediction (B, 4, h, w).
        """
        torch.compiler.cudagraph_mark_step_begin()
        return self._run_rim(latents, timestep, conditioning, deep)

    def _rim(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, deep: Tensor) -> Tensor:
        extra = {"conditioning": conditioning}
        return self._finish(deep, self.unet.conv_in(latents), self._time(latents, timestep), extra)

    def _time(self, latents: Tensor, timestep: Tensor) -> Tensor:
        unet = self._net
        return unet.time_embedding(unet.get_time_embed(latents, timestep.expand(latents.shape[0])), None)

    def _finish(self, hidden: Tensor, rim: Tensor, time: Tensor, extra: dict[str, Conditioning]) -> Tensor:
        unet = self._net
        last = unet.up_blocks[-1]
        hidden = _run_layer(last, len(last.resnets) - 1, hidden, rim, time, extra)
        return unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))


def _run_block(
    block: nn.Module, hidden: Tensor, time: Tensor, extra: dict[str, Conditioning]
) -> tuple[Tensor, Sequence[Tensor]]:
    if getattr(block, "has_cross_attention", False):
        return block(hidden, temb=time, cross_attention_kwargs=extra)
    return block(hidden, temb=time)


def _run_up_block(
    block: nn.Module, hidden: Tensor, skips: Sequence[Tensor], time: Tensor, extra: dict[str, Conditioning]
) -> Tensor:
    if getattr(block, "has_cross_attention", False):
        return block(hidden, tuple(skips), temb=time, cross_attention_kwargs=extra)
    return block(hidden, tuple(skips), temb=time)


def _run_layer(
    block: nn.Module, layer: int, hidden: Tensor, skip: Tensor, time: Tensor, extra: dict[str, Conditioning]
) -> Tensor:
    """One layer of an up block: residual block and, where there is one, its transformer."""
    hidden = cast(nn.ModuleList, block.resnets)[layer](torch.cat([hidden, skip], dim=1), time)
    if getattr(block, "has_cross_attention", False):
        hidden = cast(nn.ModuleList, block.attentions)[layer](hidden, cross_attention_kwargs=extra, return_dict=False)[
            0
        ]
    return hidden


def _taken(kept: list[Tensor], count: int) -> list[Tensor]:
    """The last `count` of the kept features, which are forgotten."""
    taken = kept[-count:]
    del kept[-count:]
    return taken
