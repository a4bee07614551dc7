"""Takes jobs from the store to the workers, and their ends back: results first, then the store, then the client."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from uvmap_id.link.errors import ErrorCode, Failure, UVMapError
from uvmap_id.link.messages import LOG_LIMIT, Accepted, Cancelled, Done, Failed, JobEvent, Preview, Progress

from .pool import DeathKind, Pool, WorkerDied
from .results import Results
from .retention import Retention
from .staging import Staging
from .states import PAUSED_BY_CRASHES, PAUSED_BY_DISK, PAUSED_BY_USER, JobState
from .store import Store, StoredJob
from .words import Finished, Run, WorkerWord

_WAITING = {
    PAUSED_BY_USER: "Waiting: the queue is paused",
    PAUSED_BY_DISK: "Waiting: the disk is full",
    PAUSED_BY_CRASHES: "Waiting: the engine does not start",
}

_log = logging.getLogger(__name__)

Tell = Callable[[StoredJob, JobEvent | Preview], None]


class Runner:
    """Runs claimed jobs on the workers, and sees to it that each ends in exactly one event."""

    def __init__(
        self, store: Store, pool: Pool, results: Results, staging: Staging, retention: Retention, tell: Tell
    ) -> None:
        """All parts are the caller's to close; `tell` hears of every event of every job."""
        self._store = store
        self._pool = pool
        self._results = results
        self._staging = staging
        self._retention = retention
        self._tell = tell
        self._running: dict[str, StoredJob] = {}
        self._progress: dict[str, Progress] = {}
        # Changes that the full disk did not take yet; the jobs stay running until it does.
        self._unwritten: dict[str, Callable[[], StoredJob]] = {}

    @property
    def running(self) -> int:
        """How many jobs the workers have."""
        return len(self._running)

    def progress_of(self, job: str) -> Progress | None:
        """How far a running job is."""
        return self._progress.get(job)

    def newest_event(self, job: StoredJob) -> JobEvent:
        """What a client that asks for a job is told: how far it is, why it waits, or how it ended."""
        if job.state is JobState.RUNNING:
            return self._progress.get(job.id, Accepted(job.id))
        if job.state is JobState.QUEUED and self._store.paused:
            return Progress(job.id, _WAITING[self._store.paused], 0.0)
        return job.event

    def start_next(self) -> None:
        """Write what could not be written before, and give jobs to the workers that have none."""
        for job in list(self._unwritten):
            self._write(job)
        while not self._store.paused and self._pool.free() > 0:
            job = self._store.claim()
            if job is None:
                return
            self._run(job)

    def cancel(self, job: StoredJob) -> StoredJob:
        """End a queued job now, and have a running one end soon. The job as it is afterwards."""
        asked = self._store.ask_cancel(job.id)
        if asked.state is JobState.RUNNING:
            self._pool.stop(asked.id)
        elif not job.state.ended:
            self._ended(asked)
        return asked

    def handle(self, word: WorkerWord | WorkerDied) -> None:
        """Act on what a worker said, or on its death."""
        job = self._running.get(word.job)
        if isinstance(word, WorkerDied):
            self._mourn(job, word)
            return
        if job is None:
            _log.warning("a worker speaks of job %s, which it doesn't have", word.job)
            return
        match word:
            case Progress():
                self._progress[job.id] = word
                self._tell(job, word)
            case Preview():
                self._tell(job, word)
            case Finished():
                self._finish(job, word)
            case Failed(code=ErrorCode.DISK_FULL):
                self._wait_for_disk(job)
            case Failed() | Cancelled():
                self._end(job, word)

    def mend(self) -> None:
        """Try again to start workers that ended as soon as they began."""
        self._pool.mend()

    def put_back(self) -> None:
        """The server ends: what its workers had begun goes back to the front of the queue."""
        for job in list(self._running.values()):
            self._put_back(job, None)

    def _run(self, job: StoredJob) -> None:
        self._running[job.id] = job
        try:
            if job.request is None:
                raise UVMapError(ErrorCode.INTERNAL, "The job's request is gone.", "Submit it again.")
            wanted = job.request.files
            photos = [self._staging.path(sha256, job.owner) for sha256 in wanted]
            folder = self._results.begin(job.id)
            self._pool.run(Run(job.id, job.request, tuple(map(str, photos)), str(folder)))
        except UVMapError as error:
            if error.failure.code == ErrorCode.DISK_FULL:
                self._wait_for_disk(job)
            elif error.failure.code in (ErrorCode.WORKER_DIED, ErrorCode.WORKER_CRASH_LOOP):
                self._no_worker(job)
            else:
                self._end(job, _failed(job, error.failure))

    def _finish(self, job: StoredJob, word: Finished) -> None:
        try:
            folder = self._results.commit(job.id)
            files = tuple(self._results.files(job.id))
        except UVMapError as error:
            if error.failure.code == ErrorCode.DISK_FULL:
                self._wait_for_disk(job)
            else:
                self._end(job, _failed(job, error.failure))
            return
        self._end(job, Done(job.id, str(folder), word.manifest, files))

    def _end(self, job: StoredJob, event: Done | Failed | Cancelled) -> None:
        """Write how a job ended. Its files are in their place already, or go now."""
        self._change(job, lambda: self._store.end(job.id, event))

    def _change(self, job: StoredJob, change: Callable[[], StoredJob]) -> None:
        """A running job leaves its worker, for good or for another try."""
        self._release(job)
        self._unwritten[job.id] = change
        if not self._write(job.id):
            _log.error("the disk does not take the change of job %s", job.id)

    def _write(self, job: str) -> bool:
        try:
            changed = self._unwritten[job]()
        except UVMapError:
            # Tried again; should the server die meanwhile, the next one finds out by the job's result.
            return False
        del self._unwritten[job]
        if changed.state.ended:
            self._ended(changed)
        else:
            self._tell(changed, self.newest_event(changed))
        return True

    def _ended(self, job: StoredJob) -> None:
        if job.state is not JobState.DONE:
            self._results.discard(job.id)
        if job.state is JobState.CANCELLED:
            self._retention.cancelled()
        self._tell(job, job.event)

    def _mourn(self, job: StoredJob | None, death: WorkerDied) -> None:
        if job is None:
            self._pause_if_broken()
        elif death.kind is DeathKind.IGNORED_CANCEL:
            self._end(job, Cancelled(job.id))
        elif death.began:
            self._put_back(job, death.failure, death.log_tail)
        else:
            # One that died before it began is no reason to blame the job.
            self._no_worker(job, death.log_tail)

    def _no_worker(self, job: StoredJob, log: tuple[str, ...] = ()) -> None:
        """No worker could begin a job: it waits for the next one, or tells why there will be none."""
        self._pause_if_broken()
        if self._pool.broken is not None:
            self._end(job, _failed(job, self._pool.broken, log))
        else:
            self._put_back(job, None)

    def _pause_if_broken(self) -> None:
        if self._pool.broken is not None and not self._store.paused:
            self._store.set_paused(PAUSED_BY_CRASHES)

    def _wait_for_disk(self, job: StoredJob) -> None:
        self._store.set_paused(PAUSED_BY_DISK)
        self._put_back(job, None)

    def _put_back(self, job: StoredJob, death: Failure | None, log: tuple[str, ...] = ()) -> None:
        self._results.discard(job.id)
        self._change(job, lambda: self._store.requeue(job.id, death, tail_text(log)))

    def _release(self, job: StoredJob) -> None:
        self._running.pop(job.id, None)
        self._progress.pop(job.id, None)


def _failed(job: StoredJob, failure: Failure, log: tuple[str, ...] = ()) -> Failed:
    return Failed(job.id, failure.code, failure.message, failure.hint, tail_text(log))


def tail_text(lines: tuple[str, ...]) -> str:
    """The last lines of a log that fit into a message, whatever signs they hold."""
    kept: list[str] = []
    room = LOG_LIMIT
    for line in reversed(lines):
        room -= len(json.dumps(line))
        if room < 0:
            break
        kept.append(line)
    return "\n".join(reversed(kept))
