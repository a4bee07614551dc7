"""What each step does, how many samples fit, and what the preview shows."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.link import request
from uvmap_id.pipelines.memory import free_memory, plan_batch
from uvmap_id.pipelines.presets import PRESETS, Preset, plan_steps
from uvmap_id.pipelines.previews import preview

CPU = torch.device("cpu")


def test_the_presets_are_those_that_can_be_asked_for() -> None:
    assert tuple(PRESETS) == request.PRESETS


def test_exact_leaves_nothing_out() -> None:
    plans = plan_steps(50, PRESETS["exact"], 0.0, 1.0, guided=True)
    assert all(plan.deep and plan.guided for plan in plans)


def test_balanced_runs_the_deep_layers_in_each_third_step() -> None:
    plans = plan_steps(10, PRESETS["balanced"], 0.0, 1.0, guided=True)
    assert [plan.deep for plan in plans] == [True, False, False] * 3 + [True]
    assert [plan.guided for plan in plans] == [True] * 6 + [False] * 4


def test_guidance_is_given_in_its_interval_only() -> None:
    plans = plan_steps(10, PRESETS["exact"], 0.2, 0.5, guided=True)
    assert [plan.guided for plan in plans] == [False] * 2 + [True] * 3 + [False] * 5
    assert not any(plan.guided for plan in plan_steps(10, PRESETS["exact"], 0.0, 1.0, guided=False))


@given(st.integers(1, 60), st.integers(1, 6), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_whatever_the_plan_the_rim_never_lacks_deep_features(
    count: int, every: int, preset_stop: float, start: float, stop: float, guided: bool
) -> None:
    plans = plan_steps(count, Preset(every, preset_stop), start, stop, guided=guided)
    assert len(plans) == count
    assert plans[0].deep
    source = plans[0]
    for plan in plans:
        source = plan if plan.deep else source
        assert source.guided or not plan.guided, "the unconditional half has deep features of its own"
    assert sum(plan.deep for plan in plans) <= -(-count // every) + 1


def test_no_more_samples_than_fit() -> None:
    huge = plan_batch(1000, CPU, torch.float32, 4096 * 4096)
    assert huge == 1
    assert plan_batch(3, CPU, torch.bfloat16, 64 * 64) == 3
    assert plan_batch(1000, CPU, torch.bfloat16, 64 * 64) <= 16
    assert free_memory(CPU) > 0


def test_the_preview_is_a_small_picture_of_the_latents() -> None:
    latents = torch.zeros(4, 8, 8)
    assert (preview(latents) == 128).all()
    latents[0, :4] = 3.0
    picture = preview(latents)
    assert picture.shape == (16, 16, 3)
    assert picture.dtype == np.uint8
    # The first latent is brightness, more of it in red.
    assert (picture[:6] > 160).all()
    assert (picture[0, 0, 0] > picture[0, 0, 1]).all()
    assert (picture[-4:] == 128).all()
