"""The one session between Blender and the backend: jobs, and a tick that moves them.

No thread and no bpy: whoever owns a session calls `tick` until nothing is `busy`. What a finished job means
for Blender's data is up to the `deliver` that the session was made with.
"""

from __future__ import annotations

import math
import secrets
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from .delivery import Arrival, Deliver, Delivery, Step, next_step
from .errors import attempt
from .jobs import Job, JobState, Origin
from .launching import Launching
from .link.client import Client, error_of
from .link.connection import Connection
from .link.disk import remove
from .link.downloads import Fetched, NotFetched
from .link.errors import ErrorCode, Failure, UVMapError
from .link.exchange import Event
from .link.messages import Accepted, Cancelled, Done, Failed, Preview, Progress, Refused
from .link.photo import check_photos
from .link.request import TextureRequest

__all__ = ["BUSY_S", "Deliver", "Delivery", "Job", "JobState", "Origin", "Session", "Step", "connect", "outcome"]

# Seconds between ticks: while jobs are made, and while an answer or the next step is due at once.
BUSY_S, EAGER_S = 0.1, 0.005
# A tick may take 8 ms. One step or one message more may begin as long as it has not come this far.
_TICK_BUDGET_S, _READ_BUDGET_S = 0.003, 0.002
# A backend that ends again and again while it has a job is not started for that job once more.
_RESTARTS = 2
# Ended jobs that a queue still shows.
_ENDED_LIMIT = 30
# So long the backend may take to confirm that it has forgotten the last job; otherwise it keeps that in its list.
_FAREWELL_S = 5.0
_FIND_S = 5.0
# Tells this Blender's jobs from another's, in the backend's list.
_SESSION = f"blender-{secrets.token_hex(4)}"
_ENDED_UNEXPECTEDLY = Failure(
    ErrorCode.BACKEND_LOST.value, "The backend has ended unexpectedly.", "Generate again: the backend is started anew."
)


def connect(connection: Connection) -> Client:
    """A client that is known as this Blender. Raises `UVMapError` where the backend speaks another protocol."""
    return Client.connect(connection, "blender", _SESSION)


