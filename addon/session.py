"""The one session between Blender and the backend: jobs, and a tick that moves them.

No thread and no bpy: whoever owns a session calls `tick` until nothing is `busy`. What a finished job means
for Blender's data is up to the `deliver` that the session was made with.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Protocol

from .errors import attempt
from .jobs import Job, JobState, Origin
from .link.client import Client, error_of
from .link.connection import Connection
from .link.errors import ErrorCode, Failure, UVMapError
from .link.messages import Accepted, Answer, Cancelled, Done, Failed, Preview, Progress, Refused
from .link.photo import check_photos
from .link.request import TextureRequest

__all__ = ["BUSY_S", "Deliver", "Delivery", "Job", "JobState", "Origin", "Session", "Step", "outcome"]

# Seconds between ticks: while jobs are made, and while an answer or the next step is due at once.
BUSY_S, EAGER_S = 0.1, 0.005
# A tick may take 8 ms. One step or one message more may begin as long as it has not come this far.
_TICK_BUDGET_S, _READ_BUDGET_S = 0.003, 0.002
# A backend that ends again and again while it has a job is not started for that job once more.
_RESTARTS = 2
# Ended jobs that a queue still shows.
_ENDED_LIMIT = 30


class Step(Enum):
    """What a delivery says after each of its steps."""

    MORE = "more"  # the next step may follow at once
    NEXT_TICK = "next tick"


Delivery = Generator[Step, None, Path]
Deliver = Callable[[Job, Path], Delivery]


class Launching(Protocol):
    """What the session needs of `link.launcher.Launch`."""

    def poll(self) -> Connection | None:
        """The connection of a server that answers, or None while there is none yet."""
        ...

    def close(self) -> None:
        """Stop looking."""
        ...


@dataclass(slots=True)
class _Arrival:
    """A finished job whose maps are on their way to their place."""

    job: Job
    done: Done
    delivery: Delivery


class Session:
    """Submits jobs, follows them, and hands each finished texture set to `deliver`."""

    def __init__(
        self,
        deliver: Deliver,
        launch: Callable[[], Launching],
        connect: Callable[[Connection], Client] = Client.connect,
        clock: Callable[[], float] = time.monotonic,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """A session that is connected only while it has jobs.

        Args:
            deliver: Takes a job and the backend's result folder, and brings the maps to where they are to lie in
                steps of a few milliseconds. What it raises makes the job fail.
            launch: Begins to look for, or to start, the backend.
            connect: Makes a client of a connection.
            clock: Seconds that never go backwards.
            wake: The scheduler: called when there is something to do, so that it calls `tick` from now on.
        """
        self._deliver = deliver
        self._launch_backend = launch
        self._connect = connect
        self._clock = clock
        self._wake = wake
        self._launching: Launching | None = None
        self._client: Client | None = None
        self._waiting: list[Job] = []
        self._sent: dict[str, Job] = {}
        self._arriving: deque[_Arrival] = deque()
        self._newest: dict[int, Job] = {}
        self._jobs: list[Job] = []
        self.changes = 0

    @property
    def busy(self) -> bool:
        """True while a job has not ended."""
        return bool(self._waiting or self._sent or self._arriving)

    @property
    def running(self) -> list[Job]:
        """The jobs that the backend has and that have not ended."""
        return list(self._sent.values())

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs in the order in which they were submitted, ended ones too as long as nobody dismissed them."""
        return tuple(self._jobs)

    @property
    def now(self) -> float:
        """The clock's time, for `Job.time_left`."""
        return self._clock()

    def newest(self, owner: int) -> Job | None:
        """The job that a scene submitted last."""
        return self._newest.get(owner)

    def job(self, key: str) -> Job | None:
        """The job with a key."""
        return next((job for job in self._jobs if job.key == key), None)

    def submit(
        self,
        request: TextureRequest,
        photos: tuple[bytes, ...],
        owner: int,
        body: int,
        origin: Origin | None = None,
    ) -> Job:
        """Take a job and return at once; it is sent by a later `tick`.

        Args:
            request: What to make.
            photos: The contents of the files that the request names.
            owner: The `session_uid` of the scene that asks.
            body: The `session_uid` of the object that gets the material.
            origin: More about them.

        Raises:
            UVMapError: The request or a photo can't be accepted.
        """
        return self.submit_all([request], photos, origin or Origin(owner, body))[0]

    def submit_all(self, requests: Sequence[TextureRequest], photos: tuple[bytes, ...], origin: Origin) -> list[Job]:
        """Take several jobs for the same photos, all of them or none; see `submit`."""
        for request in requests:
            request.validate()
        # Whether these are the files that the requests name, the client finds out when it sends them.
        check_photos(photos)
        now = self._clock()
        jobs = [Job(request, origin.scene, origin.body, now, origin=origin, photos=photos) for request in requests]
        self._waiting += jobs
        self._jobs += jobs
        if jobs:
            self._newest[origin.scene] = jobs[-1]
        self._forget_oldest()
        self._changed()
        self._wake()
        return jobs

    def retry(self, job: Job) -> Job:
        """Ask once more for what an ended job did not give; the old one is dismissed.

        Raises:
            UVMapError: Its photos are gone.
        """
        (again,) = self.submit_all([job.request], job.photos, job.origin)
        self.dismiss(job)
        return again

    def dismiss(self, job: Job) -> None:
        """Show an ended job no longer."""
        if job.ended and job in self._jobs:
            self._jobs.remove(job)
            self._changed()

    def cancel(self, job: Job) -> None:
        """Ask for a job to be ended. One that was not sent yet ends at once."""
        if job.ended or any(arrival.job is job for arrival in self._arriving):
            return
        job.cancelling, job.stage = True, "Cancelling"
        if not job.id:
            self._waiting.remove(job)
            self._end(job, JobState.CANCELLED)
        elif self._client is not None and job.id in self._sent:
            self._client.cancel(job.id)
        self._changed()
        self._rest()

    def tick(self) -> float | None:
        """Move everything one step, without waiting for anything.

        Returns:
            The seconds until the next call, or None when there is nothing left to do.
        """
        deadline = self._clock() + _TICK_BUDGET_S
        try:
            self._reach_backend()
            self._receive()
        except UVMapError as error:
            self.fail_all(error.failure)
        self._advance(deadline)
        self._rest()
        if not self.busy:
            return None
        eager = self._arriving or self._waiting or any(job.state is JobState.STARTING for job in self._sent.values())
        return EAGER_S if eager else BUSY_S

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
        """End every job with the same failure, but for those whose maps are arriving."""
        for job in [*self._sent.values(), *self._waiting]:
            self._end(job, JobState.FAILED, failure)
        self._waiting.clear()
        self._sent.clear()
        self._rest()

    def close(self) -> None:
        """Forget all jobs and let go of the backend, which goes on without this session."""
        for arrival in self._arriving:
            arrival.delivery.close()
        for jobs in (self._waiting, self._sent, self._arriving, self._newest, self._jobs):
            jobs.clear()
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
        # One a tick: a photo is hashed and copied on its way.
        self._send(self._client, self._waiting.pop(0))

    def _send(self, client: Client, job: Job) -> None:
        if job.id:
            # An earlier backend had it. Perhaps this one knows of it; if not, it says so.
            self._sent[job.id] = job
            client.cancel(job.id) if job.cancelling else client.status(job.id)
            return
        sent = attempt(lambda: client.submit(job.request, job.photos))
        if isinstance(sent, Failure):
            self._end(job, JobState.FAILED, sent)
            return
        job.id, job.stage = sent, "Waiting for its turn"
        self._sent[job.id] = job
        self._changed()

    def _receive(self) -> None:
        client = self._client
        if client is None:
            return
        for answer in client.poll(budget_s=_READ_BUDGET_S):
            job = self._sent.get(getattr(answer, "job", ""))
            if job is not None:
                self._follow(job, answer)

    def _follow(self, job: Job, answer: Answer) -> None:
        match answer:
            case Accepted():
                job.state, job.stage = JobState.QUEUED, "Waiting for its turn"
            case Progress():
                job.progress("Cancelling" if job.cancelling else answer.stage, answer.fraction, self._clock())
            case Preview():
                job.preview = answer.picture
            case Done():
                self._arrive(job, answer)
            case Failed(code=ErrorCode.BACKEND_LOST):
                self._lost(job, answer.failure)
            case Refused(code=ErrorCode.JOB_UNKNOWN) if job.restarts:
                self._submit_again(job)
            case Failed() | Refused():
                self._end(job, JobState.FAILED, answer.failure)
            case Cancelled():
                self._end(job, JobState.CANCELLED)
        self._changed()

    def _lost(self, job: Job, failure: Failure) -> None:
        """The backend is gone, the job is not: it is taken up again with the next backend."""
        if job.restarts >= _RESTARTS:
            self._end(job, JobState.FAILED, failure)
            return
        job.restarts += 1
        job.notice = f"{failure.message} It was started again."
        job.state, job.stage, job.fraction, job.preview = JobState.STARTING, "Starting the backend again", 0.0, b""
        del self._sent[job.id]
        self._waiting.append(job)

    def _submit_again(self, job: Job) -> None:
        del self._sent[job.id]
        job.id = ""
        if job.cancelling:
            self._end(job, JobState.CANCELLED)
        else:
            self._waiting.append(job)

    def _arrive(self, job: Job, done: Done) -> None:
        begun = attempt(lambda: self._deliver(job, Path(done.folder)))
        if isinstance(begun, Failure):
            self._end(job, JobState.FAILED, begun)
            return
        del self._sent[job.id]
        job.state, job.stage, job.preview = JobState.RUNNING, "Fetching the maps", b""
        self._arriving.append(_Arrival(job, done, begun))

    def _advance(self, deadline: float) -> None:
        """Bring arriving maps nearer to their place until the tick's time is over."""
        while self._arriving and self._clock() < deadline:
            arrival = self._arriving[0]
            step = attempt(partial(_next, arrival.delivery))
            if isinstance(step, Step):
                if step is Step.NEXT_TICK:
                    return
                continue
            self._arriving.popleft()
            if isinstance(step, Failure):
                self._end(arrival.job, JobState.FAILED, step)
            else:
                arrival.job.folder, arrival.job.fraction, arrival.job.warnings = step, 1.0, arrival.done.warnings
                self._end(arrival.job, JobState.DONE)

    def _end(self, job: Job, state: JobState, failure: Failure | None = None) -> None:
        job.state, job.failure, job.stage, job.preview = state, failure, "", b""
        job.seconds = self._clock() - job.started
        if state is JobState.DONE:
            job.photos = ()
        self._sent.pop(job.id, None)
        self._changed()

    def _forget_oldest(self) -> None:
        ended = [job for job in self._jobs if job.ended]
        for job in ended[:-_ENDED_LIMIT]:
            self._jobs.remove(job)

    def _changed(self) -> None:
        self.changes += 1

    def _rest(self) -> None:
        """Without jobs, hold no socket: the backend may end when nobody needs it."""
        if self._client is not None and (
            self._client.failure is not None or not (self._waiting or self._sent or self._arriving)
        ):
            self._client.close()
            self._client = None
        if self._launching is not None and not self._waiting:
            self._launching.close()
            self._launching = None


def _next(delivery: Delivery) -> Step | Path:
    try:
        return next(delivery)
    except StopIteration as end:
        return end.value


def outcome(job: Job) -> Path:
    """The folder of an ended job's maps. Raises `UVMapError` where there is none."""
    if job.failure is not None:
        raise error_of(job.failure)
    if job.folder is None:
        raise UVMapError(ErrorCode.CANCELLED, "The job was cancelled.")
    return job.folder
