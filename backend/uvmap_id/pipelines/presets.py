"""How much of the work is done: presets, and which step does what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """What is left out to be faster.

    Attributes:
        deep_every: The deep layers of the U-Net run in each so-many-th step.
        guidance_stop: Guidance ends at this fraction of the steps at the latest.
    """

    deep_every: int
    guidance_stop: float


PRESETS = {
    "exact": Preset(deep_every=1, guidance_stop=1.0),
    "balanced": Preset(deep_every=3, guidance_stop=0.6),
    "draft": Preset(deep_every=5, guidance_stop=0.4),
}


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one step does.

    Attributes:
        deep: All of the U-Net runs, not the rim alone.
        guided: The unconditional prediction is made, too.
    """

    deep: bool
    guided: bool


def plan_steps(count: int, preset: Preset, guidance_start: float, guidance_stop: float, guided: bool) -> list[StepPlan]:
    """What each of `count` steps does.

    Args:
        count: Steps, at least 1.
        preset: What may be left out.
        guidance_start: Fraction of the steps where guidance sets in.
        guidance_stop: Fraction of the steps where it ends.
        guided: False where no sample wants guidance.
    """
    stop = min(guidance_stop, preset.guidance_stop)
    plans = []
    since_deep = preset.deep_every
    was_guided = False
    for step in range(count):
        now_guided = guided and guidance_start <= step / count < stop
        # The unconditional half has no deep features to go on from where guidance sets in.
        deep = since_deep >= preset.deep_every or (now_guided and not was_guided)
        since_deep = 1 if deep else since_deep + 1
        was_guided = now_guided
        plans.append(StepPlan(deep, now_guided))
    return plans


def skipped(plans: list[StepPlan], preset: Preset) -> dict[str, object]:
    """What was left out, for the manifest; empty where nothing was."""
    if preset == PRESETS["exact"]:
        return {}
    return {
        "deep_layers_skipped_in_steps": sum(not plan.deep for plan in plans),
        "unguided_steps": sum(not plan.guided for plan in plans),
        "steps": len(plans),
    }
