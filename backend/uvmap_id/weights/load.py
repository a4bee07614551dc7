"""From weights on disk to the modules of a pipeline, on the CPU and without initialising what is replaced at once."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import init_empty_weights
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pipelines.identity_projection import FaceIdentityProjection, cross_attention_sizes
from uvmap_id.weights.fold import fold_processors, name_by_attention
from uvmap_id.weights.parts import Config, Part, Parts, gather, sd15_config
from uvmap_id.weights.recognise import WeightsKind
from uvmap_id.weights.tensors import Tensors

Module = TypeVar("Module", bound=nn.Module)

_TEXT_SETTINGS = (
    *("vocab_size", "hidden_size", "intermediate_size", "projection_dim", "num_hidden_layers", "num_attention_heads"),
    *("max_position_embeddings", "hidden_act", "layer_norm_eps", "bos_token_id", "eos_token_id", "pad_token_id"),
)
_ANOTHER = "The weights are of another model or version."


@dataclass(frozen=True, slots=True)
class Components:
    """The modules of a pipeline, on the CPU, in evaluation mode, without gradients.

    Attributes:
        kind: What they were loaded from.
        prediction: What the U-Net predicts: "epsilon" or "v_prediction".
        identity_projection: None for weights that know text only.
    """

    kind: WeightsKind
    prediction: str
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel
    scheduler: DDIMScheduler
    identity_projection: FaceIdentityProjection | None

    def modules(self) -> dict[str, Any]:
        """By the names that the pipeline's constructor has for them."""
        names = ("vae", "text_encoder", "tokenizer", "unet", "scheduler", "identity_projection")
        return {name: getattr(self, name) for name in names}


def load_components(
    path: Path, *, base: Path | None = None, vae: Path | None = None, dtype: torch.dtype = torch.float32
) -> Components:
    """Load weights of any kind that `recognise` knows; the network is never asked.

    Args:
        path: Folder or file.
        base: Stable Diffusion 1.5 (2.1 for TexDreamer) for weights that are only a part, and for what `path` lacks.
        vae: A VAE to take instead of that of `path` or `base`: a folder or a file.
        dtype: Of the U-Net and the VAE; the text encoder and the identity's projection, which run once a texture,
            are float32. What is folded is folded in float32 first.

    Raises:
        UVMapError: `weights_missing`, `weights_incomplete`, `weights_invalid`, `weights_unsupported`, each with the
            tensor or file that it is about.
    """
    parts = gather(path, base, vae)
    unet = empty(UNet2DConditionModel, parts.unet.config)
    vae_module = empty(AutoencoderKL, parts.vae.config)
    text_encoder = _empty_text_encoder(parts.text_encoder.config)
    _check_widths(unet, text_encoder)
    unet_tensors, identity = _folded(parts, unet)
    # The fused format was checked when it was written.
    check = parts.kind is not WeightsKind.FUSED
    scheduler = _scheduler(parts.scheduler)
    return Components(
        kind=parts.kind,
        prediction=scheduler.config["prediction_type"],
        vae=fill(vae_module, named(parts.vae, vae_module), dtype, check_finite=check),
        text_encoder=fill(text_encoder, named(parts.text_encoder, text_encoder), torch.float32, check_finite=check),
        tokenizer=_tokenizer(parts.tokenizer),
        unet=fill(unet, unet_tensors, dtype, check_finite=check),
        scheduler=scheduler,
        identity_projection=_projection(identity, unet, check) if identity else None,
    )


def empty(module: type[Module], config: Config) -> Module:
    """A module of diffusers whose weights are not there yet.

    Raises:
        UVMapError: `weights_invalid`: the configuration is none of this module.
    """
    known = inspect.signature(module.__init__).parameters
    try:
        with init_empty_weights(include_buffers=False):
            return module(**{name: value for name, value in config.items() if name in known})
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise UVMapError(
            ErrorCode.WEIGHTS_INVALID, f"The configuration of a {module.__name__} can't be used: {error}.", _ANOTHER
        ) from error


def named(part: Part, module: nn.Module) -> Tensors:
    """A part's tensors under the module's names; those that the module doesn't know keep the file's."""
    names = {part.file_name(name): name for name in module.state_dict()}
    return {names.get(name, name): tensor for name, tensor in part.tensors.items()}


