"""What can be installed: the engine "projection" alone, or with torch for one kind of device."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ...link.errors import ErrorCode, UVMapError

TORCH = "torch==2.13.0"
_INDEX = "https://download.pytorch.org/whl/"
_PROBE_TIMEOUT_S = 15.0
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
# Of the CUDA libraries that come along with this torch.
_CUDA = (13, 0)


class Variant(StrEnum):
    """What an environment is made for."""

    BASIC = "basic"
    CPU = "cpu"
    CUDA = "cuda"
    ROCM = "rocm"
    MPS = "mps"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a variant is made on one platform.

    Attributes:
        locks: The files with locked requirements, without ".txt", in the order of their installation.
        torch_index: The index that torch comes from where the locks hold none.
        download_mb: How much is downloaded, about.
        disk_mb: How large the environment is, about.
    """

    locks: tuple[str, ...]
    torch_index: str
    download_mb: int
    disk_mb: int


@dataclass(frozen=True, slots=True)
class Detected:
    """The variant that fits this computer, and by what it was recognised."""

    variant: Variant
    why: str


def system_name() -> str:
    """The platform in Blender's words, such as "linux-x64"."""
    machine = platform.machine().lower()
    system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)
    return f"{system}-{_MACHINES.get(machine, machine)}"


_BASIC, _DIFFUSION = ("setup-basic",), ("setup-diffusion",)
_LOCKED_TORCH = ("setup-diffusion", "setup-torch")
_RECIPES: dict[tuple[Variant, str], Recipe] = {
    (Variant.CPU, "linux-x64"): Recipe(_DIFFUSION, f"{_INDEX}cpu", 690, 2300),
    (Variant.CPU, "linux-arm64"): Recipe(_DIFFUSION, f"{_INDEX}cpu", 640, 2300),
    (Variant.CPU, "windows-x64"): Recipe(_LOCKED_TORCH, "", 540, 2300),
    (Variant.CUDA, "linux-x64"): Recipe(_LOCKED_TORCH, "", 3120, 8000),
    (Variant.CUDA, "linux-arm64"): Recipe(_LOCKED_TORCH, "", 3120, 8000),
    (Variant.CUDA, "windows-x64"): Recipe(_DIFFUSION, f"{_INDEX}cu130", 2300, 6000),
    (Variant.ROCM, "linux-x64"): Recipe(_DIFFUSION, f"{_INDEX}rocm7.2", 5200, 18000),
    (Variant.MPS, "macos-arm64"): Recipe(_LOCKED_TORCH, "", 520, 2000),
    **{
        (Variant.BASIC, system): Recipe(_BASIC, "", 350, 1200)
        for system in ("linux-x64", "linux-arm64", "windows-x64", "macos-arm64")
    },
}


def recipe_of(variant: Variant, system: str | None = None) -> Recipe:
    """How a variant is made here.

    Raises:
        UVMapError: `setup_unsupported`.
    """
    system = system or system_name()
    recipe = _RECIPES.get((variant, system))
    if recipe is not None:
        return recipe
    offered = variants_of(system)
    if not offered:
        raise UVMapError(
            ErrorCode.SETUP_UNSUPPORTED,
            f"The backend's packages are not made for this computer ({system}).",
            "Connect to a backend on another computer instead.",
        )
    raise UVMapError(
        ErrorCode.SETUP_UNSUPPORTED,
        f'There is no "{variant}" for this computer ({system}).',
        f"Choose one of {', '.join(offered)}.",
    )


def variants_of(system: str | None = None) -> list[Variant]:
    """What can be installed on a platform."""
    system = system or system_name()
    return [variant for variant in Variant if (variant, system) in _RECIPES]


def detect(system: str | None = None) -> Detected:
    """Which variant fits this computer's devices. Runs the drivers' own programs, so it takes a moment."""
    offered = variants_of(system)
    if Variant.CUDA in offered:
        found = _nvidia()
        if found is not None:
            return found
    if Variant.ROCM in offered and Path("/dev/kfd").exists():
        said = _output("rocminfo") or _output("/opt/rocm/bin/rocminfo")
        if "Device Type:             GPU" in said or "gfx" in said:
            return Detected(Variant.ROCM, "an AMD GPU was found by rocminfo")
    if Variant.MPS in offered:
        return Detected(Variant.MPS, "this is a Mac with an Apple GPU")
    return Detected(Variant.BASIC, "no GPU was found that the diffusion engine can use")


def _nvidia() -> Detected | None:
    said = _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    if not said:
        return None
    name = said.splitlines()[0].split(",")[0].strip()
    supported = _cuda_of_driver(_output("nvidia-smi"))
    if supported is not None and supported < _CUDA:
        wanted, has = (".".join(map(str, each)) for each in (_CUDA, supported))
        return Detected(Variant.BASIC, f"the driver of {name} knows CUDA {has}, and {wanted} is needed: update it")
    return Detected(Variant.CUDA, f"{name} was found by nvidia-smi")


def _cuda_of_driver(said: str) -> tuple[int, int] | None:
    """The newest CUDA that a driver supports, from the heading of nvidia-smi's table."""
    _, found, rest = said.partition("CUDA Version:")
    if not found:
        return None
    major, _, minor = rest.split("|")[0].strip().partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def _output(program: str, *arguments: str) -> str:
    """What a program prints; "" where it is missing or fails."""
    path = shutil.which(program)
    if path is None:
        return ""
    flags = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
    try:
        done = subprocess.run(
            [path, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_TIMEOUT_S,
            check=False,
            creationflags=flags,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
