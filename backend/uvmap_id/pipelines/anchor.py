"""A picture that holds the face while the rest is generated around it. No published system for textures does this.

The anchor works twice: the denoising starts from the noised picture instead of from pure noise, so that its structure
is kept, and inside the mask the latents are put back onto the picture after each step, up to a given time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

# What is painted by the prompt still changes freely.
KEPT_STRUCTURE = 0.4


@dataclass(frozen=True, slots=True)
class Anchor:
    """What holds the face.

    Attributes:
        images: (B, H, W, 3) float32 sRGB, 0..1, e.g. the projection engine's texture.
        mask: (H, W) float32, 1 where the picture is held, 0 where it is not.
        amount: 0..1; 0 is no anchor at all, 1 holds the mask to the last step.
        structure: At full amount, this share of the noise is left out at the start, so that the picture's structure
            stays outside of the mask as well; with 0 nothing of it does.
    """

    images: NDArray[np.float32]
    mask: NDArray[np.float32]
    amount: float
    structure: float = KEPT_STRUCTURE


@dataclass(frozen=True, slots=True)
class LatentAnchor:
    """An anchor in the VAE's space.

    Attributes:
        latents: (B, 4, h, w), scaled as the U-Net sees them.
        mask: (1, 1, h, w)
        amount: As for `Anchor`.
        structure: As for `Anchor`.
    """

    latents: Tensor
    mask: Tensor
    amount: float
    structure: float = KEPT_STRUCTURE

    def first_step(self, count: int) -> int:
        """The step to start with; those before are left out."""
        return min(int(count * self.structure * self.amount), count - 1)

    def holds(self, step: int, count: int) -> bool:
        """Whether the mask is held after a step."""
        return step + 1 <= count * self.amount

    def put_back(self, latents: Tensor, noised: Tensor) -> Tensor:
        """The latents, with the anchor's inside the mask."""
        return torch.lerp(latents, noised.to(latents), self.mask)

    def rows(self, chosen: slice) -> LatentAnchor:
        """The same for some of the samples."""
        return LatentAnchor(self.latents[chosen], self.mask, self.amount, self.structure)


@torch.no_grad()
def encode_anchor(anchor: Anchor, vae: AutoencoderKL) -> LatentAnchor:
    """Bring an anchor into the VAE's space. The mean is taken, not a sample: equal pictures give equal latents."""
    pixels = torch.from_numpy(anchor.images).permute(0, 3, 1, 2).to(vae.device, vae.dtype) * 2 - 1
    latents = torch.cat([vae.encode(each[None], return_dict=False)[0].mode() for each in pixels]).float()
    mask = torch.from_numpy(anchor.mask)[None, None].to(latents)
    mask = F.interpolate(mask, latents.shape[-2:], mode="area")
    return LatentAnchor(latents * vae.config["scaling_factor"], mask, anchor.amount, anchor.structure)
