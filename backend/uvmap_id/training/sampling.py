"""Textures by the model as it is, made by the house's pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline
from uvmap_id.training.average import Average
from uvmap_id.training.config import Config
from uvmap_id.training.data import TrainingData, spread
from uvmap_id.training.model import TrainedModel
from uvmap_id.training.prior import write_picture
from uvmap_id.weights.load import Components


class Sampler:
    """Makes the same people with the same seeds each time."""

    def __init__(self, model: TrainedModel, components: Components, data: TrainingData, config: Config) -> None:
        """`components` has what is not trained."""
        self._model = model
        self._vae = components.vae
        self._config = config
        self._examples = [data.examples[place] for place in spread(data, config.output.samples)]
        self._embeddings = data.embeddings[spread(data, config.output.samples)]
        self._pipeline = UVMapIDPipeline(
            components.vae,
            model.text_encoder,
            components.tokenizer,
            model.unet,
            components.scheduler,
            model.projection,
        )

    def write(
        self, step: int, average: Average | None, autocast: AbstractContextManager[Any]
    ) -> list[tuple[str, NDArray[np.uint8]]]:
        """Write `samples/step-N/<n>-<identity>.png`.

        Returns:
            Names and pictures, (S, S, 3) uint8.

        Raises:
            UVMapError: disk_full, output_not_writable, image_not_finite, out_of_memory.
        """
        folder = self._config.out / "samples" / f"step-{step:08d}"
        made = []
        with autocast, self._as_inference(average):
            for number, example in enumerate(self._examples):
                picture = self._make(number)
                name = f"{number:02d}-{_as_file_name(example.identity)}"
                write_picture(folder / f"{name}.png", picture)
                made.append((name, (picture * 255).round().astype(np.uint8)))
        return made

    def _make(self, number: int) -> NDArray[np.float32]:
        output, size = self._config.output, self._config.data.size
        return self._pipeline(
            [self._examples[number].prompt],
            torch.from_numpy(self._embeddings[number])[None],
            [number],
            num_inference_steps=output.sample_steps,
            guidance_scale=output.sample_guidance,
            height=size,
            width=size,
        ).images[0]

    @contextmanager
    def _as_inference(self, average: Average | None) -> Iterator[None]:
        """The average instead of the last step's weights, evaluation mode, and the VAE where it has to be."""
        device = self._model.unet.device
        torch.nn.Module.to(self._vae, device)
        self._model.eval()
        try:
            with average.in_place() if average is not None else nullcontext():
                yield
        finally:
            self._model.train()
            if device.type != "cpu":
                torch.nn.Module.to(self._vae, "cpu")


def _as_file_name(identity: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in identity)[:60] or "person"


def texture_file(folder: Path, step: int) -> Path:
    """Where a step's samples lie."""
    return folder / "samples" / f"step-{step:08d}"
