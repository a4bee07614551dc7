"""A small, complete checkpoint with random weights in every accepted layout: for tests, and to try the whole way.

Names of files and tensors are the real ones; all that differs is how wide the layers are, and that the pictures
show nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights import single_file
from uvmap_id.weights import tiny_modules as modules
from uvmap_id.weights.convert import convert
from uvmap_id.weights.parts import Config, sd15_config
from uvmap_id.weights.tensors import Tensors

_SEED = 20240423
_CROSS_ATTENTION_UPS = (1, 2, 3)
_LORA_ALPHA = 2 * modules.RANK


@dataclass(frozen=True, slots=True)
class TinyWeights:
    """One layout: what to give to `load_components`."""

    path: Path
    base: Path | None = None
    vae: Path | None = None


def make_tiny(folder: Path) -> dict[str, TinyWeights]:
    """Write every accepted layout into a new or empty folder, each below 4 MB; always the same weights.

    Returns:
        The layouts by name. "uvmap-id-a", "uvmap-id-b", "faceid-bin", "faceid-safetensors" and "fused" are the same
        weights with an identity; "sd15" and "smplitex" their base; "texdreamer" is a LoRA on "sd21".

    Raises:
        UVMapError: `output_not_writable`, `disk_full`: the folder holds something, or can't be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise UVMapError(ErrorCode.OUTPUT_NOT_WRITABLE, f"{folder} is not empty.", "Choose a new folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            return _write_all(folder)
    except OSError as error:
        raise disk_error(error, folder) from error


def _write_all(folder: Path) -> dict[str, TinyWeights]:
    unet = modules.random_unet(modules.unet_config())
    base, processors = modules.random_tensors(unet), modules.random_processors(unet)
    projection = modules.random_projection(unet)
    text_encoder = modules.random_text_encoder(modules.text_encoder_config())
    vae = modules.random_vae()
    attentions = [name.removesuffix(".processor") for name in unet.attn_processors]
    _write_module(folder / "sd-vae-ft-mse", modules.vae_config(), vae)
    _write_folder(folder / "sd15", base, text_encoder, vae)
    _write_release_a(folder / "uvmap-id-a", base | processors, projection, text_encoder)
    _write_release_b(folder / "uvmap-id-b", base | processors, projection, text_encoder, vae)
    _write_single_file(folder / "smplitex", base, text_encoder, vae)
    _write_face_adapter(folder / "faceid", processors, projection, attentions)
    _write_second(folder / "sd21", folder / "texdreamer", vae)
    faceid = folder / "faceid" / "ip-adapter-faceid_sd15.bin"
    layouts = {
        "uvmap-id-a": TinyWeights(folder / "uvmap-id-a", vae=folder / "sd-vae-ft-mse"),
        "uvmap-id-b": TinyWeights(folder / "uvmap-id-b"),
        "sd15": TinyWeights(folder / "sd15"),
        "smplitex": TinyWeights(folder / "smplitex" / "smplitex.safetensors"),
        "faceid-bin": TinyWeights(faceid, base=folder / "sd15"),
        "faceid-safetensors": TinyWeights(faceid.with_suffix(".safetensors"), base=folder / "sd15"),
        "sd21": TinyWeights(folder / "sd21"),
        "texdreamer": TinyWeights(folder / "texdreamer", base=folder / "sd21"),
        "fused": TinyWeights(folder / "fused"),
    }
    convert(layouts["uvmap-id-b"].path, folder / "fused", dtype=torch.float16)
    return layouts


