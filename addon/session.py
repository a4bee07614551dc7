"""The one session between Blender and the backend: jobs, and a tick that moves them.

No thread and no bpy: whoever owns a session calls `tick` until nothing is `busy`. What a finished job means
for Blender's data is up to the `deliver` that the session was made with.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from .errors import attempt
from .link.client import Client, error_of
from .link.connection import Connection
from .link.errors import ErrorCode, Failure, UVMapError
from .link.messages import Accepted, Answer, Cancelled, Done, Failed, Preview, Progress, Refused
from .link.photo import check_named
from .link.request import TextureRequest

BUSY_S = 0.1


class JobState(StrEnum):
    """Where a job is. The last three are final."""

    STARTING = "starting"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Job:
    """One texture set in the making.

    Attributes:
        request: What was asked for.
        owner: The `session_uid` of the scene that asked.
        body: The `session_uid` of the object that gets the material.
        started: The clock's time at submission.
        id: The backend's name for it; empty until it was sent.
        state: Where it is.
        stage: What the engine does at the moment, for a person.
        fraction: How far it is, 0 to 1.
        preview: What the texture looks like so far, a PNG's content; empty while there is none.
        failure: Why it failed.
        folder: Where its maps lie when it is done.
        warnings: What the user should know of a finished texture, such as what its prompt said in vain.
        seconds: How long it took, once it has ended.
    """

    request: TextureRequest
    owner: int
    body: int
    started: float
    id: str = ""
    state: JobState = JobState.STARTING
    stage: str = "Starting the backend"
    fraction: float = 0.0
    preview: bytes = b""
    failure: Failure | None = None
    folder: Path | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        """True once nothing more will happen to this job."""
        return self.state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Launching(Protocol):
    """What the session needs of `link.launcher.Launch`."""

    def poll(self) -> Connection | None:
        """The connection of a server that answers, or None while there is none yet."""
        ...

    def close(self) -> None:
        """Stop looking."""
        ...


class Session:
    """Submits jobs, follows them, and hands each finished texture set to `deliver`."""

    def __init__(
        self,
        deliver: Callable[[Job, Path], Path],
        launch: Callable[[], Launching],
        connect: Callable[[Connection], Client] = Client.connect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A session that is connected only while it has jobs.

        Args:
            deliver: Takes a job and the backend's result folder, returns where the maps lie now. What it
                raises makes the job fail.
            launch: Begins to look for, or to start, the backend.
            connect: Makes a client of a connection.
            clock: Seconds that never go backwards.
        """
        self._deliver = deliver
        self._launch_backend = launch
        self._connect = connect
        self._clock = clock
        self._launching: Launching | None = None
        self._client: Client | None = None
        self._waiting: list[tuple[Job, tuple[bytes, ...]]] = []
        self._sent: dict[str, Job] = {}
        self._newest: dict[int, Job] = {}

    @property
    def busy(self) -> bool:
        """True while a job has not ended."""
        return bool(self._waiting or self._sent)

    @property
    def running(self) -> list[Job]:
        """The jobs that the backend has and that have not ended."""
        return list(self._sent.values())

    def newest(self, owner: int) -> Job | None:
        """The job that a scene submitted last."""
        return self._newest.get(owner)

    def submit(self, request: TextureRequest, photos: tuple[bytes, ...], owner: int, body: int) -> Job:
        """Take a job and return at once; it is sent by a later `tick`.

        Args:
            request: What to make.
            photos: The contents of the files that the request names.
            owner: The `session_uid` of the scene that asks.
            body: The `session_uid` of the object that gets the material.

        Raises:
            UVMapError: The request or a photo can't be accepted.
        """
        request.validate()
        check_named(request, photos)
        job = Job(request, owner, body, self._clock())
        self._waiting.append((job, photos))
        self._newest[owner] = job
        return job

    def cancel(self, job: Job) -> None:
        """Ask for a job to be ended. One that was not sent yet ends at once."""
        if job.ended:
            return
        if not job.id:
            self._waiting = [(other, photos) for other, photos in self._waiting if other is not job]
            self._end(job, JobState.CANCELLED)
        elif self._client is not None:
            job.stage = "Cancelling"
            self._client.cancel(job.id)
        self._rest()

    def tick(self) -> float | None:
        """Move everything one step, without waiting for anything.

        Returns:
            The seconds until the next call, or None when there is nothing left to do.
        """
        try:
            self._reach_backend()
            self._receive()
        except UVMapError as error:
            self.fail_all(error.failure)
        self._rest()
        return BUSY_S if self.busy else None

    def wait(self, job: Job, on_change: Callable[[Job], None] | None = None) -> Path:
        """Tick until a job has ended.

        Args:
            job: From `submit`.
            on_change: Called after each tick.

        Returns:
            The folder with its maps.

        Raises:
            UVMapError: It failed or was cancelled.
        """
        while not job.ended:
            delay = self.tick()
            if on_change is not None:
                on_change(job)
            if delay is not None:
                time.sleep(delay)
        return outcome(job)

    def fail_all(self, failure: Failure) -> None:
        """End every job with the same failure."""
        for job in [*self._sent.values(), *(job for job, _ in self._waiting)]:
            self._end(job, JobState.FAILED, failure)
        self._waiting.clear()
        self._sent.clear()
        self._rest()

    def close(self) -> None:
        """Forget all jobs and let go of the backend, which goes on without this session."""
        self._waiting.clear()
        self._sent.clear()
        self._newest.clear()
        self._rest()

    def _reach_backend(self) -> None:
        if not self._waiting:
            return
        if self._client is None:
            self._launching = self._launching or self._launch_backend()
            connection = self._launching.poll()
            if connection is None:
                return
            self._client = self._connect(connection)
            self._launching.close()
            self._launching = None
        self._send_waiting(self._client)

    def _send_waiting(self, client: Client) -> None:
        while self._waiting:
            job, photos = self._waiting[0]
            job.id = client.submit(job.request, photos)
            job.state, job.stage = JobState.QUEUED, "Waiting for its turn"
            self._sent[job.id] = job
            del self._waiting[0]

    def _receive(self) -> None:
        if self._client is None:
            return
        for answer in self._client.poll():
            job = self._sent.get(getattr(answer, "job", ""))
            if job is not None:
                self._follow(job, answer)

    def _follow(self, job: Job, answer: Answer) -> None:
        match answer:
            case Accepted():
                job.state = JobState.QUEUED
            case Progress():
                job.state, job.stage, job.fraction = JobState.RUNNING, answer.stage, answer.fraction
            case Preview():
                job.preview = answer.picture
            case Done():
                self._finish(job, answer)
            case Failed() | Refused():
                self._end(job, JobState.FAILED, answer.failure)
            case Cancelled():
                self._end(job, JobState.CANCELLED)

    def _finish(self, job: Job, done: Done) -> None:
        delivered = attempt(lambda: self._deliver(job, Path(done.folder)))
        if isinstance(delivered, Failure):
            self._end(job, JobState.FAILED, delivered)
        else:
            job.folder, job.fraction, job.warnings = delivered, 1.0, done.warnings
            self._end(job, JobState.DONE)

    def _end(self, job: Job, state: JobState, failure: Failure | None = None) -> None:
        job.state, job.failure, job.stage, job.preview = state, failure, "", b""
        job.seconds = self._clock() - job.started
        self._sent.pop(job.id, None)

    def _rest(self) -> None:
        """Without jobs, hold no socket: the backend may end when nobody needs it."""
        if self._client is not None and (not self.busy or self._client.failure is not None):
            self._client.close()
            self._client = None
        if self._launching is not None and not self._waiting:
            self._launching.close()
            self._launching = None


def outcome(job: Job) -> Path:
    """The folder of an ended job's maps. Raises `UVMapError` where there is none."""
    if job.failure is not None:
        raise error_of(job.failure)
    if job.folder is None:
        raise UVMapError(ErrorCode.CANCELLED, "The job was cancelled.")
    return job.folder
