"""What the server does with each message of a client and each word of the worker."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from uvmap_id.link.client import incompatible
from uvmap_id.link.errors import ErrorCode, Failure, LinkError, UVMapError
from uvmap_id.link.messages import (
    PROTOCOL,
    Answer,
    Cancel,
    Cancelled,
    Command,
    Done,
    Failed,
    Hello,
    Ping,
    Pong,
    Preview,
    Progress,
    Refused,
    Shutdown,
    Status,
    Submit,
    Welcome,
    decode,
    is_job_id,
)
from uvmap_id.link.photo import check_named, split_photos

from .jobs import Job, JobState, JobTable, request_digest
from .results import Results, StagedPhotos
from .socket import Router
from .supervisor import Supervisor, WorkerDied
from .words import Finished, Run, WorkerWord

_log = logging.getLogger(__name__)


class Service:
    """One server's work: jobs come in from clients, go to the worker one by one, and end in exactly one event."""

    def __init__(
        self, router: Router, supervisor: Supervisor, results: Results, photos: StagedPhotos, welcome: Welcome
    ) -> None:
        """All parts are the caller's to close."""
        self.shutdown_asked = False
        self._router = router
        self._supervisor = supervisor
        self._results = results
        self._photos = photos
        self._welcome = welcome
        self._jobs = JobTable()
        self._current: Job | None = None

    @property
    def idle(self) -> bool:
        """True while no job is queued or running."""
        return not self._jobs.open_jobs()

    def handle(self, client: bytes, frames: Sequence[bytes]) -> None:
        """Act on what a client sent; whatever it is, it is answered and nothing is raised."""
        try:
            message, blob = decode(frames)
            if not isinstance(message, Command):
                raise LinkError("This message is the server's to send.")
        except LinkError as error:
            self._refuse(client, error.failure)
            return
        try:
            answer = self._answer(client, message, blob)
        except UVMapError as error:
            self._refuse(client, error.failure, getattr(message, "job", ""))
            return
        if answer is not None:
            self._router.send(client, answer)

    def handle_worker(self, word: WorkerWord | WorkerDied) -> None:
        """Act on what the worker said, or on its death."""
        job = self._current
        if isinstance(word, WorkerDied):
            if job is not None:
                self._mourn(job, word)
            return
        if job is None or word.job != job.id:
            _log.warning("the worker speaks of job %s, which it doesn't have", word.job)
            return
        match word:
            case Progress():
                self._jobs.progress(job, word)
                self._router.send(job.owner, word)
            case Preview():
                self._router.send(job.owner, word)
            case Finished():
                self._finish(job, word)
            case Failed():
                self._end(job, _failed(job, self._with_log(word.failure)))
            case Cancelled():
                self._end(job, word)

    def start_next(self) -> None:
        """Give the worker the next job if it has none."""
        while self._current is None:
            job = self._jobs.take_next()
            if job is None:
                return
            self._current = job
            self._run(job)

    def end_all(self) -> bool:
        """The server ends: so does each job, and whoever waits for it is told. Returns whether there was one."""
        ended = self._jobs.open_jobs()
        for job in ended:
            self._end(job, Cancelled(job.id))
        return bool(ended)

    def _run(self, job: Job) -> None:
        try:
            folder = self._results.begin(job.id)
            photos = self._photos.paths(job.id, 1 + len(job.request.more_faces))
            self._supervisor.run(Run(job.id, job.request, tuple(map(str, photos)), str(folder)))
        except UVMapError as error:
            self._end(job, _failed(job, error.failure))

    def _mourn(self, job: Job, death: WorkerDied) -> None:
        """A worker that died idle, just as it was given its next job, is no reason for that job to fail."""
        began = isinstance(job.event, Progress)
        if began or death.runs == 1 or job.state is not JobState.RUNNING:
            self._end(job, _failed(job, death.failure))
        else:
            self._run(job)

    def _answer(self, client: bytes, message: Command, blob: bytes) -> Answer | None:
        match message:
            case Hello():
                if message.protocol != PROTOCOL:
                    raise incompatible(message.protocol)
                _log.info("%s is connected", message.client[:80])
                return self._welcome
            case Ping():
                return Pong()
            case Submit():
                return self._submit(client, message, blob)
            case Status():
                return self._known(message.job, client).event
            case Cancel():
                return self._cancel(self._known(message.job, client))
            case Shutdown():
                self.shutdown_asked = True
                return None

    def _submit(self, client: bytes, message: Submit, blob: bytes) -> Answer:
        if not is_job_id(message.job):
            raise LinkError("The job's id is not 32 hex digits.")
        message.request.validate()
        known = self._jobs.get(message.job)
        if known is not None:
            if known.digest != request_digest(message.request):
                raise UVMapError(
                    ErrorCode.JOB_ID_CONFLICT, "There is another job with this id.", "Submit it under a new id."
                )
            known.owner = client
            return known.event
        photos = split_photos(blob, message.sizes)
        check_named(message.request, photos)
        self._photos.add(message.job, photos)
        return self._jobs.add(message.job, message.request, client).event

    def _known(self, job_id: str, client: bytes) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise UVMapError(ErrorCode.JOB_UNKNOWN, "The backend doesn't know this job.", "Submit it again.")
        job.owner = client
        return job

    def _cancel(self, job: Job) -> Answer | None:
        if job.state is JobState.QUEUED:
            self._end(job, Cancelled(job.id))
            return None
        if job.state is JobState.RUNNING:
            self._jobs.cancelling(job)
            self._supervisor.stop(job.id)
        return job.event if job.state.ended else None

    def _finish(self, job: Job, word: Finished) -> None:
        try:
            folder = self._results.commit(job.id)
        except UVMapError as error:
            self._end(job, _failed(job, error.failure))
            return
        self._end(job, Done(job.id, str(folder), word.manifest))

    def _end(self, job: Job, event: Done | Failed | Cancelled) -> None:
        """The one way in which a job ends: its files go, its owner is told."""
        if job.state is JobState.CANCELLING and isinstance(event, Failed):
            # Whatever broke on the way out, the person asked for the job to end, and so it did.
            event = Cancelled(job.id)
        if job is self._current:
            self._current = None
            self._supervisor.job_ended()
        self._jobs.end(job, event)
        self._photos.discard(job.id)
        self._results.discard(job.id)
        self._router.send(job.owner, event)

    def _refuse(self, client: bytes, failure: Failure, job: str = "") -> None:
        self._router.send(client, Refused(failure.code, failure.message, failure.hint, job[:32]))

    def _with_log(self, failure: Failure) -> Failure:
        if failure.code != ErrorCode.INTERNAL or failure.hint:
            return failure
        return Failure(failure.code, failure.message, f"The worker's log says more: {self._supervisor.log}")


def _failed(job: Job, failure: Failure) -> Failed:
    return Failed(job.id, failure.code, failure.message, failure.hint)
