"""The loss: how well the noise is told from the texture (UVMap-ID, section 3.2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import SchedulerMixin
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Losses:
    """Of one batch.

    Attributes:
        total: instance + prior weight x prior, with gradients.
        instance: Mean over the textures.
        prior: Mean over the class images; 0 where there are none.
    """

    total: Tensor
    instance: Tensor
    prior: Tensor


class Objective:
    """Noise in, loss out, on the weights' own noise schedule."""

    def __init__(self, scheduler: SchedulerMixin, prior_weight: float, min_snr: float, device: torch.device) -> None:
        """`min_snr` is gamma of Min-SNR weighting; 0 weighs all times alike."""
        config: Any = scheduler.config  # pyright: ignore[reportAttributeAccessIssue]
        products: Tensor = scheduler.alphas_cumprod  # pyright: ignore[reportAttributeAccessIssue]
        self.times = len(products)
        self._kept = products.to(device, torch.float32)
        self._prediction: str = config["prediction_type"]
        self._prior_weight = prior_weight
        self._min_snr = min_snr

    def noised(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the U-Net is shown: sqrt(a) latents + sqrt(1 - a) noise."""
        kept = self._kept[timesteps][:, None, None, None]
        return kept.sqrt() * latents + (1 - kept).sqrt() * noise

    def losses(self, prediction: Tensor, latents: Tensor, noise: Tensor, timesteps: Tensor, instances: int) -> Losses:
        """The losses of a batch whose first `instances` samples are textures, and the others class images."""
        target = noise if self._prediction == "epsilon" else self._velocity(latents, noise, timesteps)
        each = (prediction - target).square().mean(dim=(1, 2, 3))
        if self._min_snr:
            each = each * self._weight(timesteps)
        instance = each[:instances].mean()
        prior = each[instances:].mean() if len(each) > instances else torch.zeros_like(instance)
        return Losses(instance + self._prior_weight * prior, instance.detach(), prior.detach())

    def _velocity(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """ArXiv 2202.00512: sqrt(a) noise - sqrt(1 - a) latents."""
        kept = self._kept[timesteps][:, None, None, None]
        return kept.sqrt() * noise - (1 - kept).sqrt() * latents

    def _weight(self, timesteps: Tensor) -> Tensor:
        """ArXiv 2303.09556, section 3.4: min(SNR, gamma) / SNR for noise, / (SNR + 1) for velocity."""
        kept = self._kept[timesteps]
        ratio = kept / (1 - kept)
        least = ratio.clamp(max=self._min_snr)
        return least / (ratio if self._prediction == "epsilon" else ratio + 1)