class Session:
    """Submits jobs, follows them, and hands each finished texture set to `deliver`."""

    def __init__(
        self,
        deliver: Deliver,
        launch: Callable[[], Launching],
        connect: Callable[[Connection], Client] = connect,
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
        # Finished jobs whose files are on their way from another computer.
        self._fetching: dict[str, tuple[Done, Path]] = {}
        self._reviving, self._revived_at = False, -math.inf
        self._linger_until = 0.0
        self._arriving: deque[Arrival] = deque()
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
        for request in requests[:1]:
            check_photos(photos[: len(request.faces)])
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
            self._revive_backend()
            self._reach_backend()
            self._receive()
        except UVMapError as error:
            self.fail_all(error.failure)
        self._advance(deadline)
        self._rest()
        if not self.busy:
            return None if self._client is None else BUSY_S
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
        for _, scratch in self._fetching.values():
            remove(scratch)
        for jobs in (self._waiting, self._sent, self._fetching, self._arriving, self._newest, self._jobs):
            jobs.clear()
        self._linger_until = 0.0
        self._rest()

    def _revive_backend(self) -> None:
        """A backend that died is started again, and the same client finds it; its jobs are on its disk."""
        if self._client is None or not self._client.server_gone:
            self._reviving = False
            return
        if not self._reviving:
            self._reviving, self._revived_at = True, -math.inf
            for job in list(self._sent.values()):
                self._note_restart(job)
        # Once one answers, the client needs a moment to find it.
        if not self._sent or self._clock() - self._revived_at < _FIND_S:
            return
        self._launching = self._launching or self._launch_backend()
        if self._launching.poll() is not None:
            self._launching.close()
            self._launching, self._revived_at = None, self._clock()

    def _note_restart(self, job: Job) -> None:
        job.restarts += 1
        if job.restarts > _RESTARTS:
            job.restarts = _RESTARTS
            self._end(job, JobState.FAILED, _ENDED_UNEXPECTEDLY)
            return
        job.notice = f"{_ENDED_UNEXPECTEDLY.message} It was started again."
        job.state, job.stage, job.fraction, job.preview = JobState.STARTING, "Starting the backend again", 0.0, b""
        self._changed()

    def _reach_backend(self) -> None:
        if not self._waiting or self._reviving:
            return
        if self._client is None:
            self._launching = self._launching or self._launch_backend()
            connection = self._launching.poll()
            if connection is None:
                return
            # A second handshake would take as long as the first.
            self._client = self._launching.take_client() or self._connect(connection)
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
                self._follow(client, job, answer)

    def _follow(self, client: Client, job: Job, answer: Event) -> None:
        match answer:
            case Accepted():
                job.state, job.stage = JobState.QUEUED, "Waiting for its turn"
            case Progress():
                job.progress("Cancelling" if job.cancelling else answer.stage, answer.fraction, self._clock())
            case Preview():
                job.preview = answer.picture
            case Done() if client.connection.local:
                self._arrive(job, answer, Path(answer.folder))
            case Done():
                self._fetch(client, job, answer)
            case Fetched() if job.id in self._fetching:
                done, scratch = self._fetching.pop(job.id)
                self._arrive(job, done, answer.folder, scratch)
            case NotFetched():
                self._end(job, JobState.FAILED, answer.failure)
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

    def _fetch(self, client: Client, job: Job, done: Done) -> None:
        scratch = Path(tempfile.mkdtemp(prefix="uvmap-id-"))
        job.state, job.stage, job.preview = JobState.RUNNING, "Fetching the maps", b""
        self._fetching[job.id] = (done, scratch)
        client.fetch(job.id, scratch / "set")

    def _arrive(self, job: Job, done: Done, folder: Path, scratch: Path | None = None) -> None:
        begun = attempt(lambda: self._deliver(job, folder))
        if isinstance(begun, Failure):
            self._end(job, JobState.FAILED, begun)
            return
        del self._sent[job.id]
        job.state, job.stage, job.preview = JobState.RUNNING, "Fetching the maps", b""
        self._arriving.append(Arrival(job, done, begun, scratch))

    def _advance(self, deadline: float) -> None:
        """Bring arriving maps nearer to their place until the tick's time is over."""
        while self._arriving and self._clock() < deadline:
            arrival = self._arriving[0]
            step = attempt(partial(next_step, arrival.delivery))
            if isinstance(step, Step):
                if step is Step.NEXT_TICK:
                    return
                continue
            self._arriving.popleft()
            if arrival.scratch is not None:
                remove(arrival.scratch)
            if isinstance(step, Failure):
                # The backend still has the maps: see "uvmap-id jobs fetch".
                self._end(arrival.job, JobState.FAILED, step, has_all=False)
            else:
                arrival.job.folder, arrival.job.fraction, arrival.job.warnings = step, 1.0, arrival.done.warnings
                self._end(arrival.job, JobState.DONE)

    def _end(self, job: Job, state: JobState, failure: Failure | None = None, *, has_all: bool = True) -> None:
        if job.id and has_all and self._client is not None and self._client.failure is None:
            # Photo and prompt are nobody's business any more.
            self._client.acknowledge(job.id)
            self._linger_until = self._clock() + _FAREWELL_S
        _, scratch = self._fetching.pop(job.id, (None, None))
        if scratch is not None:
            remove(scratch)
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
        client = self._client
        if client is not None and (client.failure is not None or not (self.busy or self._says_farewell(client))):
            client.close()
            self._client, self._reviving = None, False
        if self._launching is not None and not self._waiting and not self._reviving:
            self._launching.close()
            self._launching = None

    def _says_farewell(self, client: Client) -> bool:
        return client.acknowledging and not client.server_gone and self._clock() < self._linger_until


def outcome(job: Job) -> Path:
    """The folder of an ended job's maps. Raises `UVMapError` where there is none."""
    if job.failure is not None:
        raise error_of(job.failure)
    if job.folder is None:
        raise UVMapError(ErrorCode.CANCELLED, "The job was cancelled.")
    return job.folder
