"""The parts of a checkpoint, gathered from whichever layout it has: configurations and tensors, nothing built yet."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights import single_file
from uvmap_id.weights.fold import fold_peft, peft_settings, split_processors
from uvmap_id.weights.manifest import IDENTITY, read_manifest
from uvmap_id.weights.recognise import WeightsKind, find_checkpoint, find_projection, recognise
from uvmap_id.weights.tensors import Tensors, component_files, read_json, read_tensors

Config = dict[str, Any]

_TOKENIZER_FILES = ("tokenizer.json", "vocab.json")
_NEEDS_BASE = "Give a folder of Stable Diffusion 1.5 as the base."
_NEEDS_SD2 = "Give the folder of Stable Diffusion 2.1 that the LoRA was trained on as the base."
_NEEDS_VAE = "Give a VAE for Stable Diffusion 1.5, e.g. the folder or file of sd-vae-ft-mse."
_OLD_ATTENTION = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


@dataclass(frozen=True, slots=True)
class Part:
    """One module.

    Attributes:
        config: As diffusers or transformers write it.
        tensors: Under the names that the file has.
        file_name: From the module's name of a tensor to the file's.
    """

    config: Config
    tensors: Tensors
    file_name: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a pipeline is built from.

    Attributes:
        kind: What it was gathered from.
        unet: The U-Net without processors.
        vae: The image's encoder and decoder.
        text_encoder: CLIP's.
        tokenizer: Its folder.
        scheduler: Its configuration.
        identity: The projection's tensors, or None for weights without an identity.
        processors: What is to be folded into the U-Net, named by attention or numbered, if anything.
    """

    kind: WeightsKind
    unet: Part
    vae: Part
    text_encoder: Part
    tokenizer: Path
    scheduler: Config
    identity: Tensors | None = None
    processors: Tensors | None = None


def gather(path: Path, base: Path | None = None, vae: Path | None = None) -> Parts:
    """The parts of the weights at `path`.

    Args:
        path: Folder or file of any kind in `WeightsKind` but a VAE alone.
        base: Where what `path` lacks is taken from.
        vae: A VAE to take instead of the one in `path` or `base`: a folder or a file.

    Raises:
        UVMapError: The `weights_...` codes.
    """
    kind = recognise(path)
    if kind is WeightsKind.FACE_ADAPTER:
        parts = _face_adapter(path, base, vae)
    elif kind is WeightsKind.TEXDREAMER:
        parts = _texdreamer(path, base, vae)
    elif kind is WeightsKind.FILE:
        parts = _single_file(path, base, vae)
    elif kind in (WeightsKind.RELEASE_A, WeightsKind.RELEASE_B):
        parts = _release(path, base, vae, kind)
    elif kind is WeightsKind.VAE:
        raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"{path} is only a VAE.", "Give it as the VAE of other weights.")
    elif kind is WeightsKind.FUSED:
        parts = _fused(path)
    else:
        parts = _folder(path, base, vae, kind)
    return parts


def read_part(folder: Path) -> Part:
    """A module's folder: its configuration and its tensors."""
    return Part(read_json(folder / "config.json"), read_tensors(component_files(folder)))


def sd15_config(name: str) -> Config:
    """The configuration of one part of Stable Diffusion 1.5: "unet", "vae", "text_encoder", "scheduler"."""
    return json.loads((files("uvmap_id.weights") / "data" / "sd15" / f"{name}.json").read_text(encoding="utf-8"))


def _folder(path: Path, base: Path | None, vae: Path | None, kind: WeightsKind) -> Parts:
    return Parts(
        kind,
        unet=read_part(path / "unet"),
        vae=_vae(vae or _place(path, base, "vae", _NEEDS_VAE)),
        text_encoder=_text_encoder(read_part(_place(path, base, "text_encoder", _NEEDS_BASE))),
        tokenizer=_tokenizer(path, base),
        scheduler=_scheduler(path, base),
    )


def _fused(path: Path) -> Parts:
    manifest = read_manifest(path)
    parts = _folder(path, None, None, WeightsKind.FUSED)
    return replace(parts, identity=read_tensors([path / IDENTITY])) if IDENTITY in manifest.files else parts


def _release(path: Path, base: Path | None, vae: Path | None, kind: WeightsKind) -> Parts:
    unet = find_checkpoint(path) if kind is WeightsKind.RELEASE_A else None
    unet = unet or path / "unet"
    config = next((each for each in (unet, path / "unet") if (each / "config.json").is_file()), unet)
    own, processors = split_processors(read_tensors(component_files(unet)))
    return Parts(
        kind,
        unet=Part(read_json(config / "config.json"), own),
        vae=_vae(vae or _place(path, base, "vae", _NEEDS_VAE)),
        text_encoder=_text_encoder(read_part(_place(path, base, "text_encoder", _NEEDS_BASE))),
        tokenizer=_tokenizer(path, base),
        scheduler=_scheduler(path, base),
        identity=_projection(read_tensors([find_projection(unet)])),
        processors=processors,
    )


def _single_file(path: Path, base: Path | None, vae: Path | None) -> Parts:
    file = path if path.is_file() else component_files(path)[0]
    tensors = read_tensors([file])
    configs = {name: _config_beside(file.parent, base, name) for name in ("unet", "vae", "text_encoder")}
    layers, ups = int(configs["unet"]["layers_per_block"]), configs["unet"]["up_block_types"]
    with_attention = frozenset(number for number, name in enumerate(ups) if "CrossAttn" in name)
    text = _below(tensors, single_file.TEXT_ENCODER_PREFIX)
    return Parts(
        WeightsKind.FILE,
        unet=Part(
            configs["unet"],
            _below(tensors, single_file.UNET_PREFIX),
            lambda name: single_file.unet_name(name, layers, with_attention),
        ),
        vae=_vae(vae) if vae else _ldm_vae(configs["vae"], _below(tensors, single_file.VAE_PREFIX)),
        text_encoder=_text_encoder(Part(configs["text_encoder"], text)),
        tokenizer=_tokenizer(file.parent, base),
        scheduler=_scheduler(file.parent, base),
    )


