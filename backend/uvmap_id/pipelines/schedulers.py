"""Schedulers by name."""

from __future__ import annotations

from typing import Any

from diffusers import SchedulerMixin

from uvmap_id.link.errors import ErrorCode, UVMapError

# Short names as artists know them, and what each sets beyond the weights' own configuration.
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "lms": ("LMSDiscreteScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "dpm++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpm++-karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}),
    "dpm++-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),
}


def make_scheduler(name: str, trained_with: SchedulerMixin) -> Any:
    """A new scheduler for one run.

    Args:
        name: A key of `SCHEDULERS`, or the name of one of diffusers' classes.
        trained_with: The weights' own scheduler, for the noise schedule and what the U-Net predicts.

    Raises:
        UVMapError: `scheduler_unknown`
    """
    class_name, options = SCHEDULERS.get(name, (name, {}))
    known: Any = trained_with
    compatible = {cls.__name__: cls for cls in (*known.compatibles, type(known))}
    if class_name not in compatible:
        raise UVMapError(
            ErrorCode.SCHEDULER_UNKNOWN,
            f'There is no scheduler "{name}" for these weights.',
            f"Choose one of {', '.join(SCHEDULERS)}.",
        )
    return compatible[class_name].from_config(known.config, **options)
