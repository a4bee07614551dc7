"""The jobs of one server: their states, and the one table of how a state may change.

`JobTable` keeps them in memory, behind the few methods that a durable store has as well.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from uvmap_id.link.messages import Accepted, Cancelled, Done, Failed, JobEvent, Progress
from uvmap_id.link.request import TextureRequest

_ENDED_KEPT = 1000


class JobState(StrEnum):
    """Where a job is on its way."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True for the states that never change again."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.FAILED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.CANCELLING, JobState.DONE, JobState.FAILED, JobState.CANCELLED}),
    JobState.CANCELLING: frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class TransitionError(Exception):
    """The program tried to change a job in a way that `TRANSITIONS` doesn't allow."""


@dataclass(slots=True)
class Job:
    """One job.

    Attributes:
        id: The client's name for it.
        request: What is to be made; the photo lies staged on disk.
        digest: Of the request, the photo's hash included.
        owner: The client that hears of it: whoever asked about it last.
        event: The newest event, which is the answer to `Status`.
    """

    id: str
    request: TextureRequest
    digest: str
    owner: bytes
    event: JobEvent
    state: JobState = JobState.QUEUED


def request_digest(request: TextureRequest) -> str:
    """The same for the same request, 64 hex digits."""
    text = json.dumps(dataclasses.asdict(request), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class JobTable:
    """All jobs, and the order in which the queued ones run."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._queue: deque[str] = deque()
        self._ended: deque[str] = deque()

    def add(self, job_id: str, request: TextureRequest, owner: bytes) -> Job:
        """Put a new job at the end of the queue. Its id must not be known yet."""
        job = Job(job_id, request, request_digest(request), owner, Accepted(job_id))
        self._jobs[job_id] = job
        self._queue.append(job_id)
        return job

    def get(self, job_id: str) -> Job | None:
        """The job of that name."""
        return self._jobs.get(job_id)

    def open_jobs(self) -> list[Job]:
        """The jobs that have not ended, oldest first."""
        return [job for job in self._jobs.values() if not job.state.ended]

    def take_next(self) -> Job | None:
        """The oldest queued job, now running; None where none is queued."""
        while self._queue:
            job = self._jobs[self._queue.popleft()]
            if job.state is JobState.QUEUED:
                self._change(job, JobState.RUNNING)
                return job
        return None

    def progress(self, job: Job, event: Progress) -> None:
        """Note how far a running job is."""
        job.event = event

    def cancelling(self, job: Job) -> None:
        """A running job has been asked to end."""
        self._change(job, JobState.CANCELLING)

    def end(self, job: Job, event: Done | Failed | Cancelled) -> None:
        """Note the one event that ends a job. Raises `TransitionError` for a job that has ended."""
        self._change(job, _END_STATES[type(event)])
        job.event = event
        self._ended.append(job.id)
        while len(self._ended) > _ENDED_KEPT:
            del self._jobs[self._ended.popleft()]

    def _change(self, job: Job, state: JobState) -> None:
        if state not in TRANSITIONS[job.state]:
            raise TransitionError(f"Job {job.id} can't go from {job.state} to {state}.")
        job.state = state


_END_STATES = {Done: JobState.DONE, Failed: JobState.FAILED, Cancelled: JobState.CANCELLED}