def _face_adapter(path: Path, base: Path | None, vae: Path | None) -> Parts:
    if base is None:
        raise UVMapError(ErrorCode.WEIGHTS_MISSING, f"{path} is an IP-Adapter and needs a base.", _NEEDS_BASE)
    parts = gather(base, vae=vae)
    if parts.kind not in (WeightsKind.FOLDER, WeightsKind.FILE, WeightsKind.FUSED) or parts.identity:
        raise UVMapError(
            ErrorCode.WEIGHTS_UNSUPPORTED, f"{base} is {parts.kind.value}, no plain Stable Diffusion 1.5.", _NEEDS_BASE
        )
    tensors = read_tensors([path] if path.is_file() else component_files(path))
    image_proj = {name: tensor for name, tensor in tensors.items() if name.startswith("image_proj.")}
    numbered = {name: tensor for name, tensor in tensors.items() if name not in image_proj}
    return replace(
        parts, kind=WeightsKind.FACE_ADAPTER, identity=_below(image_proj, "image_proj."), processors=numbered
    )


def _texdreamer(path: Path, base: Path | None, vae: Path | None) -> Parts:
    if base is None:
        raise UVMapError(ErrorCode.WEIGHTS_MISSING, f"{path} is a LoRA and needs a base.", _NEEDS_SD2)
    if recognise(base) is not WeightsKind.SD2_FOLDER:
        raise UVMapError(ErrorCode.WEIGHTS_UNSUPPORTED, f"{base} is no Stable Diffusion 2.1.", _NEEDS_SD2)
    parts = gather(base, vae=vae)
    return replace(
        parts,
        kind=WeightsKind.TEXDREAMER,
        unet=_with_lora(parts.unet, path / "unet"),
        text_encoder=_with_lora(parts.text_encoder, path / "text_encoder"),
    )


def _with_lora(part: Part, folder: Path) -> Part:
    adapter = read_part_tensors(folder)
    settings = peft_settings(read_json(folder / "adapter_config.json"), folder)
    return replace(part, tensors=fold_peft(part.tensors, adapter, settings))


def read_part_tensors(folder: Path) -> Tensors:
    """The tensors of a module's folder."""
    return read_tensors(component_files(folder))


def _vae(path: Path) -> Part:
    """A VAE's folder, or a file with diffusers' or the single file's names."""
    if path.is_dir() and (path / "config.json").is_file():
        config, tensors = read_json(path / "config.json"), read_tensors(component_files(path))
    else:
        if recognise(path) is not WeightsKind.VAE:
            raise UVMapError(ErrorCode.WEIGHTS_UNSUPPORTED, f"{path} is no VAE.", _NEEDS_VAE)
        file = path if path.is_file() else component_files(path)[0]
        config, tensors = _config_beside(file.parent, None, "vae"), read_tensors([file])
    if any(".down_blocks." in name for name in tensors):
        return Part(config, {_new_attention(name): tensor for name, tensor in tensors.items()})
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("loss.")}
    return _ldm_vae(config, {name.removeprefix(single_file.VAE_PREFIX): tensor for name, tensor in tensors.items()})


def _ldm_vae(config: Config, tensors: Tensors) -> Part:
    blocks = len(config["block_out_channels"])
    return Part(config, tensors, lambda name: single_file.vae_name(name, blocks))


def _new_attention(name: str) -> str:
    for old, new in _OLD_ATTENTION.items():
        name = name.replace(old, new)
    return name


def _text_encoder(part: Part) -> Part:
    tensors = {
        name.removeprefix(single_file.TEXT_MODEL): tensor
        for name, tensor in part.tensors.items()
        if not name.endswith("position_ids")
    }
    return Part(part.config, tensors, lambda name: name.removeprefix(single_file.TEXT_MODEL))


def _projection(tensors: Tensors) -> Tensors:
    """Without the prefix that the file may have nested it under."""
    prefix = next(name for name in tensors if name.endswith("proj.0.weight")).removesuffix("proj.0.weight")
    return _below(tensors, prefix)


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _config_beside(folder: Path, base: Path | None, name: str) -> Config:
    for place in (folder, base):
        if place and (place / name / "config.json").is_file():
            return read_json(place / name / "config.json")
    return sd15_config(name)


def _place(path: Path, base: Path | None, name: str, hint: str) -> Path:
    for place in (path, base):
        if place and (place / name / "config.json").is_file():
            return place / name
    raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"{path} has no {name}.", hint)


def _tokenizer(path: Path, base: Path | None) -> Path:
    for place in (path, base):
        if place and any((place / "tokenizer" / name).is_file() for name in _TOKENIZER_FILES):
            return place / "tokenizer"
    raise UVMapError(
        ErrorCode.WEIGHTS_INCOMPLETE,
        f"{path} has no tokenizer.",
        "Give a folder of Stable Diffusion 1.5 as the base, or put its folder `tokenizer` beside the file.",
    )


def _scheduler(path: Path, base: Path | None) -> Config:
    for place in (path, base):
        if place and (file := place / "scheduler" / "scheduler_config.json").is_file():
            return read_json(file)
    return sd15_config("scheduler")
