"""UVMap-ID: texture maps of a person whose face is given by an identity (arXiv 2404.14568).

Stable Diffusion, fine-tuned on textures in SMPL's atlas, with the identity's own keys and values in every
cross-attention. The paper's way of sampling is the default: DDIM, 50 steps, guidance 7.5, 512 x 512.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, UNet2DConditionModel
from diffusers.utils import BaseOutput
from numpy.typing import NDArray
from torch import Tensor

from uvmap_id.link.errors import ErrorCode, UVMapError

from .anchor import Anchor, encode_anchor
from .attention import make_conditioning
from .denoising import Denoiser, Samples, Schedule, StepCallback
from .identity_projection import FaceIdentityProjection
from .memory import plan_batch
from .presets import PRESETS
from .prompts import encode_prompts
from .schedulers import make_scheduler
from .split_unet import SplitUNet

if TYPE_CHECKING:
    from diffusers import SchedulerMixin
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass
class UVMapIDOutput(BaseOutput):
    """What a run made.

    Attributes:
        images: (B, H, W, 3) float32 sRGB, 0..1; row 0 is the top of the atlas.
        skipped: What the preset left out, for the manifest; empty for "exact".
    """

    images: NDArray[np.float32]
    skipped: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Sample:
    """What is one sample's own."""

    prompt: str
    negative_prompt: str
    seed: int
    guidance: float
    strength: float
    identity: Tensor | None
    place: int


