"""How many samples fit at once."""

from __future__ import annotations

import os

import torch

# Measured at 512 x 512 with guidance: the U-Net's activations for one sample and its unconditional twin.
_HALF_PRECISION_SAMPLE = 450 * 2**20
# Left for the decoder, other programs and fragments.
_RESERVE = 1024 * 2**20
_LARGEST_BATCH = 16


def plan_batch(wanted: int, device: torch.device, dtype: torch.dtype, pixels: int) -> int:
    """The largest batch, up to `wanted`, that should fit beside the weights that are loaded already.

    Args:
        wanted: Samples to make.
        device: Where they are made.
        dtype: Of the U-Net.
        pixels: Height x width of a picture.
    """
    sample = _HALF_PRECISION_SAMPLE * pixels / 512**2 * dtype.itemsize / 2
    fitting = int((free_memory(device) - _RESERVE) / sample)
    return max(1, min(wanted, fitting, _LARGEST_BATCH))


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch holds and doesn't use is free to us.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # Windows doesn't say without a library; one sample at a time always works.
    return 0
