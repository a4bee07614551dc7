"""The training loop: steps, checkpoints, and an end at any time that loses nothing."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.training import state
from uvmap_id.training.average import Average
from uvmap_id.training.batches import Batches
from uvmap_id.training.checkpoint import Checkpoint, Position, write_checkpoint
from uvmap_id.training.config import Config
from uvmap_id.training.logs import Logs, StepFigures
from uvmap_id.training.model import TrainedModel, trained_parameters
from uvmap_id.training.objective import Objective
from uvmap_id.weights.tensors import Tensors

_MANY_STEPS = 300


@dataclass(frozen=True, slots=True)
class Moment:
    """What a person is shown after a step."""

    figures: StepFigures
    steps: int
    steps_per_second: float


class Trainer:
    """One run on one process. All processes call the same methods in the same order.

    Attributes:
        step: Optimiser steps done.
        average: The running average, where there is one.
        stop: Set from a signal handler: the run ends after this step, on all processes.
    """

    def __init__(
        self, model: TrainedModel, batches: Batches, objective: Objective, config: Config, accelerator: Accelerator
    ) -> None:
        """The model is on its device, and what it trains is chosen."""
        self._config = config
        self._accelerator = accelerator
        self._batches = batches
        self._objective = objective
        self.model = model
        self.parameters = trained_parameters(model)
        self._names = list(self.parameters)
        self.average = Average(self.parameters, config.training.ema_decay) if config.training.ema else None
        self.optimizer = _optimizer(self.parameters, config)
        self._may_fall_back = wants_compilation(config, accelerator.device)
        if self._may_fall_back:
            model.compile_unet()
        self._wrapped, self._prepared = accelerator.prepare(model, self.optimizer)
        self.step = 0
        self.stop = False

    def restore(self, checkpoint: Checkpoint, warn: Callable[[str], None]) -> None:
        """Go on from a checkpoint.

        Raises:
            UVMapError: checkpoint_invalid: it is of another model.
        """
        position, parts = checkpoint.position, checkpoint.parts
        state.load_parameters(self.parameters, parts["model"])
        state.load_optimizer(self.optimizer, self._names, parts["optimizer"])
        if self.average is not None:
            state.load_parameters(self.average.tensors, parts.get("average", parts["model"]))
        state.load_scaler(self._accelerator.scaler, position.scaler)
        self.step = position.step
        self._batches.seen, self._batches.seen_prior = position.seen, position.seen_prior
        prefix = f"{self._accelerator.process_index}."
        own = {name.removeprefix(prefix): each for name, each in parts["random"].items() if name.startswith(prefix)}
        if own and position.processes == self._accelerator.num_processes:
            state.load_random_states(own, self._batches.generator)
        else:
            self._batches.generator.manual_seed(self._config.training.seed + 1_000_003 * (self.step + 1))
            warn(
                f"The checkpoint was written by {position.processes} processes, these are "
                f"{self._accelerator.num_processes}: the run goes on, but not with the same random numbers."
            )

    def run(self, logs: Logs | None, every_step: Callable[[Moment], None]) -> bool:
        """Train until the last step, or until `stop`.

        Args:
            logs: Of the main process; None on the others.
            every_step: Called after each step on every process.

        Returns:
            Whether the last step was reached.

        Raises:
            UVMapError: training_diverged, out_of_memory, disk_full, output_not_writable.
        """
        steps = self._config.training.steps
        speed = _Speed()
        self.model.train()
        while self.step < steps and not self._stopped():
            figures = self.one_step()
            speed.step()
            if logs is not None:
                logs.write(figures, speed.per_second)
            every_step(Moment(figures, steps, speed.per_second))
        return self.step >= steps

    def checkpoint(self) -> Checkpoint | None:
        """All that is needed for going on; None on all processes but the main one."""
        states = self._gathered_states()
        if not self._accelerator.is_main_process:
            return None
        parts: dict[str, Tensors] = {
            "model": {name: each.detach() for name, each in self.parameters.items()},
            "optimizer": state.optimizer_tensors(self.optimizer, self._names),
            "random": states,
        }
        if self.average is not None:
            parts["average"] = self.average.tensors
        position = Position(
            step=self.step,
            seen=self._batches.seen,
            seen_prior=self._batches.seen_prior,
            processes=self._accelerator.num_processes,
            scaler=state.scaler_state(self._accelerator.scaler),
            settings=self._config.values(),
        )
        return Checkpoint(position, parts)

    def save(self) -> None:
        """Write a checkpoint, once for all processes.

        Raises:
            UVMapError: disk_full, output_not_writable.
        """
        made = self.checkpoint()
        if made is not None:
            write_checkpoint(self._config.out / "checkpoints", made, self._config.output.keep_checkpoints)
        self._accelerator.wait_for_everyone()

    def one_step(self) -> StepFigures:
        """One step of the optimiser.

        Raises:
            UVMapError: training_diverged, out_of_memory; dataset_unreadable, where latents are not cached.
        """
        try:
            return self._step_or_fall_back()
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
                raise out_of_memory(self._config) from error
            raise

    def _step_or_fall_back(self) -> StepFigures:
        if not self._may_fall_back:
            return self._step()
        self._may_fall_back = False
        generator, seen = self._batches.generator.get_state(), (self._batches.seen, self._batches.seen_prior)
        try:
            return self._step()
        except _compile_errors() as error:
            if self._config.training.compile == "on":
                raise UVMapError(
                    ErrorCode.PACKAGE_MISSING,
                    f"The U-Net can't be compiled here: {str(error).splitlines()[0]}",
                    'Set training.compile to "off".',
                ) from error
            warnings.warn("The U-Net can't be compiled here and runs as it is.", RuntimeWarning, stacklevel=2)
        self.model.use_plain_unet()
        self._prepared.zero_grad()
        self._batches.generator.set_state(generator)
        self._batches.seen, self._batches.seen_prior = seen
        return self._step()

    def _step(self) -> StepFigures:
        config, accelerator = self._config.training, self._accelerator
        rate = config.learning_rate * rate_factor(self._config, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses, length = torch.zeros(3, device=accelerator.device), torch.zeros((), device=accelerator.device)
        for _ in range(config.accumulation):
            with accelerator.accumulate(self._wrapped):
                batch = self._batches.next()
                noised = self._objective.noised(batch.latents, batch.noise, batch.timesteps)
                prediction = self._wrapped(noised, batch.timesteps, batch.text, batch.identity)
                each = self._objective.losses(prediction, batch.latents, batch.noise, batch.timesteps, batch.instances)
                losses += torch.stack([each.total.detach(), each.instance, each.prior]) / config.accumulation
                accelerator.backward(each.total)
                if accelerator.sync_gradients:
                    length = self._gradient_length()
                    self._check_finite(losses, length)
                    self._prepared.step()
                    self._prepared.zero_grad()
        self.step += 1
        if self.average is not None:
            self.average.update(self.step)
        total, instance, prior = self._mean(losses).tolist()
        return StepFigures(self.step, total, instance, prior, rate, float(length))

    def _gradient_length(self) -> Tensor:
        limit = self._config.training.max_gradient or math.inf
        length = self._accelerator.clip_grad_norm_(list(self.parameters.values()), limit)
        return torch.as_tensor(length, device=self._accelerator.device)

    def _check_finite(self, losses: Tensor, length: Tensor) -> None:
        # fp16's scaler skips steps whose gradients overflow: that is its way of finding the scale.
        seen = losses if self._accelerator.scaler is not None else torch.cat([losses, length[None].to(losses)])
        if bool(torch.isfinite(self._mean(seen)).all()):
            return
        raise UVMapError(
            ErrorCode.TRAINING_DIVERGED,
            f"The loss or its gradient is no number any more in step {self.step + 1} "
            f"(loss {float(losses[0]):g}); the checkpoints before it are kept.",
            'Go on from the last one with a lower training.learning_rate, with training.mixed_precision "bf16" or "no" '
            "instead of fp16, or with a training.max_gradient.",
        )

    def _mean(self, values: Tensor) -> Tensor:
        mean = self._accelerator.reduce(values, "mean")
        assert isinstance(mean, Tensor)  # noqa: S101 - reduce keeps the kind
        return mean

    def _stopped(self) -> bool:
        """Whether any process was asked to stop: all have to end after the same step."""
        if self._accelerator.num_processes == 1:
            return self.stop
        asked = torch.tensor(float(self.stop), device=self._accelerator.device)
        return bool(self._mean(asked) > 0)

    def _gathered_states(self) -> Tensors:
        states: Tensors = {}
        for name, each in state.random_states(self._batches.generator).items():
            everyones: Any = self._accelerator.gather(each[None].to(self._accelerator.device))
            states |= {f"{process}.{name}": row for process, row in enumerate(everyones.cpu())}
        return states


class _Speed:
    """Steps a second, of late."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._seconds = 0.0

    def step(self) -> None:
        now = time.monotonic()
        latest, self._last = now - self._last, now
        self._seconds = latest if not self._seconds else 0.9 * self._seconds + 0.1 * latest

    @property
    def per_second(self) -> float:
        return 1 / self._seconds if self._seconds else 0.0


