"""The pipeline that is in memory: loaded once, out of the way when idle, replaced for other weights."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from uvmap_id.engines.base import EngineLostError
from uvmap_id.engines.diffusion.choice import WeightsChoice
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pipelines.hardware import best_device, best_dtype, prepare
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline
from uvmap_id.weights.load import load_components

Result = TypeVar("Result")

COMPILE_VARIABLE = "UVMAP_ID_COMPILE"

_TILE = 256
# How torch says it where it has no exception of its own for it: on the CPU, on Apple's GPUs.
_NO_MEMORY = ("DefaultCPUAllocator", "MPS backend out of memory")


@dataclass
class _Held:
    choice: WeightsChoice
    kind: str
    pipeline: UVMapIDPipeline


class PipelineHolder:
    """Holds at most one pipeline, on the fastest device there is.

    Attributes:
        device: Where pipelines run.
        dtype: What they calculate in.
    """

    def __init__(self) -> None:
        self.device = best_device()
        self.dtype = best_dtype(self.device)
        self._held: _Held | None = None

    def pipeline(self, choice: WeightsChoice) -> UVMapIDPipeline:
        """The pipeline of some weights, ready to run.

        Raises:
            UVMapError: weights_missing, weights_incomplete, weights_invalid, weights_unsupported, out_of_memory.
            EngineLostError: The device is gone.
        """
        if self._held is None or self._held.choice != choice:
            # First out, then in: few cards hold two.
            self.free()
            components = load_components(choice.path, base=choice.base, vae=choice.vae, dtype=self.dtype)
            pipeline = UVMapIDPipeline(**components.modules())
            self._guarded(lambda: prepare(pipeline, self.device, self.dtype, compiled=wants_compilation()))
            self._held = _Held(choice, components.kind.value, pipeline)
        pipeline = self._held.pipeline
        self._guarded(lambda: _move(pipeline, self.device))
        return pipeline

    @property
    def kind(self) -> str:
        """What `recognise` says of the weights that are loaded; "" where none are."""
        return "" if self._held is None else self._held.kind

    def rest(self) -> None:
        """Leave the device's memory to others; the weights wait in the machine's own."""
        if self._held is None or self.device.type == "cpu":
            return
        _move(self._held.pipeline, torch.device("cpu"))
        self._empty_cache()

    def free(self) -> None:
        """Forget the pipeline."""
        self._held = None
        gc.collect()
        self._empty_cache()

    def run(self, work: Callable[[UVMapIDPipeline], Result], choice: WeightsChoice) -> tuple[Result, bool]:
        """Do something with the pipeline of some weights; where memory runs out, once more with less.

        Returns:
            What `work` returned, and whether memory had to be spared, which changes pictures a little.

        Raises:
            UVMapError: What `pipeline` and `work` raise; out_of_memory.
            EngineLostError: The device is gone.
        """
        pipeline = self.pipeline(choice)
        try:
            return self._guarded(lambda: work(pipeline)), False
        except UVMapError as error:
            if error.failure.code != ErrorCode.OUT_OF_MEMORY:
                raise
        # Outside of the handler: the exception held on to the tensors of the failed run.
        self._empty_cache()
        vae = pipeline.vae
        vae.tile_sample_min_size = _TILE
        vae.tile_latent_min_size = _TILE // pipeline.vae_scale
        vae.enable_tiling()
        try:
            return self._guarded(lambda: work(pipeline)), True
        finally:
            vae.disable_tiling()

    def _guarded(self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
                raise UVMapError(
                    ErrorCode.OUT_OF_MEMORY,
                    f"The memory did not suffice for the weights and one texture ({self.device.type}).",
                    "Close other programs that use it, then try again.",
                ) from error
            if answers(self.device):
                raise
            raise EngineLostError(
                ErrorCode.DEVICE_LOST,
                f"The graphics card does not answer any more: {str(error).splitlines()[0]}.",
                "Try again: the next texture is made by a new process. If the card stays lost, restart the machine.",
            ) from error

    def _empty_cache(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def wants_compilation() -> bool:
    """Whether the user asked for a compiled U-Net, which takes about a minute once and pays for many textures."""
    return os.environ.get(COMPILE_VARIABLE, "") == "1"


def answers(device: torch.device) -> bool:
    """False for a device on which nothing runs any more. A CUDA error stays until the process ends."""
    try:
        return bool(torch.ones(1, device=device).item())
    except torch.OutOfMemoryError:
        return True
    except RuntimeError:
        return False


def _move(pipeline: UVMapIDPipeline, device: torch.device) -> None:
    """Module by module: the pipeline's own `to` warns of half precision on a CPU, where nothing is to run."""
    for module in pipeline.components.values():
        if isinstance(module, torch.nn.Module):
            module.to(device)
