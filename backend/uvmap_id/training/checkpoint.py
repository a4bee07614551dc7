"""Checkpoints: a folder that is there as a whole or not at all, and from which a run goes on as if it had not stopped.

checkpoints/step-00000500/
    state.json               the position, settings, and size and hash of every other file
    model.safetensors        what is trained
    optimizer.safetensors    <parameter>.exp_avg and so on
    average.safetensors      the running average, where there is one
    random.safetensors       states of the random generators of every process
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from uvmap_id.link.disk import remove, sync_folder, write_synced
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.convert import sync_files, write_error
from uvmap_id.weights.manifest import FileEntry, all_files, describe
from uvmap_id.weights.tensors import Tensors

FORMAT = 1
_STATE = "state.json"
_NAME = re.compile(r"step-(\d{8})")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run is.

    Attributes:
        step: Optimiser steps done.
        seen: Textures that all processes have seen together.
        seen_prior: Class images, likewise.
        processes: How many there were.
        scaler: State of the gradient scaler of fp16; empty without.
        settings: The configuration's values.
    """

    step: int
    seen: int
    seen_prior: int
    processes: int
    scaler: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a run needs to go on. `parts` are the tensors of each file by the file's name without its ending."""

    position: Position
    parts: Mapping[str, Tensors]


def write_checkpoint(folder: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write a checkpoint, then remove the oldest but `keep`.

    Raises:
        UVMapError: disk_full, output_not_writable; what was there before is still there.
    """
    destination = folder / f"step-{checkpoint.position.step:08d}"
    part = destination.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove(part)
        part.mkdir()
        for name, tensors in checkpoint.parts.items():
            save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, part / f"{name}.safetensors")
        files = {name: asdict(describe(file)) for name, file in all_files(part)}
        sync_files(part)
        state = {"uvmap_id_checkpoint": FORMAT, "position": asdict(checkpoint.position), "files": files}
        write_synced(part / _STATE, (json.dumps(state, indent=2) + "\n").encode())
        sync_folder(part)
        # The same step may be there, from before a run went back to an older checkpoint.
        remove(destination)
        part.rename(destination)
        sync_folder(folder)
    except (OSError, SafetensorError) as error:
        raise write_error(error, destination) from error
    finally:
        remove(part)
    for old in _folders(folder)[:-keep]:
        remove(old)
    return destination


def read_latest(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """The latest checkpoint that is whole; damaged ones are named and passed over. None where there never was one.

    Raises:
        UVMapError: checkpoint_invalid: there are some, and none of them is whole.
    """
    folders = _folders(folder)
    for each in reversed(folders):
        try:
            return read_checkpoint(each)
        except UVMapError as error:
            warn(f"{error.failure.message} It is passed over.")
    if folders:
        raise UVMapError(
            ErrorCode.CHECKPOINT_INVALID,
            f"None of the {len(folders)} checkpoints in {folder} is whole.",
            "Begin again in another folder.",
        )
    return None


def read_checkpoint(folder: Path) -> Checkpoint:
    """One checkpoint; every file is hashed.

    Raises:
        UVMapError: checkpoint_invalid
    """
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        if state["uvmap_id_checkpoint"] != FORMAT:
            raise _damaged(folder, f"it has format {state['uvmap_id_checkpoint']!r}, not {FORMAT}")
        for name, entry in state["files"].items():
            if describe(folder / name) != FileEntry(**entry):
                raise _damaged(folder, f"{name} is not what was written")
        parts = {Path(name).stem: load_file(folder / name) for name in state["files"]}
        return Checkpoint(Position(**state["position"]), parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise _damaged(folder, str(error) or type(error).__name__) from error


def has_checkpoints(folder: Path) -> bool:
    """Whether a run has got as far as a checkpoint."""
    return bool(_folders(folder))


def _folders(folder: Path) -> list[Path]:
    """Complete or not, the earliest first."""
    return sorted(each for each in _entries(folder) if each.is_dir() and _NAME.fullmatch(each.name))


def _entries(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def _damaged(folder: Path, why: str) -> UVMapError:
    return UVMapError(
        ErrorCode.CHECKPOINT_INVALID, f"The checkpoint {folder} is damaged: {why}.", "Go on from another checkpoint."
    )