def _write_folder(
    folder: Path, unet: Tensors, text_encoder: Tensors, vae: Tensors | None, *, second: bool = False
) -> None:
    """As diffusers saves a pipeline; the text encoder as transformers >= 5.6 saves it, without its prefix."""
    _write_module(folder / "unet", modules.unet_config(second=second), unet)
    bare = {name.removeprefix(single_file.TEXT_MODEL): tensor for name, tensor in text_encoder.items()}
    _write_text_encoder(folder, bare, second=second)
    if vae is not None:
        _write_module(folder / "vae", modules.vae_config(), vae)
    prediction = {"prediction_type": "v_prediction"} if second else {}
    _write_small_parts(folder, sd15_config("scheduler") | prediction)
    names = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "scheduler": "DDIMScheduler"}
    index = {name: ["diffusers", kind] for name, kind in names.items()}
    index |= {"text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    _write_json(folder / "model_index.json", {"_class_name": "StableDiffusionPipeline", **index})


def _write_release_a(folder: Path, unet: Tensors, projection: Tensors, text_encoder: Tensors) -> None:
    checkpoint = folder / "checkpoint-1500"
    (folder / "unet").mkdir(parents=True)
    _write_json(folder / "unet" / "config.json", modules.unet_config())
    (checkpoint / "unet").mkdir(parents=True)
    save_file(unet, checkpoint / "unet" / "diffusion_pytorch_model.safetensors")
    torch.save(projection, checkpoint / "image_proj_model.ckpt")
    _write_text_encoder(folder, text_encoder)
    _write_small_parts(folder, sd15_config("scheduler"))


def _write_release_b(folder: Path, unet: Tensors, projection: Tensors, text_encoder: Tensors, vae: Tensors) -> None:
    _write_module(folder / "unet", modules.unet_config(), unet)
    torch.save(projection, folder / "image_proj_model.ckpt")
    _write_text_encoder(folder, text_encoder)
    _write_module(folder / "vae", modules.vae_config(), vae)
    _write_small_parts(folder, sd15_config("scheduler"))


def _write_single_file(folder: Path, unet: Tensors, text_encoder: Tensors, vae: Tensors) -> None:
    configs = {"unet": modules.unet_config(), "vae": modules.vae_config()}
    configs["text_encoder"] = modules.text_encoder_config()
    for name, config in configs.items():
        (folder / name).mkdir(parents=True)
        _write_json(folder / name / "config.json", config)
    layers, blocks = configs["unet"]["layers_per_block"], len(configs["vae"]["block_out_channels"])
    tensors: Tensors = {}
    for name, tensor in unet.items():
        file_name = single_file.unet_name(name, layers, _CROSS_ATTENTION_UPS)
        tensors[single_file.UNET_PREFIX + file_name] = tensor
    for name, tensor in vae.items():
        # The single file's VAE attends through 1 x 1 convolutions.
        matrix = tensor.ndim == 2
        file_name = single_file.vae_name(name, blocks)
        tensors[single_file.VAE_PREFIX + file_name] = tensor[..., None, None] if matrix else tensor
    tensors |= {single_file.TEXT_ENCODER_PREFIX + name: tensor for name, tensor in text_encoder.items()}
    save_file(tensors, folder / "smplitex.safetensors")
    modules.write_tokenizer(folder / "tokenizer")


def _write_face_adapter(folder: Path, processors: Tensors, projection: Tensors, attentions: list[str]) -> None:
    folder.mkdir()
    numbered = {}
    for name, tensor in processors.items():
        attention, _, layer = name.partition(".processor.")
        numbered[f"{attentions.index(attention)}.{layer}"] = tensor
    torch.save({"image_proj": projection, "ip_adapter": numbered}, folder / "ip-adapter-faceid_sd15.bin")
    flat = {f"image_proj.{name}": tensor for name, tensor in projection.items()}
    flat |= {f"ip_adapter.{name}": tensor for name, tensor in numbered.items()}
    save_file(flat, folder / "ip-adapter-faceid_sd15.safetensors")


def _write_second(base: Path, lora: Path, vae: Tensors) -> None:
    """Stable Diffusion 2.1, and a LoRA of its U-Net and its text encoder."""
    unet = modules.random_tensors(modules.random_unet(modules.unet_config(second=True)))
    text_encoder = modules.random_text_encoder(modules.text_encoder_config(second=True))
    _write_folder(base, unet, text_encoder, vae, second=True)
    targets = {
        "unet": (unet, ("to_q", "to_k", "to_v", "to_out.0")),
        "text_encoder": (text_encoder, ("q_proj", "v_proj")),
    }
    for name, (weights, layers) in targets.items():
        (lora / name).mkdir(parents=True)
        save_file(modules.random_lora(weights, layers), lora / name / "adapter_model.safetensors")
        settings = {"peft_type": "LORA", "r": modules.RANK, "lora_alpha": _LORA_ALPHA, "bias": "none"}
        _write_json(lora / name / "adapter_config.json", settings | {"target_modules": list(layers)})


def _write_text_encoder(folder: Path, tensors: Tensors, *, second: bool = False) -> None:
    (folder / "text_encoder").mkdir(parents=True)
    _write_json(folder / "text_encoder" / "config.json", modules.text_encoder_config(second=second))
    save_file(tensors, folder / "text_encoder" / "model.safetensors")


def _write_module(folder: Path, config: Config, tensors: Tensors) -> None:
    folder.mkdir(parents=True)
    _write_json(folder / "config.json", config)
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")


def _write_small_parts(folder: Path, scheduler: Config) -> None:
    modules.write_tokenizer(folder / "tokenizer")
    (folder / "scheduler").mkdir()
    _write_json(folder / "scheduler" / "scheduler_config.json", {"_class_name": "DDIMScheduler", **scheduler})


def _write_json(file: Path, content: Config) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