def fill(module: Module, tensors: Tensors, dtype: torch.dtype, *, check_finite: bool = True) -> Module:
    """Put tensors into an empty module.

    Args:
        module: Of `empty`.
        tensors: All of the module, and nothing else.
        dtype: That the module gets.
        check_finite: Whether NaN and infinity are looked for; it reads every tensor once.

    Raises:
        UVMapError: `weights_incomplete`, `weights_invalid`: a tensor is missing, too much, of a wrong shape or not
            finite.
    """
    expected = module.state_dict()
    if missing := sorted(expected.keys() - tensors.keys()):
        raise UVMapError(
            ErrorCode.WEIGHTS_INCOMPLETE, f"The tensor {missing[0]} is missing, and {len(missing) - 1} more.", _ANOTHER
        )
    if extra := sorted(tensors.keys() - expected.keys()):
        raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"The tensor {extra[0]} belongs to no layer.", _ANOTHER)
    ready: Tensors = {}
    for name, wanted in expected.items():
        tensor = _as_linear(tensors[name], wanted)
        if tensor.shape != wanted.shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(wanted.shape)}"
            raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"The tensor {name} has the shape {shapes}.", _ANOTHER)
        ready[name] = tensor.to(dtype)
        if check_finite and not _is_finite(ready[name]):
            raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"The tensor {name} holds NaN or infinity.", _ANOTHER)
    module.load_state_dict(ready, assign=True)
    return module.eval().requires_grad_(False)


def _folded(parts: Parts, unet: UNet2DConditionModel) -> tuple[Tensors, Tensors | None]:
    """The U-Net's tensors, and those of the identity projection if there is one."""
    tensors = named(parts.unet, unet)
    if parts.processors is None:
        return tensors, parts.identity
    attentions = [name.removesuffix(".processor") for name in unet.attn_processors]
    processors = parts.processors
    if parts.kind is WeightsKind.FACE_ADAPTER:
        processors = name_by_attention(processors, attentions)
    tensors, layers = fold_processors(tensors, processors, attentions)
    return tensors, (parts.identity or {}) | layers


def _projection(tensors: Tensors, unet: UNet2DConditionModel, check_finite: bool) -> FaceIdentityProjection:
    sizes = identity_sizes(tensors)
    with init_empty_weights(include_buffers=False):
        projection = FaceIdentityProjection(cross_attention_sizes(unet), **sizes)
    return fill(projection, tensors, torch.float32, check_finite=check_finite)


def identity_sizes(tensors: Tensors) -> dict[str, int]:
    """The identity projection's `embedding_size`, `token_size` and `tokens`, read off its tensors.

    Raises:
        UVMapError: `weights_incomplete`: a tensor is missing. `weights_invalid`: the sizes fit no projection.
    """
    shapes = {}
    for name in ("proj.0.weight", "proj.2.weight", "norm.weight"):
        if name not in tensors:
            raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"The tensor {name} is missing.", _ANOTHER)
        shapes[name] = tuple(tensors[name].shape)
    token, embedding, out = shapes["norm.weight"][-1:], shapes["proj.0.weight"][-1:], shapes["proj.2.weight"][:1]
    if token and embedding and out and token[0] and out[0] % token[0] == 0:
        return {"embedding_size": embedding[0], "token_size": token[0], "tokens": out[0] // token[0]}
    raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"These are the sizes of no identity projection: {shapes}.", _ANOTHER)


def _empty_text_encoder(config: Config) -> CLIPTextModel:
    # A whole CLIP's configuration holds that of its text encoder.
    own = config.get("text_config", config)
    with init_empty_weights(include_buffers=False):
        return CLIPTextModel(CLIPTextConfig(**{name: own[name] for name in _TEXT_SETTINGS if name in own}))


def _check_widths(unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
    text, image = text_encoder.config.hidden_size, unet.config["cross_attention_dim"]
    if text != image:
        raise UVMapError(
            ErrorCode.WEIGHTS_UNSUPPORTED,
            f"The text encoder gives {text} values for each token, and the U-Net takes {image}.",
            "The parts are of different models: give those of one.",
        )


def _tokenizer(folder: Path) -> CLIPTokenizer:
    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # The tokenizers package raises nothing narrower.
        raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"The tokenizer in {folder} can't be read.", _ANOTHER) from error


def _scheduler(config: Config) -> DDIMScheduler:
    """DDIM with the training's noise schedule. What a folder leaves out is as in Stable Diffusion 1.5."""
    known = inspect.signature(DDIMScheduler.__init__).parameters
    # Latents are no pixels: whatever scheduler was saved, they are not to be cut at 1.
    wanted: Config = sd15_config("scheduler") | config | {"clip_sample": False}
    return DDIMScheduler(**{name: value for name, value in wanted.items() if name in known})


def _is_finite(tensor: Tensor) -> bool:
    """By the least and the greatest value, which NaN takes the place of: 20 times as fast as asking each."""
    return all(bool(bound.isfinite()) for bound in torch.aminmax(tensor))


def _as_linear(tensor: Tensor, wanted: Tensor) -> Tensor:
    """Some files hold linear layers as 1 x 1 convolutions."""
    return tensor.flatten(1) if wanted.ndim == 2 and tensor.shape[2:] == (1, 1) else tensor