def rate_factor(config: Config, step: int) -> float:
    """The learning rate of a step, counted from 0, as a share of the full one."""
    training = config.training
    if step < training.warmup_steps:
        return (step + 1) / training.warmup_steps
    done = (step - training.warmup_steps) / max(training.steps - training.warmup_steps, 1)
    match training.schedule:
        case "linear":
            return 1 - done
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        case _:
            return 1.0


def wants_compilation(config: Config, device: torch.device) -> bool:
    """Whether compiling the U-Net pays: on a CPU it was measured not to, and a short run is over before it does."""
    training = config.training
    if training.compile == "auto":
        return device.type == "cuda" and training.steps >= _MANY_STEPS and not training.gradient_checkpointing
    return training.compile == "on"


def _compile_errors() -> tuple[type[Exception], ...]:
    # Seconds to import, and only needed where something is compiled.
    from torch._dynamo.exc import TorchDynamoException

    return (TorchDynamoException,)


def out_of_memory(config: Config) -> UVMapError:
    """The failure, with the settings that would help and are not set yet."""
    training, lora = config.training, config.lora
    help_by = {
        "training.gradient_checkpointing = true": not training.gradient_checkpointing,
        'training.mixed_precision = "bf16"': training.mixed_precision == "no",
        f"training.batch_size = {max(training.batch_size // 2, 1)} with "
        f"training.accumulation = {2 * training.accumulation}": training.batch_size > 1,
        "lora.enabled = true": not lora.enabled,
        "training.ema = false": training.ema,
        f"data.size = {config.data.size // 2}": config.data.size >= 512,
    }
    return UVMapError(
        ErrorCode.OUT_OF_MEMORY,
        "The memory does not suffice for this training.",
        f"Set one or more of: {'; '.join(setting for setting, helps in help_by.items() if helps)}.",
    )


def _optimizer(parameters: dict[str, torch.nn.Parameter], config: Config) -> torch.optim.AdamW:
    training = config.training
    return torch.optim.AdamW(
        list(parameters.values()),
        lr=training.learning_rate,
        betas=(training.beta1, training.beta2),
        eps=training.epsilon,
        weight_decay=training.weight_decay,
        fused=True,
    )
