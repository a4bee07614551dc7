"""One run of the pipeline at tiny size, through the same code as at full size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asked import NEGATIVES, PROMPTS, SIDE, Load
from numpy.typing import NDArray
from torch import Tensor

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pipelines.schedulers import SCHEDULERS
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline

GUIDANCE, STRENGTH, SEEDS = [7.5, 2.0, 1.0], [1.0, 2.0, 0.5], [1, 22, 333]
QUICK: dict[str, Any] = {"num_inference_steps": 3, "height": SIDE, "width": SIDE}
# What counts as another picture: far above rounding, far below what random weights show.
DIFFERENT = 1e-3


def all_three(pipeline: UVMapIDPipeline, identities: Tensor, **options: Any) -> NDArray[np.float32]:
    settings = {"guidance_scale": GUIDANCE, "identity_strength": STRENGTH, **QUICK, **options}
    return pipeline(PROMPTS, identities, SEEDS, NEGATIVES, **settings).images


def alone(pipeline: UVMapIDPipeline, identities: Tensor, number: int, **options: Any) -> NDArray[np.float32]:
    settings = {"guidance_scale": GUIDANCE[number], "identity_strength": STRENGTH[number], **QUICK, **options}
    one = slice(number, number + 1)
    return pipeline(PROMPTS[one], identities[one], SEEDS[one], NEGATIVES[one], **settings).images[0]


def apart(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float(np.abs(first - second).max())


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_batch_of_different_people_equals_each_alone(
    pipeline: UVMapIDPipeline, identities: Tensor, scheduler: str
) -> None:
    together = all_three(pipeline, identities, scheduler=scheduler)
    for number in range(3):
        assert apart(together[number], alone(pipeline, identities, number, scheduler=scheduler)) < 1e-5
    assert apart(together[0], together[1]) > DIFFERENT


@pytest.mark.parametrize("preset", ["balanced", "draft"])
def test_so_does_one_in_a_preset_that_skips(pipeline: UVMapIDPipeline, identities: Tensor, preset: str) -> None:
    options = {"preset": preset, "num_inference_steps": 8}
    together = all_three(pipeline, identities, **options)
    for number in range(3):
        assert apart(together[number], alone(pipeline, identities, number, **options)) < 1e-5


def test_a_long_list_is_made_in_portions_and_equals_the_batch(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    assert apart(all_three(pipeline, identities), all_three(pipeline, identities, batch_size=2)) < 1e-5


def test_the_same_call_gives_the_same_picture(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    assert np.array_equal(all_three(pipeline, identities), all_three(pipeline, identities))


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": [2]},
        {"prompt": ["military soldier costume"]},
        {"negative_prompt": ["hat"]},
        {"guidance_scale": 3.0},
        {"identity_strength": 0.3},
        {"num_inference_steps": 4},
        {"guidance_stop": 0.4},
        {"guidance_start": 0.4},
        {"scheduler": "euler"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_everything_that_is_asked_for_matters(
    pipeline: UVMapIDPipeline, identities: Tensor, changed: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"prompt": PROMPTS[:1], "identity": identities[:1], "seed": [1], **QUICK}
    assert apart(pipeline(**asked).images, pipeline(**{**asked, **changed}).images) > DIFFERENT / 10


def test_the_identity_matters_and_its_absence_is_not_the_identity_of_zeros(
    pipeline: UVMapIDPipeline, identities: Tensor
) -> None:
    asked: dict[str, Any] = {"prompt": PROMPTS[:1], "seed": [1], **QUICK}
    one, other, none, zeros = (
        pipeline(identity=identity, **asked).images
        for identity in (identities[:1], identities[1:2], None, torch.zeros(1, 512))
    )
    assert apart(one, other) > DIFFERENT
    assert apart(one, none) > DIFFERENT
    assert apart(none, zeros) > DIFFERENT


def test_weights_without_identity_take_none(load: Load, identities: Tensor) -> None:
    pipeline = load("smplitex")
    asked: dict[str, Any] = {"prompt": PROMPTS[:1], "seed": [1], **QUICK}
    assert np.array_equal(pipeline(identity=identities[:1], **asked).images, pipeline(identity=None, **asked).images)


def test_layouts_with_the_same_weights_give_the_same_picture(load: Load, identities: Tensor) -> None:
    pictures = [alone(load(name), identities, 0) for name in ("uvmap-id-a", "uvmap-id-b", "faceid-bin")]
    assert apart(pictures[0], pictures[1]) < 1e-5
    assert apart(pictures[0], pictures[2]) < 1e-5


def test_pictures_are_textures_of_the_asked_size(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    images = pipeline(PROMPTS, identities, SEEDS, **{**QUICK, "height": 64, "width": 192}).images
    assert images.shape == (3, 64, 192, 3)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.01


def test_steps_are_counted_over_all_portions(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    steps: list[tuple[int, int, int]] = []
    all_three(
        pipeline,
        identities,
        batch_size=2,
        on_step=lambda done, count, latents: steps.append((done, count, len(latents))),
    )
    assert steps == [(2, 9, 2), (4, 9, 2), (6, 9, 2), (7, 9, 1), (8, 9, 1), (9, 9, 1)]


def test_what_the_callback_raises_ends_the_run_within_the_step(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    steps = []

    def stop(done: int, count: int, latents: Tensor) -> None:
        steps.append(done)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        all_three(pipeline, identities, on_step=stop)
    assert steps == [1]


def test_the_presets_say_what_they_skip(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    asked: dict[str, Any] = {**QUICK, "num_inference_steps": 10}
    runs = {
        preset: pipeline(PROMPTS[:1], identities[:1], [1], preset=preset, **asked).skipped
        for preset in ("exact", "balanced", "draft")
    }
    assert runs["exact"] == {}
    assert runs["balanced"] == {"deep_layers_skipped_in_steps": 6, "unguided_steps": 4, "steps": 10}
    assert runs["draft"] == {"deep_layers_skipped_in_steps": 8, "unguided_steps": 6, "steps": 10}


def test_out_of_memory_halves_the_batch_once(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    sizes = []

    def narrow(done: int, count: int, latents: Tensor) -> None:
        sizes.append(len(latents))
        if len(latents) > 1:
            raise torch.OutOfMemoryError

    images = all_three(pipeline, identities, batch_size=3, on_step=narrow)
    assert sizes == [3, *[1] * 9]
    assert apart(images, all_three(pipeline, identities)) < 1e-5


def test_out_of_memory_again_is_an_error_that_is_named(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    def never(done: int, count: int, latents: Tensor) -> None:
        raise torch.OutOfMemoryError

    with pytest.raises(UVMapError) as caught:
        all_three(pipeline, identities, batch_size=3, on_step=never)
    assert caught.value.failure.code == ErrorCode.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"seed": [1, 2]}, ErrorCode.COUNTS_DIFFER),
        ({"prompt": []}, ErrorCode.COUNTS_DIFFER),
        ({"negative_prompt": []}, ErrorCode.COUNTS_DIFFER),
        ({"guidance_scale": [1.0, 2.0]}, ErrorCode.COUNTS_DIFFER),
        ({"identity": torch.zeros(2, 512)}, ErrorCode.COUNTS_DIFFER),
        ({"identity": torch.zeros(1, 256)}, ErrorCode.EMBEDDING_INVALID),
        ({"identity": torch.zeros(512)}, ErrorCode.EMBEDDING_INVALID),
        ({"identity": torch.full((1, 512), torch.nan)}, ErrorCode.EMBEDDING_INVALID),
        ({"scheduler": "magic"}, ErrorCode.SCHEDULER_UNKNOWN),
        ({"scheduler": "AutoencoderKL"}, ErrorCode.SCHEDULER_UNKNOWN),
        ({"height": 100}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"width": 0}, ErrorCode.SETTING_OUT_OF_RANGE),
    ],
)
def test_what_does_not_fit_is_refused(
    pipeline: UVMapIDPipeline, identities: Tensor, changed: dict[str, Any], code: ErrorCode
) -> None:
    asked: dict[str, Any] = {"prompt": PROMPTS[:1], "identity": identities[:1], "seed": [1], **QUICK}
    with pytest.raises(UVMapError) as caught:
        pipeline(**{**asked, **changed})
    assert caught.value.failure.code == code


def test_a_scheduler_can_be_named_as_diffusers_does(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    short = alone(pipeline, identities, 0, scheduler="euler")
    assert np.array_equal(short, alone(pipeline, identities, 0, scheduler="EulerDiscreteScheduler"))


def test_latents_that_are_no_numbers_are_named(pipeline: UVMapIDPipeline) -> None:
    with pytest.raises(UVMapError) as caught:
        pipeline.decode(torch.full((1, 4, 8, 8), torch.nan))
    assert caught.value.failure.code == ErrorCode.IMAGE_NOT_FINITE


def test_a_decoder_that_overflows_in_half_precision_runs_in_float32(load: Load) -> None:
    pipeline = load()
    wide = pipeline.decode(torch.ones(1, 4, 8, 8))[0]
    with torch.no_grad():
        # Between two layers the numbers pass float16's largest, 65504, and come back.
        for parameter in pipeline.vae.decoder.conv_in.parameters():
            parameter.mul_(1e5)
    expected = pipeline.decode(torch.ones(1, 4, 8, 8))[0]
    torch.nn.Module.to(pipeline.vae, torch.float16)
    image = pipeline.decode(torch.ones(1, 4, 8, 8))[0]
    assert np.isfinite(image).all()
    assert apart(image, expected) < 0.05
    assert pipeline.vae.dtype == torch.float16
    assert wide.shape == image.shape


def test_it_is_saved_and_loaded_as_diffusers_pipelines_are(
    pipeline: UVMapIDPipeline, identities: Tensor, folder: Path
) -> None:
    pipeline.save_pretrained(folder / "saved")
    again: UVMapIDPipeline = UVMapIDPipeline.from_pretrained(folder / "saved", local_files_only=True)
    assert apart(alone(again, identities, 0), alone(pipeline, identities, 0)) < 1e-5
