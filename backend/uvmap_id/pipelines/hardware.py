"""What the machine offers, and how a pipeline is laid out for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from .uvmap_id import UVMapIDPipeline


def best_device() -> torch.device:
    """The fastest device: CUDA (or ROCm, which calls itself so), Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def best_dtype(device: torch.device) -> torch.dtype:
    """The number format that a device is fastest with at a quality that nobody sees.

    bfloat16 pays on a CPU only where it has instructions for it; elsewhere it is emulated, and slower than float32.
    """
    if device.type in ("cuda", "mps"):
        return torch.float16
    return torch.bfloat16 if has_fast_bfloat16() else torch.float32


def has_fast_bfloat16() -> bool:
    """True on a CPU with AMX or AVX512-bf16."""
    probes = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return any(bool(probe()) for probe in probes if probe is not None)


def prepare(
    pipeline: UVMapIDPipeline, device: torch.device, dtype: torch.dtype | None = None, *, compiled: bool = False
) -> None:
    """Bring a pipeline to a device, laid out the way that is fastest there.

    Only the U-Net and the VAE get the narrow format: the text and the identity are read once a texture, so that
    their precision costs nothing.

    Args:
        pipeline: To be changed.
        device: Where it is to run.
        dtype: Of the U-Net and the VAE; `best_dtype` by default.
        compiled: Compile the U-Net, which takes about a minute once and pays from some dozen textures on.
    """
    dtype = dtype or best_dtype(device)
    # Module's own `to`: diffusers' warns of any change of format.
    for module in (pipeline.text_encoder, pipeline.identity_projection):
        if module is not None:
            nn.Module.to(module, device, torch.float32)
    for module in (pipeline.unet, pipeline.vae):
        nn.Module.to(module, device, dtype)
        use_channels_last(module)
    if compiled:
        pipeline.split_unet.compile()


def use_channels_last(module: nn.Module) -> None:
    """Lay a module's convolutions out as tensor cores and the CPU's matrix units want them."""
    cast(Any, module).to(memory_format=torch.channels_last)