class UVMapIDPipeline(DiffusionPipeline):
    """Texture maps from prompts and identities.

    Attributes:
        vae: Of Stable Diffusion; the paper uses sd-vae-ft-mse.
        text_encoder: CLIP's, fine-tuned with the rest.
        tokenizer: Its tokenizer.
        unet: Fine-tuned, low-rank updates folded in.
        scheduler: Names the noise schedule; the one that runs is made by name.
        identity_projection: None for weights that know no identity, such as SMPLitex's.
    """

    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel
    scheduler: SchedulerMixin
    identity_projection: FaceIdentityProjection | None

    model_cpu_offload_seq = "text_encoder->identity_projection->unet->vae"
    _optional_components = ["identity_projection"]  # noqa: RUF012 - diffusers' own form

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel,
        scheduler: SchedulerMixin,
        identity_projection: FaceIdentityProjection | None = None,
    ) -> None:
        """Raises `UVMapError` (weights_unsupported) for a U-Net that is not Stable Diffusion 1's or 2's."""
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            identity_projection=identity_projection,
        )
        self.split_unet = SplitUNet(unet)
        self.vae_scale = 2 ** (len(vae.config["block_out_channels"]) - 1)

    @torch.no_grad()
    def __call__(
        self,
        prompt: list[str],
        identity: Tensor | None,
        seed: list[int],
        negative_prompt: list[str] | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float | Sequence[float] = 7.5,
        guidance_start: float = 0.0,
        guidance_stop: float = 1.0,
        identity_strength: float | Sequence[float] = 1.0,
        scheduler: str = "ddim",
        preset: str = "exact",
        anchor: Anchor | None = None,
        height: int = 512,
        width: int = 512,
        batch_size: int | None = None,
        on_step: StepCallback | None = None,
    ) -> UVMapIDOutput:
        """Make one texture for each prompt.

        Args:
            prompt: B texts, as they are: no template is applied. Long ones are split, not cut.
            identity: (B, 512) L2-normalised embeddings; None leaves the identity out.
            seed: B seeds. A sample depends on its own alone, not on its batch.
            negative_prompt: B texts; empty by default.
            num_inference_steps: Denoising steps.
            guidance_scale: Classifier-free guidance, one for all or B of them; 1 is none.
            guidance_start: Fraction of the steps where guidance sets in.
            guidance_stop: Fraction of the steps where it ends.
            identity_strength: Weight of the identity beside the text, one for all or B of them.
            scheduler: A key of `SCHEDULERS`, or one of diffusers' classes.
            preset: A key of `PRESETS`.
            anchor: Pictures that hold the faces.
            height: Of the pictures; a multiple of 64.
            width: Of the pictures; a multiple of 64.
            batch_size: Samples at once; by default what memory there is decides.
            on_step: Called with the steps done, their number and the batch's latents; what it raises ends the run.

        Returns:
            The pictures, and what the preset left out.

        Raises:
            UVMapError: `counts_differ`, `scheduler_unknown`, `setting_out_of_range`, `embedding_invalid`,
                `out_of_memory`, `image_not_finite`
        """
        samples = self._samples(prompt, negative_prompt, seed, guidance_scale, identity_strength, identity)
        self._check_size(height, width)
        _check_anchor(anchor, len(samples), height, width)
        schedule = Schedule(
            make_scheduler(scheduler, self.scheduler),
            num_inference_steps,
            PRESETS[preset],
            guidance_start,
            guidance_stop,
        )
        skipped: dict[str, Any] = {}

        def make(batch: list[_Sample], report: StepCallback | None) -> list[NDArray[np.float32]]:
            chosen = None if anchor is None else _rows(anchor, batch)
            denoiser = Denoiser(self.split_unet, self._prepared(batch, chosen, height, width), schedule)
            skipped.update(denoiser.skipped)
            return self.decode(denoiser.run(report))

        size = batch_size or plan_batch(len(samples), self.device, self.unet.dtype, height * width)
        images = _in_batches(samples, size, make, on_step)
        return UVMapIDOutput(images=np.stack(images), skipped=skipped)

    def encode_prompt(self, prompts: list[str]) -> tuple[Tensor, Tensor | None]:
        """(B, T, C) encodings of B prompts, and (B, T) which tokens count, or None where all do."""
        return encode_prompts(prompts, self.tokenizer, self.text_encoder)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> list[NDArray[np.float32]]:
        """Pictures (H, W, 3) float32 sRGB, 0..1, of latents (B, 4, h, w).

        Raises:
            UVMapError: `image_not_finite`: numbers overflowed, and did so in float32 too.
        """
        scaled = latents / self.vae.config["scaling_factor"]
        if not bool(torch.isfinite(scaled).all()):
            raise _not_finite()
        # One by one: the decoder needs more memory for one picture than the U-Net for many latents.
        return [self._decode_one(each[None]) for each in scaled]

    def _decode_one(self, latents: Tensor) -> NDArray[np.float32]:
        vae = cast(Any, self.vae)
        image = vae.decode(latents.to(vae.dtype), return_dict=False)[0].float()
        if not bool(torch.isfinite(image).all()) and vae.dtype != torch.float32:
            # Stable Diffusion's VAE is known to overflow in float16.
            narrow = vae.dtype
            vae.to(torch.float32)
            image = vae.decode(latents.float(), return_dict=False)[0]
            vae.to(narrow)
        if not bool(torch.isfinite(image).all()):
            raise _not_finite()
        return (image[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()

    def _prepared(self, batch: list[_Sample], anchor: Anchor | None, height: int, width: int) -> Samples:
        generators = [torch.Generator("cpu").manual_seed(sample.seed) for sample in batch]
        shape = (self.unet.config["in_channels"], height // self.vae_scale, width // self.vae_scale)
        # Drawn on the CPU: the same seed is the same noise on every device.
        noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators]).to(self.device)
        text, mask = self.encode_prompt([sample.negative_prompt for sample in batch] + [s.prompt for s in batch])
        strength = torch.tensor([sample.strength for sample in batch], device=self.device).repeat(2)
        conditioning = make_conditioning(
            self.unet, text, mask, self.identity_projection, self._doubled_identity(batch), strength
        )
        guidance = torch.tensor([sample.guidance for sample in batch], device=self.device)
        held = None if anchor is None or anchor.amount == 0 else encode_anchor(anchor, self.vae)
        return Samples(noise, conditioning, guidance, generators, held)

    def _doubled_identity(self, batch: list[_Sample]) -> Tensor | None:
        """The unconditional identity is the projection of zeros, as the released model was sampled with."""
        identities = [sample.identity for sample in batch if sample.identity is not None]
        if not identities:
            return None
        conditional = torch.stack(identities).to(self.device)
        return torch.cat([torch.zeros_like(conditional), conditional])

    def _samples(
        self,
        prompts: list[str],
        negative_prompts: list[str] | None,
        seeds: list[int],
        guidance: float | Sequence[float],
        strength: float | Sequence[float],
        identity: Tensor | None,
    ) -> list[_Sample]:
        count = len(prompts)
        if identity is not None:
            self._check_identity(identity)
        columns = {
            "negative prompts": [""] * count if negative_prompts is None else negative_prompts,
            "seeds": seeds,
            "guidance scales": _for_each(guidance, count),
            "identity strengths": _for_each(strength, count),
            "identities": [None] * count if identity is None else list(identity),
        }
        for name, values in columns.items():
            if len(values) != count or not count:
                raise UVMapError(
                    ErrorCode.COUNTS_DIFFER, f"There are {count} prompts, but {len(values)} {name}.", "Give one each."
                )
        return [_Sample(*values) for values in zip(prompts, *columns.values(), range(count), strict=True)]

    def _check_identity(self, identity: Tensor) -> None:
        size = 512 if self.identity_projection is None else self.identity_projection.config["embedding_size"]
        if identity.ndim != 2 or identity.shape[1] != size or not bool(torch.isfinite(identity).all()):
            raise UVMapError(
                ErrorCode.EMBEDDING_INVALID,
                f"The identities are {tuple(identity.shape)} numbers, or not all finite.",
                f"Give one row of {size} numbers for each prompt.",
            )

    def _check_size(self, height: int, width: int) -> None:
        step = self.vae_scale * self.split_unet.divisor
        if height % step or width % step or height <= 0 or width <= 0:
            raise UVMapError(
                ErrorCode.SETTING_OUT_OF_RANGE,
                f"Pictures of {width} x {height} can't be made.",
                f"Use multiples of {step}.",
            )


def _in_batches(
    samples: list[_Sample],
    size: int,
    make: Callable[[list[_Sample], StepCallback | None], list[NDArray[np.float32]]],
    on_step: StepCallback | None,
) -> list[NDArray[np.float32]]:
    """Make all samples, `size` at once; where memory runs out, half as many, once."""
    images: list[NDArray[np.float32]] = []
    halved = False
    while len(images) < len(samples):
        batch = samples[len(images) : len(images) + size]
        report = _overall(on_step, len(images), len(batch), len(samples))
        try:
            images += make(batch, report)
        except torch.OutOfMemoryError as error:
            if halved or size == 1:
                raise _out_of_memory(size) from error
            halved, size = True, size // 2
        else:
            continue
        # Outside of the handler: the exception held on to the tensors of the failed run.
        torch.cuda.empty_cache()
    return images


def _overall(on_step: StepCallback | None, done: int, batch: int, count: int) -> StepCallback | None:
    """The callback of one batch: its steps are counted among those of all batches."""
    if on_step is None or batch == count:
        return on_step

    def report(step: int, steps: int, latents: Tensor) -> None:
        on_step(done * steps + batch * step, count * steps, latents)

    return report


def _for_each(value: float | Sequence[float], count: int) -> list[float]:
    return [float(value)] * count if isinstance(value, int | float) else list(value)


def _rows(anchor: Anchor, batch: list[_Sample]) -> Anchor:
    images = anchor.images[[sample.place for sample in batch]]
    return dataclasses.replace(anchor, images=images)


def _check_anchor(anchor: Anchor | None, count: int, height: int, width: int) -> None:
    if anchor is None:
        return
    if anchor.images.shape != (count, height, width, 3) or anchor.mask.shape != (height, width):
        raise UVMapError(
            ErrorCode.COUNTS_DIFFER,
            f"The anchor is {anchor.images.shape} with a mask {anchor.mask.shape}.",
            f"It has to be {(count, height, width, 3)} with a mask {(height, width)}.",
        )


def _not_finite() -> UVMapError:
    return UVMapError(
        ErrorCode.IMAGE_NOT_FINITE,
        "The texture came out as no numbers (NaN).",
        "Check the weights with `uvmap-id weights verify`, or choose another scheduler.",
    )


def _out_of_memory(size: int) -> UVMapError:
    return UVMapError(
        ErrorCode.OUT_OF_MEMORY,
        f"The memory did not suffice for {size} texture{'s' if size > 1 else ''} at once.",
        "Close other programs that use the graphics card, then try again.",
    )
