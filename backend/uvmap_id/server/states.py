"""The states of a job, the one table of how they may change, and a job as the store knows it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum

from uvmap_id.link.messages import Accepted, Cancelled, Done, Failed
from uvmap_id.link.request import TextureRequest

from .space import BALLAST_BYTES, FLOOR_BYTES

# A job that took so many workers down with it is not given to another one.
DEATHS_LIMIT = 3

# Why no job is begun.
PAUSED_BY_USER = "user"
PAUSED_BY_DISK = "disk_full"
PAUSED_BY_CRASHES = "worker_crash_loop"

End = Done | Failed | Cancelled


class JobState(StrEnum):
    """Where a job is on its way."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True for the states that never change again."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.FAILED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.DONE, JobState.FAILED, JobState.CANCELLED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

END_STATES: dict[type[End], JobState] = {
    Done: JobState.DONE,
    Failed: JobState.FAILED,
    Cancelled: JobState.CANCELLED,
}


class TransitionError(Exception):
    """The program tried to change a job in a way that `TRANSITIONS` doesn't allow."""


def check_transition(job: str, before: JobState, after: JobState) -> None:
    """Raise `TransitionError` unless a job may go from one state to the other."""
    if after not in TRANSITIONS[before]:
        raise TransitionError(f"Job {job} can't go from {before} to {after}.")


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that a client wants done.

    Attributes:
        id: The client's name for it, 32 hex digits.
        request: What is to be made; its photos lie staged on disk.
        owner: Whose it is; nobody else may see or change it.
        session: The client's word for those of its jobs that belong together. The queue is fair between sessions.
        priority: Jobs of a higher one run first.
        retry_of: The job that this one repeats; may be empty.
    """

    id: str
    request: TextureRequest
    owner: str
    session: str = ""
    priority: int = 0
    retry_of: str = ""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as it stands in the store.

    Attributes:
        id: See `NewJob`; so are owner, session, priority and retry_of.
        request: None once it is forgotten: after a cancel, and after the end was acknowledged.
        digest: Of the request, 64 hex digits; outlives it.
        state: Where it is.
        seq: The number of its last change; grows over all jobs.
        deaths: How many workers died on it.
        cancel_asked: It is to end as soon as its worker lets go of it.
        created: Seconds since 1970 by the wall clock; so are started and ended. For people, never for logic.
        started: When a worker got it last.
        ended: When it ended.
        event: `Accepted` until it has ended, then what ended it.
        acknowledged: The client has what it needs of it.
    """

    id: str
    owner: str
    session: str
    request: TextureRequest | None
    digest: str
    priority: int
    state: JobState
    seq: int
    deaths: int
    cancel_asked: bool
    created: float
    started: float | None
    ended: float | None
    event: Accepted | End
    acknowledged: bool
    retry_of: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs are in each state."""

    queued: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def open(self) -> int:
        """Those that have not ended."""
        return self.queued + self.running


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Limits of a store.

    Attributes:
        queue_limit: So many jobs of one owner may wait.
        ballast_bytes: Size of the file that is removed when the disk is full; 0 does without.
        floor_bytes: With less free on the disk no job is accepted or begun.
    """

    queue_limit: int = 10_000
    ballast_bytes: int = BALLAST_BYTES
    floor_bytes: int = FLOOR_BYTES


@dataclass(frozen=True, slots=True)
class ResultRecord:
    """What retention needs to know of a finished job.

    Attributes:
        job: Its id.
        size: Of its result's files, in bytes.
        acknowledged_at: When the client had what it needed, in seconds since 1970; None while it hasn't.
    """

    job: str
    size: int
    acknowledged_at: float | None


def canonical(request: TextureRequest) -> bytes:
    """A request as JSON; the same bytes for the same request."""
    return json.dumps(dataclasses.asdict(request), sort_keys=True, separators=(",", ":")).encode()


def request_digest(request: TextureRequest) -> str:
    """The same for the same request, 64 hex digits."""
    return hashlib.sha256(canonical(request)).hexdigest()


def photos_of(request: TextureRequest) -> frozenset[str]:
    """The hashes of all files that a request names."""
    return frozenset(request.files)
