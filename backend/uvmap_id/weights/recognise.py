"""What weights are: told from the names and shapes of their tensors, never from the names of files."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.tensors import Shapes, component_files, read_json, read_shapes, tensor_files

MANIFEST = "manifest.json"
FUSED_FORMAT = "uvmap_id_weights"
"""The key in the manifest that tells the fused format and its number."""

_LATENT_CHANNELS = 4
_ACCEPTED = "Accepted are UVMap-ID, Stable Diffusion 1.5 such as SMPLitex, IP-Adapter-FaceID for it and TexDreamer."


class WeightsKind(StrEnum):
    """What a file or a folder of weights is."""

    RELEASE_A = "uvmap-id-a"
    """UVMap-ID's release, its U-Net in a checkpoint folder."""
    RELEASE_B = "uvmap-id-b"
    """UVMap-ID's release, its U-Net in `unet/`."""
    FOLDER = "sd15-folder"
    """Stable Diffusion 1.5 as diffusers saves it, e.g. SMPLitex."""
    FILE = "sd15-file"
    """Stable Diffusion 1.5 in one file."""
    SD2_FOLDER = "sd2-folder"
    """Stable Diffusion 2 as diffusers saves it, the base of TexDreamer."""
    FACE_ADAPTER = "ip-adapter-faceid"
    """IP-Adapter-FaceID for Stable Diffusion 1.5; needs a base."""
    TEXDREAMER = "texdreamer"
    """LoRA of a U-Net and a text encoder; needs Stable Diffusion 2.1 as its base."""
    VAE = "vae"
    """Only a VAE."""
    FUSED = "uvmap-id-fused"
    """This project's own format: nothing is left to fold."""


class FileKind(StrEnum):
    """What the tensors of one file belong to."""

    UNET = "U-Net of Stable Diffusion 1.5"
    UNET_2 = "U-Net of Stable Diffusion 2"
    UNET_WITH_PROCESSORS = "U-Net with UVMap-ID's processors"
    TEXT_ENCODER = "text encoder"
    VAE = "VAE"
    WHOLE = "Stable Diffusion 1.5 in one file"
    FACE_ADAPTER = "IP-Adapter-FaceID"
    PROJECTION = "identity projection"
    LORA = "LoRA"


def recognise(path: Path) -> WeightsKind:
    """What the file or folder at `path` is. Nothing but names and shapes is read.

    Raises:
        UVMapError: `weights_missing`: there is nothing. `weights_incomplete`: a part is missing. `weights_invalid`: a
            file can't be read. `weights_unsupported`: weights of another model.
    """
    if path.is_file():
        return _kind_of_file(path)
    if not path.is_dir():
        raise UVMapError(ErrorCode.WEIGHTS_MISSING, f"There is no {path}.", "Give the folder or file of the weights.")
    if is_fused(path):
        return WeightsKind.FUSED
    if (path / "unet").is_dir():
        return _kind_of_folder(path)
    return _kind_of_file(_only_file(path))


def is_fused(folder: Path) -> bool:
    """Whether a folder has the manifest of the fused format."""
    return (folder / MANIFEST).is_file() and FUSED_FORMAT in read_json(folder / MANIFEST)


def find_checkpoint(folder: Path) -> Path | None:
    """The U-Net's folder of layout A: `checkpoint-N/unet` with the highest N, or None."""
    found = ((re.fullmatch(r"checkpoint-(\d+)", path.parent.name), path) for path in folder.glob("checkpoint-*/unet"))
    folders = [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]
    return folders[-1] if folders else None


def find_projection(unet: Path) -> Path:
    """The file with the identity projection that belongs to a U-Net's folder: beside it, or in a folder beside it.

    Raises:
        UVMapError: `weights_incomplete`: there is none.
    """
    beside = unet.parent
    folders = [beside, *sorted(each for each in beside.iterdir() if each.is_dir() and each != unet)]
    for file in (file for each in folders for file in tensor_files(each)):
        if is_projection(read_shapes(file)):
            return file
    raise UVMapError(
        ErrorCode.WEIGHTS_INCOMPLETE,
        f"{beside} has no identity projection (proj.0.weight).",
        f"Put image_proj_model.ckpt back into {beside}.",
    )


def kind_of_tensors(shapes: Shapes, where: Path) -> FileKind:
    """What the tensors of one file belong to.

    Raises:
        UVMapError: `weights_unsupported`: another model, or nothing known.
    """
    prefix = "model.diffusion_model."
    whole = any(name.startswith(prefix) for name in shapes)
    names = {name.removeprefix(prefix) for name in shapes} if whole else set(shapes)
    _refuse_other_models(names, where)
    if whole:
        _refuse_other_latents(shapes.get(f"{prefix}input_blocks.0.0.weight"), where)
        return FileKind.WHOLE
    if any(name.startswith("ip_adapter.") for name in names):
        return FileKind.FACE_ADAPTER
    if any(".lora_A." in name for name in names):
        return FileKind.LORA
    if any(name.startswith("down_blocks.") for name in names):
        return _kind_of_unet(shapes, where)
    if any(name.startswith(("decoder.", "first_stage_model.decoder.")) for name in names):
        return FileKind.VAE
    if any(name.endswith("token_embedding.weight") for name in names):
        return FileKind.TEXT_ENCODER
    if is_projection(shapes):
        return FileKind.PROJECTION
    raise UVMapError(ErrorCode.WEIGHTS_UNSUPPORTED, f"{where} holds tensors of no known model.", _ACCEPTED)


