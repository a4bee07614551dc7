"""What the pool knows of one worker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .deaths import DeathKind
from .limits import Pace
from .worker_process import WorkerProcess


class WorkerState(StrEnum):
    """What a worker is at."""

    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    LEAVING = "leaving"
    DYING = "dying"
    DEAD = "dead"


# Stopping: was asked to end its job. Leaving: ends by itself. Dying: is killed, or about to be.
TRANSITIONS: dict[WorkerState, frozenset[WorkerState]] = {
    WorkerState.IDLE: frozenset(
        (WorkerState.BUSY, WorkerState.LEAVING, WorkerState.DYING, WorkerState.DEAD),
    ),
    WorkerState.BUSY: frozenset(
        (WorkerState.IDLE, WorkerState.STOPPING, WorkerState.LEAVING, WorkerState.DYING, WorkerState.DEAD)
    ),
    WorkerState.STOPPING: frozenset((WorkerState.IDLE, WorkerState.LEAVING, WorkerState.DYING, WorkerState.DEAD)),
    WorkerState.LEAVING: frozenset((WorkerState.DYING, WorkerState.DEAD)),
    WorkerState.DYING: frozenset((WorkerState.DEAD,)),
    WorkerState.DEAD: frozenset(),
}


@dataclass(slots=True)
class Worker:
    """One worker. Times are of the pool's clock, in seconds.

    Attributes:
        number: Its name in this pool, never used twice.
        slot: Its place among the workers that run at once, from 0 on.
        process: Its process.
        started_at: When that was started.
        oom_kills: The system's count of processes ended for want of memory, then.
        state: What it is at.
        spoke: It has said a word.
        proven: It has ended a job.
        job: What it does; "" if nothing.
        began: It has reported progress on that job.
        pace: By when it has to report again.
        heard_at: When it last said a word.
        deadline: When something else has to be done about it.
        verdict: What it is killed for.
        silence_s: How long it had been silent when that was decided.
        killed: The signal is sent.
    """

    number: int
    slot: int
    process: WorkerProcess
    started_at: float
    oom_kills: int
    state: WorkerState = WorkerState.IDLE
    spoke: bool = False
    proven: bool = False
    job: str = ""
    began: bool = False
    pace: Pace | None = None
    heard_at: float = 0.0
    deadline: float | None = None
    verdict: DeathKind | None = None
    silence_s: float = 0.0
    killed: bool = False

    def become(self, state: WorkerState) -> None:
        """Change the state. Raises `ValueError` for what `TRANSITIONS` doesn't allow."""
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"A worker that is {self.state} can't be {state}.")
        self.state = state

    @property
    def due(self) -> float | None:
        """When something has to be done about it, unless it speaks before."""
        times = [self.deadline, self.pace.due if self.pace and self.state is not WorkerState.DYING else None]
        return min((moment for moment in times if moment is not None), default=None)
