"""The denoising loop: every sample with its own text, identity, seed and guidance, whatever runs beside it.

diffusers' own pipelines mix the identities of a batch (huggingface/diffusers issue 9813); here nothing of one sample
reaches another, so that a result does not depend on the batch that it was made in.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .anchor import LatentAnchor
from .attention import Conditioning
from .presets import Preset, StepPlan, plan_steps, skipped
from .split_unet import SplitUNet

StepCallback = Callable[[int, int, Tensor], None]


@dataclass(frozen=True, slots=True)
class Samples:
    """One batch before its first step.

    Attributes:
        noise: (B, 4, h, w) float32 of unit variance.
        conditioning: For 2B samples: the unconditional ones first.
        guidance: (B,) classifier-free guidance scales.
        generators: B of them, for schedulers that add noise as they go.
        anchor: What holds the face, if anything.
    """

    noise: Tensor
    conditioning: Conditioning
    guidance: Tensor
    generators: list[torch.Generator]
    anchor: LatentAnchor | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a batch has in common.

    Attributes:
        scheduler: Made for this run.
        steps: Denoising steps.
        preset: What may be left out.
        guidance_start: Fraction of the steps where guidance sets in.
        guidance_stop: Fraction of the steps where it ends.
    """

    scheduler: Any
    steps: int
    preset: Preset
    guidance_start: float
    guidance_stop: float


class Denoiser:
    """Takes one batch from noise to latents."""

    def __init__(self, unet: SplitUNet, samples: Samples, schedule: Schedule) -> None:
        """The scheduler is set to its first step."""
        self._unet = unet
        self._samples = samples
        self._scheduler = schedule.scheduler
        self._scheduler.set_timesteps(schedule.steps, device=samples.noise.device)
        self._timesteps = self._scheduler.timesteps
        self._first = self._first_step()
        guided = bool((samples.guidance != 1).any())
        self.plans = plan_steps(
            len(self._timesteps) - self._first, schedule.preset, schedule.guidance_start, schedule.guidance_stop, guided
        )
        self.skipped = skipped(self.plans, schedule.preset)
        self._conditional = samples.conditioning.rows(samples.noise.shape[0])
        self._deep: Tensor | None = None

    @property
    def steps(self) -> int:
        """How many steps there are to do."""
        return len(self.plans)

    def run(self, on_step: StepCallback | None) -> Tensor:
        """(B, 4, h, w) float32 latents without noise. `on_step` is called after each step and may raise."""
        latents = self._start()
        extra = self._step_options()
        for step, plan in enumerate(self.plans):
            timestep = self._timesteps[self._first + step]
            prediction = self._predict(latents, timestep, plan)
            latents = self._scheduler.step(prediction, timestep, latents, **extra, return_dict=False)[0]
            latents = self._anchored(latents, self._first + step)
            if on_step is not None:
                on_step(step + 1, self.steps, latents)
        return latents

    def _first_step(self) -> int:
        anchor = self._samples.anchor
        if anchor is None:
            return 0
        first = anchor.first_step(len(self._timesteps))
        return first - first % self._scheduler.order

    def _start(self) -> Tensor:
        anchor, noise = self._samples.anchor, self._samples.noise
        if anchor is None or self._first == 0:
            return noise * self._scheduler.init_noise_sigma
        if hasattr(self._scheduler, "set_begin_index"):
            self._scheduler.set_begin_index(self._first)
        return self._noised(anchor, self._first)

    def _predict(self, latents: Tensor, timestep: Tensor, plan: StepPlan) -> Tensor:
        count = latents.shape[0]
        scaled = self._scheduler.scale_model_input(latents, timestep).to(self._unet.unet.dtype)
        conditioning = self._samples.conditioning if plan.guided else self._conditional
        if plan.guided:
            scaled = torch.cat([scaled, scaled])
        if plan.deep or self._deep is None:
            prediction, self._deep = self._unet.full(scaled, timestep, conditioning)
        else:
            # Where guidance has just ended, the conditional half of the deep features goes on.
            prediction = self._unet.rim(scaled, timestep, conditioning, self._deep[-scaled.shape[0] :])
        prediction = prediction.float()
        if not plan.guided:
            return prediction
        unconditional, conditional = prediction[:count], prediction[count:]
        scale = self._samples.guidance[:, None, None, None]
        return unconditional + scale * (conditional - unconditional)

    def _anchored(self, latents: Tensor, step: int) -> Tensor:
        anchor = self._samples.anchor
        if anchor is None or not anchor.holds(step, len(self._timesteps)):
            return latents
        last = step + 1 == len(self._timesteps)
        return anchor.put_back(latents, anchor.latents if last else self._noised(anchor, step + 1))

    def _noised(self, anchor: LatentAnchor, step: int) -> Tensor:
        noise = self._samples.noise
        timestep = self._timesteps[step].expand(noise.shape[0])
        return self._scheduler.add_noise(anchor.latents.to(noise), noise, timestep)

    def _step_options(self) -> dict[str, Any]:
        takes_generator = "generator" in inspect.signature(self._scheduler.step).parameters
        return {"generator": self._samples.generators} if takes_generator else {}
