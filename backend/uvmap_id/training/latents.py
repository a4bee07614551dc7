"""Textures in the VAE's space, each encoded once.

What is kept is the posterior's mean and deviation, not a sample of it: every step draws its own, so that training sees
the same distribution as if the VAE ran in each step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from uvmap_id.link.disk import disk_error, remove, write_synced
from uvmap_id.training.data import read_texture


@dataclass(frozen=True, slots=True)
class Posteriors:
    """What the VAE says about N pictures.

    Attributes:
        mean: (N, 4, h, w) float32
        deviation: (N, 4, h, w) float32
        scale: The VAE's scaling factor.
    """

    mean: Tensor
    deviation: Tensor
    scale: float

    def sample(self, rows: Sequence[int], noise: Tensor) -> Tensor:
        """Latents as the U-Net sees them, on the noise's device: (B, 4, h, w) for `noise` (B, 4, h, w)."""
        chosen = list(rows)
        mean, deviation = (part[chosen].to(noise.device) for part in (self.mean, self.deviation))
        return (mean + deviation * noise) * self.scale


class LatentSource:
    """Latents of pictures, from a cache or through the VAE in each step."""

    def __init__(self, vae: AutoencoderKL, files: Sequence[Path], size: int, kept: Posteriors | None) -> None:
        """Without `kept` the VAE runs each time."""
        self._vae = vae
        self._files = files
        self._size = size
        self._kept = kept
        self.shape = _latent_shape(vae, size)

    def sample(self, rows: Sequence[int], noise: Tensor) -> Tensor:
        """As `Posteriors.sample`."""
        if self._kept is not None:
            return self._kept.sample(rows, noise)
        return encode(self._vae, [self._files[row] for row in rows], self._size).sample(range(len(rows)), noise)


@torch.no_grad()
def encode(vae: AutoencoderKL, files: Sequence[Path], size: int) -> Posteriors:
    """The posteriors of pictures, on the VAE's device.

    Raises:
        UVMapError: dataset_unreadable
    """
    means, deviations = [], []
    for file in files:
        # One by one: the encoder needs more memory for one picture than the U-Net for many latents.
        pixels = torch.from_numpy(read_texture(file, size)).permute(2, 0, 1)[None]
        posterior: Any = vae.encode(pixels.to(vae.device, vae.dtype), return_dict=False)[0]
        means.append(posterior.mean.float())
        deviations.append(posterior.std.float())
    return Posteriors(torch.cat(means), torch.cat(deviations), float(vae.config["scaling_factor"]))


def cached_posteriors(
    vae: AutoencoderKL, files: Sequence[Path], size: int, folder: Path, report: Callable[[int], None]
) -> Posteriors:
    """The posteriors of pictures, in memory; what was encoded before by the same VAE is read from a folder.

    Args:
        vae: Where it is to run.
        files: The pictures'.
        size: Side that they get.
        folder: Of the cache, made if need be.
        report: Told how many are done.

    Raises:
        UVMapError: dataset_unreadable; disk_full, output_not_writable.
    """
    decided = fingerprint(vae)
    means, deviations = [], []
    for done, file in enumerate(files):
        report(done)
        name = hashlib.sha256(f"{decided} {size} ".encode() + file.read_bytes()).hexdigest()
        place = folder / f"{name}.safetensors"
        found = _read(place)
        if found is None:
            posterior = encode(vae, [file], size)
            found = {"mean": posterior.mean[0].cpu(), "deviation": posterior.deviation[0].cpu()}
            _write(place, found)
        means.append(found["mean"])
        deviations.append(found["deviation"])
    return Posteriors(torch.stack(means), torch.stack(deviations), float(vae.config["scaling_factor"]))


def fingerprint(*modules: torch.nn.Module) -> str:
    """A hash of all tensors of modules."""
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in module.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _latent_shape(vae: AutoencoderKL, size: int) -> tuple[int, int, int]:
    side = size // 2 ** (len(vae.config["block_out_channels"]) - 1)
    return vae.config["latent_channels"], side, side


def _read(place: Path) -> dict[str, Tensor] | None:
    try:
        tensors = load(place.read_bytes())
    except (OSError, SafetensorError):
        # Missing, or not written by us: made anew.
        return None
    return tensors if {"mean", "deviation"} <= tensors.keys() else None


def _write(place: Path, tensors: dict[str, Tensor]) -> None:
    part = place.with_suffix(".part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        remove(part)
        write_synced(part, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
        part.replace(place)
    except OSError as error:
        remove(part)
        raise disk_error(error, place.parent) from error
