from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from asked import SIDE
from numpy.typing import NDArray
from torch import Tensor

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pipelines.anchor import Anchor, LatentAnchor, encode_anchor
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline

QUICK: dict[str, Any] = {"num_inference_steps": 5, "height": SIDE, "width": SIDE}
FACE = slice(32, 96)


@pytest.fixture
def picture() -> NDArray[np.float32]:
    """(1, SIDE, SIDE, 3) with something to see."""
    ramp = np.linspace(0, 1, SIDE, dtype=np.float32)
    return np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], 1 - ramp[:, None]), -1)[None]


@pytest.fixture
def mask() -> NDArray[np.float32]:
    held = np.zeros((SIDE, SIDE), np.float32)
    held[FACE, FACE] = 1
    return held


def last_latents(pipeline: UVMapIDPipeline, identities: Tensor, anchor: Anchor | None, **options: Any) -> Tensor:
    seen: list[Tensor] = []
    asked = {**QUICK, **options}
    pipeline(["hat"], identities[:1], [7], anchor=anchor, on_step=lambda done, count, all_: seen.append(all_), **asked)
    return seen[-1]


def test_an_anchor_of_nothing_is_the_papers_pipeline(
    pipeline: UVMapIDPipeline, identities: Tensor, picture: NDArray[np.float32], mask: NDArray[np.float32]
) -> None:
    without = last_latents(pipeline, identities, None)
    assert torch.equal(last_latents(pipeline, identities, Anchor(picture, mask, 0.0)), without)


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "euler-a", "dpm++", "heun", "pndm", "unipc"])
def test_a_full_anchor_is_the_face_and_leaves_the_rest_to_the_prompt(
    pipeline: UVMapIDPipeline,
    identities: Tensor,
    picture: NDArray[np.float32],
    mask: NDArray[np.float32],
    scheduler: str,
) -> None:
    anchor = Anchor(picture, mask, 1.0)
    held = encode_anchor(anchor, pipeline.vae)
    latents = last_latents(pipeline, identities, anchor, scheduler=scheduler)
    inside = held.mask[0, 0] == 1
    outside = held.mask[0, 0] == 0
    assert inside.sum() == 64
    assert torch.allclose(latents[0, :, inside], held.latents[0, :, inside], atol=1e-5)
    assert (latents[0, :, outside] - held.latents[0, :, outside]).abs().max() > 0.1


def test_a_weaker_anchor_lets_the_face_go_earlier(
    pipeline: UVMapIDPipeline, identities: Tensor, picture: NDArray[np.float32], mask: NDArray[np.float32]
) -> None:
    held = encode_anchor(Anchor(picture, mask, 1.0), pipeline.vae)
    inside = held.mask[0, 0] == 1

    def distance(amount: float) -> float:
        latents = last_latents(pipeline, identities, Anchor(picture, mask, amount), num_inference_steps=10)
        return float((latents - held.latents)[0, :, inside].abs().mean())

    far, near, at = distance(0.0), distance(0.8), distance(1.0)
    assert far > near > at


def test_the_start_keeps_structure_and_saves_steps() -> None:
    def anchor(amount: float) -> LatentAnchor:
        return LatentAnchor(torch.zeros(1, 4, 8, 8), torch.zeros(1, 1, 8, 8), amount)

    assert [anchor(amount).first_step(50) for amount in (0.0, 0.5, 1.0)] == [0, 10, 20]
    assert anchor(1.0).first_step(1) == 0
    assert [anchor(0.5).holds(step, 4) for step in range(4)] == [True, True, False, False]


@pytest.mark.parametrize("shape", [(2, SIDE, SIDE, 3), (1, 64, 64, 3)])
def test_an_anchor_of_another_size_is_refused(
    pipeline: UVMapIDPipeline, identities: Tensor, mask: NDArray[np.float32], shape: tuple[int, ...]
) -> None:
    with pytest.raises(UVMapError) as caught:
        last_latents(pipeline, identities, Anchor(np.zeros(shape, np.float32), mask, 1.0))
    assert caught.value.failure.code == ErrorCode.COUNTS_DIFFER