def is_projection(shapes: Shapes) -> bool:
    """Whether these are the tensors of an identity projection and nothing else, under whatever prefix."""
    endings = ("proj.0.weight", "proj.0.bias", "proj.2.weight", "proj.2.bias", "norm.weight", "norm.bias")
    return len(shapes) == len(endings) and all(any(name.endswith(ending) for name in shapes) for ending in endings)


def _kind_of_file(file: Path) -> WeightsKind:
    kind = kind_of_tensors(read_shapes(file), file)
    kinds = {
        FileKind.WHOLE: WeightsKind.FILE,
        FileKind.FACE_ADAPTER: WeightsKind.FACE_ADAPTER,
        FileKind.VAE: WeightsKind.VAE,
    }
    if kind in kinds:
        return kinds[kind]
    raise UVMapError(
        ErrorCode.WEIGHTS_INCOMPLETE,
        f"{file} is only one part: {kind.value}.",
        "Give the folder that holds all parts.",
    )


def _kind_of_folder(folder: Path) -> WeightsKind:
    checkpoint = find_checkpoint(folder)
    if checkpoint and _file_kind(checkpoint) is FileKind.UNET_WITH_PROCESSORS:
        return WeightsKind.RELEASE_A
    kinds = {
        FileKind.UNET: WeightsKind.FOLDER,
        FileKind.UNET_2: WeightsKind.SD2_FOLDER,
        FileKind.UNET_WITH_PROCESSORS: WeightsKind.RELEASE_B,
        FileKind.LORA: WeightsKind.TEXDREAMER,
    }
    kind = _file_kind(folder / "unet")
    if kind in kinds:
        return kinds[kind]
    raise UVMapError(
        ErrorCode.WEIGHTS_INVALID, f"{folder / 'unet'} holds no U-Net but: {kind.value}.", "Get the folder again."
    )


def _file_kind(folder: Path) -> FileKind:
    shapes: Shapes = {}
    for file in component_files(folder):
        shapes |= read_shapes(file)
    return kind_of_tensors(shapes, folder)


def _only_file(folder: Path) -> Path:
    files = tensor_files(folder)
    if not any(folder.iterdir()):
        raise UVMapError(ErrorCode.WEIGHTS_MISSING, f"{folder} is empty.", "Give the folder or file of the weights.")
    if len(files) > 1 and not any(folder.glob("*.index.json")):
        raise UVMapError(
            ErrorCode.WEIGHTS_UNSUPPORTED, f"{folder} holds several files of weights.", "Give one of the files."
        )
    return component_files(folder)[0]


def _kind_of_unet(shapes: Shapes, where: Path) -> FileKind:
    _refuse_other_latents(shapes.get("conv_in.weight"), where)
    if any(".processor." in name for name in shapes):
        return FileKind.UNET_WITH_PROCESSORS
    # Stable Diffusion 1 enters its transformers through 1 x 1 convolutions, 2 through linear layers.
    linear = any(name.endswith(".proj_in.weight") and len(shape) == 2 for name, shape in shapes.items())
    return FileKind.UNET_2 if linear else FileKind.UNET


def _refuse_other_models(names: set[str], where: Path) -> None:
    others = {
        "Stable Diffusion XL": ("conditioner.embedders.", "add_embedding.", "label_emb."),
        "Stable Diffusion 2 in one file": ("cond_stage_model.model.transformer.resblocks.",),
        "Stable Diffusion 3 or Flux": ("joint_blocks.", "double_blocks.", "transformer_blocks.0.attn.add_k_proj."),
        "an IP-Adapter that doesn't start from a face's embedding": (
            "image_proj.perceiver_resampler.",
            "image_proj.latents",
            "image_proj.proj.weight",
        ),
        "a LoRA of another format": ("lora_unet_", "lora_te_"),
    }
    for name, prefixes in others.items():
        if any(each.startswith(prefixes) for each in names):
            raise UVMapError(ErrorCode.WEIGHTS_UNSUPPORTED, f"{where} is {name}.", _ACCEPTED)


def _refuse_other_latents(shape: tuple[int, ...] | None, where: Path) -> None:
    if shape and shape[1:2] != (_LATENT_CHANNELS,):
        raise UVMapError(
            ErrorCode.WEIGHTS_UNSUPPORTED,
            f"{where} is a U-Net for inpainting or editing: it takes {shape[1]} channels instead of 4.",
            _ACCEPTED,
        )
