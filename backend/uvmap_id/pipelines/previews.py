"""A small picture of what the latents will become, without the VAE."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from numpy.typing import NDArray
from torch import Tensor

# The linear map from Stable Diffusion 1's latents to RGB, fitted by the user "keturn" and published in
# https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204 (2022).
_RED_GREEN_BLUE = (
    (0.298, 0.207, 0.208),
    (0.187, 0.286, 0.173),
    (-0.158, 0.189, 0.264),
    (-0.184, -0.271, -0.473),
)


@torch.no_grad()
def preview(latents: Tensor) -> NDArray[np.uint8]:
    """A picture of one sample's latents.

    Args:
        latents: (4, h, w), as the scheduler holds them.

    Returns:
        (2h, 2w, 3) uint8 sRGB.
    """
    colours = torch.einsum("chw,cr->rhw", latents.float().cpu(), torch.tensor(_RED_GREEN_BLUE))
    larger = F.interpolate(colours[None], scale_factor=2, mode="bilinear", align_corners=False)[0]
    return ((larger / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
