"""What the server does with each message of a client."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from uvmap_id.link.errors import ErrorCode, Failure, LinkError, UVMapError
from uvmap_id.link.messages import (
    BATCH_LIMIT,
    JOB_PHOTOS_LIMIT,
    LIST_LIMIT,
    Accepted,
    AcceptedMany,
    Acknowledge,
    Acknowledged,
    Answer,
    BlobState,
    Cancel,
    Chunk,
    Command,
    Failed,
    GetChunk,
    Hello,
    JobEvent,
    JobItem,
    List,
    Listing,
    Move,
    Moved,
    Pause,
    Ping,
    Pong,
    Preview,
    Purge,
    Purged,
    PutBlob,
    Refused,
    Resume,
    Retry,
    Shutdown,
    Status,
    Submit,
    SubmitMany,
    Welcome,
    is_job_id,
    is_sha256,
)
from uvmap_id.link.wire import Blob, build, decode, read_json

from .handshake import agreed
from .results import Results
from .retention import Retention
from .runner import Runner
from .socket import Router
from .staging import Staging
from .states import PAUSED_BY_CRASHES, PAUSED_BY_USER
from .store import NewJob, Store, StoredJob
from .zap import LOCAL_OWNER

_PRIORITY_LIMIT = 1000
_SESSION_LIMIT = 64
_LISTED_TEXT = 120

_log = logging.getLogger(__name__)


class Service:
    """Answers clients. Jobs belong to the owner of the key that submitted them, and nobody else hears of them."""

    def __init__(
        self,
        router: Router,
        store: Store,
        staging: Staging,
        results: Results,
        retention: Retention,
        welcome: Welcome,
    ) -> None:
        """All parts are the caller's to close. `runner` must be set before the first message."""
        self.shutdown_asked = False
        self.runner: Runner
        self._router = router
        self._store = store
        self._staging = staging
        self._results = results
        self._retention = retention
        self._welcome = welcome
        # Job -> the client that hears of it: whoever asked about it last.
        self._listeners: dict[str, bytes] = {}

    def handle(self, client: bytes, owner: str, frames: Sequence[Blob]) -> None:
        """Act on what a client sent; whatever it is, it is answered and nothing is raised."""
        try:
            message, blob = decode(frames)
            if not isinstance(message, Command):
                raise LinkError("This message is the server's to send.")
        except LinkError as error:
            self._refuse(client, error.failure)
            return
        try:
            answer, content = self._answer(client, owner, message, blob)
        except UVMapError as error:
            self._refuse(client, error.failure, _subject(message))
            return
        if answer is not None:
            self._router.send(client, answer, content)

    def tell(self, job: StoredJob, event: JobEvent | Preview) -> None:
        """Send an event to the client that hears of its job."""
        client = self._listeners.get(job.id)
        if client is not None:
            self._router.send(client, event)

    def pong(self) -> Pong:
        """How the queue is."""
        counts = self._store.counts()
        return Pong(self._welcome.boot, self._store.paused, counts.queued, counts.running)

    def _answer(self, client: bytes, owner: str, message: Command, blob: Blob) -> tuple[Answer | None, bytes]:
        match message:
            case Hello():
                return agreed(message, self._welcome), b""
            case Ping():
                return self.pong(), b""
            case PutBlob():
                return self._put(owner, message, blob), b""
            case Submit():
                return self._submit(client, owner, message), b""
            case SubmitMany():
                return self._submit_many(client, owner, message, blob), b""
            case Retry():
                return self._retry(client, owner, message), b""
            case GetChunk():
                return self._chunk(owner, message)
            case List():
                return self._list(owner, message), b""
            case Status():
                return self.runner.newest_event(self._known(message.job, owner, client)), b""
            case Cancel():
                return self._cancel(client, owner, message), b""
            case Move():
                return self._move(owner, message), b""
            case Acknowledge():
                return self._acknowledge(owner, message), b""
            case Purge():
                return self._purge(owner, message), b""
            case Pause() | Resume() | Shutdown():
                return self._steer(owner, message), b""

    def _put(self, owner: str, message: PutBlob, blob: Blob) -> Answer:
        if not is_sha256(message.sha256):
            raise LinkError("The photo's name is not a SHA-256.")
        if blob:
            received = self._staging.put(message.sha256, message.size, message.offset, blob, owner)
        else:
            received = self._staging.received(message.sha256, owner)
        return BlobState(message.sha256, received)

    def _submit(self, client: bytes, owner: str, message: Submit) -> Answer:
        known = self._store.get(message.job, owner)
        if known is None:
            self._check(owner, message)
        (job,) = self._store.add([_new_job(owner, message)])
        self._listeners[job.id] = client
        return self.runner.newest_event(job)

    def _submit_many(self, client: bytes, owner: str, message: SubmitMany, blob: Blob) -> Answer:
        if not is_job_id(message.batch):
            raise LinkError("The batch's id is not 32 hex digits.")
        listed = read_json(bytes(blob))
        if not isinstance(listed, list) or not 0 < len(listed) <= BATCH_LIMIT:
            raise LinkError(f"A batch is a list of 1 to {BATCH_LIMIT} jobs.")
        submits = [build(Submit, item if isinstance(item, dict) else {}) for item in listed]
        for submit in submits:
            if self._store.get(submit.job, owner) is None:
                self._check(owner, submit)
        jobs = self._store.add([_new_job(owner, submit) for submit in submits])
        self._listeners.update({job.id: client for job in jobs})
        return AcceptedMany(message.batch, len(jobs))

    def _check(self, owner: str, message: Submit) -> None:
        """Raise `UVMapError` for a job that can't be done."""
        if not is_job_id(message.job):
            raise LinkError("The job's id is not 32 hex digits.")
        if abs(message.priority) > _PRIORITY_LIMIT:
            raise LinkError(f"The priority is not from -{_PRIORITY_LIMIT} to {_PRIORITY_LIMIT}.")
        if len(message.session) > _SESSION_LIMIT or not (message.session.isprintable() and message.session.isascii()):
            raise LinkError("The session's name is too long or holds unusual signs.")
        message.request.validate()
        self._retention.check_room()
        if sum(self._staging.path(sha256, owner).stat().st_size for sha256 in message.request.files) > JOB_PHOTOS_LIMIT:
            raise UVMapError(
                ErrorCode.FACE_FILE_TOO_LARGE,
                f"The face images' files are over {JOB_PHOTOS_LIMIT // 2**20} MiB together.",
                "Save them as JPEGs, scale them down, or choose fewer.",
            )

    def _retry(self, client: bytes, owner: str, message: Retry) -> Answer:
        known = self._store.get(message.new_job, owner)
        if known is not None and known.retry_of == message.job:
            self._listeners[known.id] = client
            return self.runner.newest_event(known)
        old = self._known(message.job, owner)
        if not old.state.ended or old.request is None:
            raise UVMapError(
                ErrorCode.JOB_STATE_WRONG,
                "Only an ended job whose photo is still here can be done again.",
                "Submit it anew with its photo.",
            )
        self._check(owner, Submit(message.new_job, old.request, old.priority, old.session))
        new = NewJob(message.new_job, old.request, owner, old.session, old.priority, retry_of=old.id)
        (job,) = self._store.add([new])
        self._listeners[job.id] = client
        return Accepted(job.id)

    def _chunk(self, owner: str, message: GetChunk) -> tuple[Answer, bytes]:
        self._known(message.job, owner)
        file, content = self._results.read(message.job, message.file, message.offset)
        return Chunk(message.job, message.file, message.offset, file.size, file.sha256), content

    def _list(self, owner: str, message: List) -> Answer:
        jobs, seq = self._store.list(owner, message.since, LIST_LIMIT, message.session or None)
        return Listing(tuple(map(self._item, jobs)), seq, len(jobs) == LIST_LIMIT)

    def _item(self, job: StoredJob) -> JobItem:
        progress = self.runner.progress_of(job.id)
        failure = job.event.failure if isinstance(job.event, Failed) else Failure("", "")
        return JobItem(
            job.id,
            job.state.value,
            job.seq,
            job.session,
            job.priority,
            job.created,
            job.ended or 0.0,
            progress.stage[:_LISTED_TEXT] if progress else "",
            progress.fraction if progress else 0.0,
            failure.code,
            failure.message[:_LISTED_TEXT],
            failure.hint[:_LISTED_TEXT],
            job.acknowledged,
        )

    def _cancel(self, client: bytes, owner: str, message: Cancel) -> Answer | None:
        before = self._known(message.job, owner, client)
        after = self.runner.cancel(before)
        # The end that it brought has been told already.
        return after.event if before.state.ended else None

    def _move(self, owner: str, message: Move) -> Answer:
        self._known(message.job, owner)
        if message.before:
            self._known(message.before, owner)
            self._store.move(message.job, before=message.before)
        else:
            if abs(message.priority) > _PRIORITY_LIMIT:
                raise LinkError(f"The priority is not from -{_PRIORITY_LIMIT} to {_PRIORITY_LIMIT}.")
            self._store.move(message.job, priority=message.priority)
        return Moved(message.job)

    def _acknowledge(self, owner: str, message: Acknowledge) -> Answer:
        self._known(message.job, owner)
        self._retention.acknowledge(message.job)
        self._listeners.pop(message.job, None)
        return Acknowledged(message.job)

    def _purge(self, owner: str, message: Purge) -> Answer:
        gone = self._retention.purge(owner, message.jobs or None)
        for job in gone:
            self._listeners.pop(job.id, None)
        return Purged(len(gone))

    def _steer(self, owner: str, message: Pause | Resume | Shutdown) -> Answer | None:
        if owner != LOCAL_OWNER:
            raise UVMapError(
                ErrorCode.NOT_ALLOWED,
                "Only the user who runs the backend may do this.",
                "Ask that user, or use a backend of your own.",
            )
        match message:
            case Shutdown():
                self.shutdown_asked = True
                return None
            case Pause():
                self._store.set_paused(PAUSED_BY_USER)
            case Resume():
                if self._store.paused == PAUSED_BY_CRASHES:
                    self.runner.mend()
                self._store.set_paused("")
        return self.pong()

    def _known(self, job_id: str, owner: str, client: bytes | None = None) -> StoredJob:
        job = self._store.get(job_id, owner)
        if job is None:
            raise UVMapError(ErrorCode.JOB_UNKNOWN, "The backend doesn't know this job.", "Submit it again.")
        if client is not None:
            self._listeners[job.id] = client
        return job

    def _refuse(self, client: bytes, failure: Failure, subject: str = "") -> None:
        self._router.send(client, Refused(failure.code, failure.message, failure.hint, subject))


def _new_job(owner: str, message: Submit) -> NewJob:
    return NewJob(message.job, message.request, owner, message.session, message.priority)


def _subject(message: Command) -> str:
    """What a message was about: a job, a batch or a file."""
    match message:
        case PutBlob():
            return message.sha256[:64]
        case SubmitMany():
            return message.batch[:32]
        case Retry():
            return message.new_job[:32]
        case _:
            return getattr(message, "job", "")[:32]
