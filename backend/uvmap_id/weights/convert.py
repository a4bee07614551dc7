"""Any accepted weights into the fused format, which loads without folding."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from uvmap_id.link.disk import disk_error, remove
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.load import Components, identity_sizes, load_components
from uvmap_id.weights.manifest import IDENTITY, Manifest, all_files, describe, read_manifest, write_manifest
from uvmap_id.weights.recognise import is_fused
from uvmap_id.weights.tensors import Tensors


def convert(
    source: Path,
    destination: Path,
    *,
    base: Path | None = None,
    vae: Path | None = None,
    dtype: torch.dtype = torch.float32,
    licence: str = "",
    overwrite: bool = False,
) -> Manifest:
    """Write the weights at `source` in the fused format: a folder that is there as a whole or not at all.

    Args:
        source: Any weights that `load_components` takes.
        destination: The folder to make.
        base: As for `load_components`.
        vae: As for `load_components`.
        dtype: Of the tensors on disk. float32 loses nothing and loads fast as any type; the type that the device
            computes in takes half the disk and loads fastest, but as another type it must be widened or rounded again.
        licence: Noted in the manifest.
        overwrite: Whether to replace a folder of the fused format; nothing else is ever replaced.

    Returns:
        The manifest.

    Raises:
        UVMapError: As `load_components`; `output_not_writable`, `disk_full`: the destination.
    """
    _check_replaceable(destination, overwrite)
    components = load_components(source, base=base, vae=vae, dtype=dtype)
    origin = components.kind.value
    if is_fused(source):
        before = read_manifest(source)
        origin, licence = before.source, licence or before.licence
    return write_fused(destination, components, dtype, source=origin, licence=licence, overwrite=overwrite)


def write_fused(
    destination: Path,
    components: Components,
    dtype: torch.dtype,
    *,
    source: str,
    licence: str = "",
    overwrite: bool = False,
    texts: Mapping[str, str] | None = None,
) -> Manifest:
    """Write modules in the fused format: a folder that is there as a whole or not at all.

    Args:
        destination: The folder to make.
        components: What to write.
        dtype: Of the modules, for the manifest.
        source: What they were made from, for the manifest.
        licence: Noted in the manifest.
        overwrite: As for `convert`.
        texts: Further files by their names, such as a README.md.

    Raises:
        UVMapError: `output_not_writable`, `disk_full`: the destination.
    """
    _check_replaceable(destination, overwrite)
    part = destination.with_name(f"{destination.name}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        remove(part)
        part.mkdir()
        _write_components(part, components)
        for name, text in (texts or {}).items():
            (part / name).write_text(text, encoding="utf-8")
        manifest = replace(_describe(part, components, dtype, licence), source=source)
        write_manifest(part, manifest)
        sync_files(part)
        _replace(destination, part)
    except (OSError, SafetensorError) as error:
        raise write_error(error, destination) from error
    finally:
        remove(part)
    return manifest


def _check_replaceable(destination: Path, overwrite: bool) -> None:
    if not destination.exists() or (destination.is_dir() and not any(destination.iterdir())):
        return
    if not overwrite:
        raise UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"{destination} exists.",
            "Choose another folder, or allow to replace it.",
        )
    if not is_fused(destination):
        raise UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"{destination} holds something else than converted weights, and is not replaced.",
            "Choose another folder.",
        )


def _write_components(folder: Path, components: Components) -> None:
    modules = {"unet": components.unet, "vae": components.vae}
    for name, module in modules.items():
        module.save_config(folder / name)
        _save(module.state_dict(), folder / name / "diffusion_pytorch_model.safetensors")
    components.text_encoder.config.save_pretrained(folder / "text_encoder")
    _save(components.text_encoder.state_dict(), folder / "text_encoder" / "model.safetensors")
    components.tokenizer.save_pretrained(folder / "tokenizer")
    components.scheduler.save_config(folder / "scheduler")
    if components.identity_projection is not None:
        _save(components.identity_projection.state_dict(), folder / IDENTITY)


def _save(tensors: Tensors, file: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)


def _describe(folder: Path, components: Components, dtype: torch.dtype, licence: str) -> Manifest:
    projection = components.identity_projection
    return Manifest(
        source=components.kind.value,
        base="stable-diffusion-2" if components.unet.config["use_linear_projection"] else "stable-diffusion-1",
        prediction=components.prediction,
        dtype=str(dtype).removeprefix("torch."),
        licence=licence,
        identity=identity_sizes(projection.state_dict()) if projection else {},
        files={name: describe(file) for name, file in all_files(folder)},
    )


def sync_files(folder: Path) -> None:
    """Wait until the disk has every file below a folder. Raises `OSError`."""
    for _, file in all_files(folder):
        with file.open("r+b") as stream:
            os.fsync(stream.fileno())


def _replace(destination: Path, part: Path) -> None:
    """The old folder is moved away whole, and comes back if the new one can't take its place."""
    if not destination.exists():
        part.rename(destination)
        return
    old = destination.with_name(f"{destination.name}.old")
    remove(old)
    destination.rename(old)
    try:
        part.rename(destination)
    except OSError:
        old.rename(destination)
        raise
    remove(old)


def write_error(error: OSError | SafetensorError, destination: Path) -> UVMapError:
    """The failure that a person understands for what went wrong while tensors were written to `destination`."""
    if isinstance(error, OSError):
        return disk_error(error, destination)
    # safetensors tells the system's number only in its words: "... (os error 28)".
    number = re.search(r"os error (\d+)", str(error))
    return disk_error(OSError(int(number[1]) if number else 0, str(error)), destination)
