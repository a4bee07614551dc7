"""What the machine offers, and how a pipeline is laid out for it."""

from __future__ import annotations

import torch


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
