"""How the maps of a finished job come to their place: in steps, so that no tick takes long."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .jobs import Job
from .link.messages import Done


class Step(Enum):
    """What a delivery says after each of its steps."""

    MORE = "more"  # the next step may follow at once
    NEXT_TICK = "next tick"


Delivery = Generator[Step, None, Path]
Deliver = Callable[[Job, Path], Delivery]


@dataclass(slots=True)
class Arrival:
    """A finished job whose maps are on their way to their place.

    Attributes:
        job: It.
        done: What the backend said of it.
        delivery: Takes the next step.
        scratch: A folder that is of no use any more once the maps are in their place.
    """

    job: Job
    done: Done
    delivery: Delivery
    scratch: Path | None = None


def next_step(delivery: Delivery) -> Step | Path:
    """What a delivery says after its next step, or in the end the folder of the maps."""
    try:
        return next(delivery)
    except StopIteration as end:
        return end.value
