"""A whole training: from a configuration to a model that the engine loads."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pipelines.hardware import use_channels_last
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline
from uvmap_id.training.batches import Batches, Share
from uvmap_id.training.begin import begin, identity_models
from uvmap_id.training.card import model_card
from uvmap_id.training.checkpoint import Checkpoint, has_checkpoints, read_latest
from uvmap_id.training.config import Config, differences, to_toml
from uvmap_id.training.data import TrainingData, read_training_data
from uvmap_id.training.latents import LatentSource, cached_posteriors
from uvmap_id.training.logs import Logs, read_losses
from uvmap_id.training.loop import Moment, Trainer, out_of_memory
from uvmap_id.training.model import TrainedModel, choose_trained
from uvmap_id.training.objective import Objective
from uvmap_id.training.prior import class_images
from uvmap_id.training.result import write_result
from uvmap_id.training.sampling import Sampler
from uvmap_id.training.texts import Texts
from uvmap_id.weights.load import Components
from uvmap_id.weights.store import WeightsStore


class Observer(Protocol):
    """Shows a person what happens; called on the main process alone."""

    def stage(self, text: str, done: int = 0, total: int = 0) -> None:
        """What is being prepared; `total` is 0 where nothing can be counted."""
        ...

    def step(self, moment: Moment) -> None:
        """A step is done."""
        ...

    def warn(self, text: str) -> None:
        """What a person should know."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        finished: False where it was asked to stop; it can go on from its checkpoint.
        step: The last one.
        model: The finished weights; None where it stopped.
        main: Whether this is the process that speaks for all.
    """

    finished: bool
    step: int
    model: Path | None
    main: bool


def train(config: Config, observer: Observer, *, resume: bool = False, store: WeightsStore | None = None) -> Outcome:
    """Train; SIGINT and SIGTERM end it after the running step, with a checkpoint.

    Args:
        config: What is to be done.
        observer: Who is told.
        resume: Whether to go on from the latest checkpoint in the run's folder.
        store: Where weights are named, by default the user's.

    Raises:
        UVMapError: config_invalid, dataset_unreadable, dataset_empty, weights_missing and what else is wrong with
            weights, package_missing, checkpoint_invalid, training_diverged, out_of_memory, disk_full,
            output_not_writable.
    """
    # Found out by accelerate from the environment that its launcher made.
    accelerator = Accelerator(
        mixed_precision=config.training.mixed_precision,
        gradient_accumulation_steps=config.training.accumulation,
    )
    run = _Run(config, accelerator, observer if accelerator.is_main_process else _Silent())
    try:
        return run.go(store or WeightsStore(), resume)
    except torch.OutOfMemoryError as error:
        raise out_of_memory(config) from error
    finally:
        accelerator.free_memory()
        # It outlives the accelerator, and refuses another one of another precision in the same process.
        AcceleratorState._reset_state()


class _Silent:
    """The observer of all processes but the main one."""

    def stage(self, text: str, done: int = 0, total: int = 0) -> None:
        del text, done, total

    def step(self, moment: Moment) -> None:
        del moment

    def warn(self, text: str) -> None:
        del text


class _Run:
    def __init__(self, config: Config, accelerator: Accelerator, observer: Observer) -> None:
        self.config = config
        self.accelerator = accelerator
        self.observer = observer

    def go(self, store: WeightsStore, resume: bool) -> Outcome:
        config, observer = self.config, self.observer
        torch.manual_seed(config.training.seed)
        self._make_folder(resume)
        observer.stage("Reading the dataset")
        data = read_training_data(config.data, identity_models(store), observer.warn)
        observer.stage("Loading the weights")
        components, projection = begin(config, store)
        priors = self._class_images(components)
        batches, objective = self._batches(components, data, priors)
        model = TrainedModel(components.unet, components.text_encoder, projection)
        trainer = self._trainer(model, batches, objective)
        if resume:
            self._restore(trainer)
        sampler = Sampler(model, components, data, config)
        return self._train(trainer, sampler, components, data)

    def _train(self, trainer: Trainer, sampler: Sampler, components: Components, data: TrainingData) -> Outcome:
        config, main = self.config, self.accelerator.is_main_process
        began, first = time.monotonic(), trainer.step
        self.observer.stage("Training")
        with ExitStack() as stack:
            logs = None
            if main:
                logs = stack.enter_context(Logs(config.out, first, tensorboard=config.output.tensorboard))
            stack.enter_context(_stopping(trainer))
            finished = trainer.run(logs, lambda moment: self._after(moment, trainer, sampler, logs))
            if trainer.step > first:
                trainer.save()
        if not finished:
            return Outcome(False, trainer.step, None, main)
        seconds = time.monotonic() - began
        if main:
            facts = self._facts(trainer.step - first, seconds)
            card = model_card(config, data, read_losses(config.out), facts)
            write_result(trainer.model, trainer.average, components, config, card)
        self.accelerator.wait_for_everyone()
        return Outcome(True, trainer.step, config.out / "model", main)

    def _after(self, moment: Moment, trainer: Trainer, sampler: Sampler, logs: Logs | None) -> None:
        """What follows a step: the bar, a checkpoint, samples."""
        output, step = self.config.output, moment.figures.step
        self.observer.step(moment)
        last = step == moment.steps
        if output.checkpoint_every and step % output.checkpoint_every == 0 and not last:
            trainer.save()
        if output.sample_every and (step % output.sample_every == 0 or last):
            if logs is not None:
                self._sample(trainer, sampler, logs)
            self.accelerator.wait_for_everyone()

    def _sample(self, trainer: Trainer, sampler: Sampler, logs: Logs) -> None:
        # Half precision overflows in the VAE; samples are few.
        autocast = self.accelerator.autocast() if self.accelerator.mixed_precision == "bf16" else nullcontext()
        try:
            made = sampler.write(trainer.step, trainer.average, autocast)
        except UVMapError as error:
            if error.failure.code != ErrorCode.IMAGE_NOT_FINITE:
                raise
            self.observer.warn(f"No samples after step {trainer.step}: {error.failure.message}")
            return
        for name, picture in made:
            logs.add_picture(f"samples/{name}", picture, trainer.step)

    def _make_folder(self, resume: bool) -> None:
        folder = self.config.out
        if has_checkpoints(folder / "checkpoints") and not resume:
            raise UVMapError(
                ErrorCode.OUTPUT_NOT_WRITABLE,
                f"{folder} holds a run already.",
                "Go on with it: --resume. Or choose another output.folder.",
            )
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "config.toml").write_text(to_toml(self.config), encoding="utf-8")
            except OSError as error:
                raise disk_error(error, folder) from error
        self.accelerator.wait_for_everyone()

    def _class_images(self, components: Components) -> list[Path]:
        """The main process makes what is missing; then it is there for all."""
        prior = self.config.prior
        if not prior.weight:
            return []
        pipeline = UVMapIDPipeline(**components.modules())
        self._move(components, self.accelerator.device)
        folder = Path(prior.folder) if prior.folder else self.config.out / "class_images"

        def report(done: int, total: int) -> None:
            self.observer.stage("Painting the class images", done, total)

        with self.accelerator.main_process_first():
            return class_images(pipeline, prior, self.config.data.size, folder, report)

    def _batches(self, components: Components, data: TrainingData, priors: list[Path]) -> tuple[Batches, Objective]:
        config, device = self.config, self.accelerator.device
        self._move(components, device)
        prompts = [example.prompt for example in data.examples]
        texts = Texts(["", config.prior.prompt, *prompts], components.tokenizer, device)
        if not config.model.train_text_encoder:
            texts.keep(components.text_encoder)
        objective = Objective(components.scheduler, config.prior.weight, config.training.min_snr, device)
        with self.accelerator.main_process_first():
            instances = self._latents(components, [example.file for example in data.examples], "textures")
            classes = self._latents(components, priors, "class images") if priors else None
        if config.training.cache_latents:
            # Its memory belongs to the training now; samples call it back.
            torch.nn.Module.to(components.vae, "cpu")
        share = Share(self.accelerator.process_index, self.accelerator.num_processes)
        batches = Batches(
            instances,
            classes,
            prompts,
            config.prior.prompt,
            len(priors),
            data.embeddings,
            texts,
            config.training,
            objective.times,
            device,
            share,
        )
        return batches, objective

    def _latents(self, components: Components, files: list[Path], what: str) -> LatentSource:
        kept, size = None, self.config.data.size
        if self.config.training.cache_latents:
            kept = cached_posteriors(
                components.vae,
                files,
                size,
                self.config.out / "latents",
                lambda done: self.observer.stage(f"Encoding the {what}", done, len(files)),
            )
        return LatentSource(components.vae, files, size, kept)

    def _trainer(self, model: TrainedModel, batches: Batches, objective: Objective) -> Trainer:
        training, device = self.config.training, self.accelerator.device
        choose_trained(model, self.config)
        model.to(device)
        if training.channels_last == "on" or (training.channels_last == "auto" and device.type == "cuda"):
            use_channels_last(model.unet)
        if training.gradient_checkpointing:
            model.unet.enable_gradient_checkpointing()
            if self.config.model.train_text_encoder:
                model.text_encoder.gradient_checkpointing_enable({"use_reentrant": False})
        return Trainer(model, batches, objective, self.config, self.accelerator)

    def _restore(self, trainer: Trainer) -> None:
        checkpoint = read_latest(self.config.out / "checkpoints", self.observer.warn)
        if checkpoint is None:
            self.observer.warn("There is no checkpoint to go on from: the run begins.")
            return
        self._compare(checkpoint)
        trainer.restore(checkpoint, self.observer.warn)

    def _compare(self, checkpoint: Checkpoint) -> None:
        changed = differences(checkpoint.position.settings, self.config)
        model = [name for name in changed if name.startswith(("model.", "lora."))]
        if model:
            raise UVMapError(
                ErrorCode.CHECKPOINT_INVALID,
                f"The run was begun with other settings of {', '.join(model)}.",
                "Go on with the configuration that it was begun with, or begin in another folder.",
            )
        other = [name for name in changed if not name.startswith("output.") and name != "training.steps"]
        if other:
            self.observer.warn(f"These settings are not those that the run was begun with: {', '.join(other)}.")

    def _facts(self, steps: int, seconds: float) -> dict[str, str]:
        facts = {"Device": f"{self.accelerator.num_processes} x {_device_name(self.accelerator.device)}"}
        if steps:
            facts["Speed"] = f"{steps / seconds:.3g} steps/s over the last {steps} steps, all else included"
        return facts

    def _move(self, components: Components, device: torch.device) -> None:
        for module in components.modules().values():
            if isinstance(module, torch.nn.Module):
                # Module's own `to`: diffusers' warns of much.
                torch.nn.Module.to(module, device)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


@contextmanager
def _stopping(trainer: Trainer) -> Iterator[None]:
    """While this lasts, SIGINT and SIGTERM ask for an end after the step; asked twice, it ends at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        if trainer.stop:
            raise KeyboardInterrupt
        trainer.stop = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
