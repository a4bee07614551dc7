"""The client: submits jobs, and hears of them without a thread and without ever blocking its caller."""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .connection import Connection
from .downloads import Fetched, NotFetched
from .errors import ErrorCode, Failure, LinkError, UVMapError
from .exchange import LOST_S, POLL_BUDGET_S, POLL_LIMIT, Events, Exchange, error_of, incompatible, lost
from .messages import (
    BATCH_LIMIT,
    FRAME_LIMIT,
    OLDEST_PROTOCOL,
    Acknowledge,
    Cancelled,
    Done,
    Failed,
    List,
    Move,
    Pause,
    Ping,
    Preview,
    Progress,
    Purge,
    Refused,
    Resume,
    Retry,
    Shutdown,
    Submit,
    SubmitMany,
    Welcome,
)
from .photo import check_named
from .request import TextureRequest
from .uploads import Submission

_WAIT_STEP_S = 0.1

ProgressReader = Callable[[Progress], None]


class Client:
    """One client of the server, to be used from one thread. Nothing but the `wait...` methods ever blocks.

    Pushed messages may get lost, and servers may restart. The client therefore asks the server about its jobs again
    and again, finds a new server by its connection file, and tells it what the old one had not answered. Each job it
    follows ends for its caller in exactly one of `Done`, `Failed`, `Cancelled` or, where the server did not take it,
    `Refused`. When the server stays away, that is `Failed` with the code `backend_lost`; the server's own jobs go on
    when it is started again.
    """

    def __init__(self, connection: Connection, name: str = "python", session: str = "") -> None:
        """Use `Client.connect`, which says why a server can't be used."""
        self._session = session
        self._exchange = Exchange(connection, name)
        self._backlog: Events = []

    @classmethod
    def connect(cls, connection: Connection, name: str = "python", session: str = "") -> Self:
        """Connect without waiting for the answer; messages wait in the client until the server is there.

        Args:
            connection: From `read_connection`, `remote_connection` or `ensure_server`.
            name: Who this is, for the server's log.
            session: A word of the client's own for the jobs that it submits, at most 64 ASCII characters.

        Raises:
            UVMapError: `backend_incompatible`: the server speaks an older protocol.
        """
        if connection.protocol < OLDEST_PROTOCOL:
            raise incompatible(connection.protocol)
        return cls(connection, name, session)

    @property
    def connection(self) -> Connection:
        """The server that this client talks to; another one after the server was started anew."""
        return self._exchange.connection

    @property
    def welcome(self) -> Welcome | None:
        """What the server said of itself last; None before the first handshake."""
        return self._exchange.welcome

    @property
    def failure(self) -> Failure | None:
        """Why this client can't be used any more; None while it can. Then connect anew."""
        return self._exchange.failure

    @property
    def away_s(self) -> float:
        """For how many seconds the server has owed a sign of life; 0 while it serves."""
        return self._exchange.away_s

    @property
    def acknowledging(self) -> bool:
        """True while the server has not confirmed all that was acknowledged."""
        return self._exchange.owed.holds(Acknowledge)

    @property
    def server_gone(self) -> bool:
        """True while there is no server process on this machine; once one is started, this client finds it."""
        return self._exchange.server_gone

        # --- jobs ----------------------------------------------------------------------------------------

    def submit(self, request: TextureRequest, photos: tuple[bytes, ...], priority: int = 0) -> str:
        """Send a job and follow it. Returns its id at once; `poll` sends the photos piece by piece, then the job.

        Args:
            request: What to make.
            photos: The contents of the files that the request names; see `with_photos`.
            priority: Jobs of a higher priority run first.

        Raises:
            UVMapError: The request or a photo can't be accepted.
        """
        submit, files = self._prepared(request, photos, priority)
        self._exchange.begin(Submission(submit.job, submit, (submit.job,), files))
        return submit.job

    def submit_many(
        self, requests: Sequence[tuple[TextureRequest, tuple[bytes, ...]]], priority: int = 0
    ) -> tuple[str, ...]:
        """Send several jobs that are accepted together or not at all, and follow each. Returns their ids at once.

        Args:
            requests: At most `BATCH_LIMIT` requests, each with its photos, as for `submit`.
            priority: Jobs of a higher priority run first.

        Raises:
            UVMapError: A request or a photo can't be accepted, or they are too many; nothing is sent.
        """
        prepared = [self._prepared(request, photos, priority) for request, photos in requests]
        submits = [dataclasses.asdict(submit) for submit, _ in prepared]
        blob = json.dumps(submits, separators=(",", ":"), allow_nan=False).encode()
        if not 0 < len(submits) <= BATCH_LIMIT or len(blob) > FRAME_LIMIT:
            raise LinkError(f"A batch has 1 to {BATCH_LIMIT} jobs of at most {FRAME_LIMIT // 1024} KiB together.")
        batch, jobs = secrets.token_hex(16), tuple(submit.job for submit, _ in prepared)
        files = {sha256: content for _, each in prepared for sha256, content in each.items()}
        self._exchange.begin(Submission(batch, SubmitMany(batch), jobs, files, blob))
        return jobs

    def cancel(self, job: str) -> None:
        """Ask for a job to be ended. It may still end as done, if that was quicker."""
        self._exchange.cancel(job)

    def status(self, job: str) -> None:
        """Ask for a job's newest event, and follow it: also one that another client of the same owner submitted."""
        self._exchange.follow(job)

    def retry(self, job: str, new_job: str = "") -> str:
        """Do an ended job once more, as a new one that is followed; returns the new one's id."""
        command = Retry(job, new_job or secrets.token_hex(16))
        self._exchange.retry(command)
        return command.new_job

    def fetch(self, job: str, into: Path) -> None:
        """Bring a finished job's files to a folder of this machine; `poll` tells by `Fetched` or `NotFetched`.

        Args:
            job: It must be done.
            into: Does not exist yet, or is empty. It gets its name when everything is there and checked.

        Raises:
            UVMapError: `output_not_writable`.
        """
        self._exchange.downloads.add(job, into)

    def acknowledge(self, job: str) -> None:
        """Tell that nothing more is needed of an ended job: the server forgets photos and prompt."""
        self._exchange.owed.add(Acknowledge(job))

    # --- the queue -----------------------------------------------------------------------------------

    def list(self, since: int = 0, session: str = "") -> None:
        """Ask for the owner's jobs that changed after `since`; `poll` brings a `Listing`."""
        self._exchange.owed.add(List(since, session))

    def move(self, job: str, priority: int = 0, before: str = "") -> None:
        """Change a queued job's turn: before another queued job, or to a new priority."""
        self._exchange.owed.add(Move(job, priority, before))

    def purge(self, jobs: Sequence[str] = ()) -> None:
        """Have the server forget ended jobs wholly; all of the owner's where none is named."""
        self._exchange.owed.add(Purge(tuple(jobs)))

    def pause(self) -> None:
        """Begin no more jobs."""
        self._exchange.owed.add(Pause())

    def resume(self) -> None:
        """Begin jobs again."""
        self._exchange.owed.add(Resume())

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._exchange.owed.add(Ping())

    def shutdown(self) -> None:
        """Ask the server to end. Its jobs go on when a server is started again."""
        self._exchange.say(Shutdown())

    # --- hearing -------------------------------------------------------------------------------------

    def poll(self, limit: int = POLL_LIMIT, budget_s: float = POLL_BUDGET_S) -> Events:
        """What has come meanwhile. Never blocks, never raises.

        Args:
            limit: At most so many messages.
            budget_s: Stop working after about so many seconds.
        """
        read = self._exchange.work(limit, budget_s)
        events, self._backlog = self._backlog + read, []
        return events

    def wait(self, job: str, on_progress: ProgressReader | None = None, timeout_s: float | None = None) -> Done:
        """Block until a job has ended well. Messages about other jobs are kept for the next `poll`.

        Args:
            job: An id from `submit`.
            on_progress: Called for each `Progress` of this job.
            timeout_s: Give up waiting after so many seconds; the job goes on. None waits as long as it takes.

        Raises:
            UVMapError: The job failed, was refused or cancelled, or the server is gone (`backend_lost`).
            TimeoutError: `timeout_s` is over.
        """
        mine, self._backlog = _divide(self._backlog, job)
        if not mine and job not in self._exchange.following:
            self.status(job)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            for event in mine:
                if isinstance(event, Refused) and job in self._exchange.following:
                    # About something else that was asked of this job.
                    continue
                done = _outcome(event, on_progress)
                if done is not None:
                    return done
            mine = self._more_about(job, deadline)

    def wait_until_fetched(self, job: str, into: Path, timeout_s: float | None = None) -> Path:
        """Fetch a job's files and block until they are there; returns the folder.

        Raises:
            UVMapError: They can't be had, or the folder can't be written.
            TimeoutError: `timeout_s` is over.
        """
        self.fetch(job, into)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            for event in self._more_about(job, deadline):
                if isinstance(event, Fetched):
                    return event.folder
                if isinstance(event, NotFetched):
                    raise error_of(event.failure)
                self._backlog.append(event)

    def wait_until_welcome(self, timeout_s: float = LOST_S) -> Welcome:
        """Block until the handshake is done.

        Raises:
            UVMapError: `backend_lost`, `backend_incompatible` or `backend_refused`.
        """
        deadline = time.monotonic() + timeout_s
        while self.welcome is None:
            self._backlog += self._exchange.work()
            if self.failure is not None:
                raise error_of(self.failure)
            if time.monotonic() >= deadline:
                raise error_of(lost("The backend doesn't answer."))
            if self.welcome is None:
                self._exchange.wait(_WAIT_STEP_S)
        return self.welcome

    def pause_until_heard(self, timeout_s: float) -> float:
        """Block until there may be something for `poll`, at most for a tenth of a second. Returns how long it was."""
        before = time.monotonic()
        self._exchange.wait(min(timeout_s, _WAIT_STEP_S))
        return time.monotonic() - before

    def close(self) -> None:
        """Let go of the connection; jobs go on without this client. What was not sent yet is dropped."""
        self._exchange.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _prepared(
        self, request: TextureRequest, photos: tuple[bytes, ...], priority: int
    ) -> tuple[Submit, dict[str, bytes]]:
        request.validate()
        check_named(request, photos)
        submit = Submit(secrets.token_hex(16), request, priority, self._session)
        return submit, dict(zip(request.files, photos, strict=True))

    def _more_about(self, job: str, deadline: float | None) -> Events:
        """What comes about a job; blocks for a moment where nothing does. Raises `TimeoutError`."""
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f"Job {job} has not ended in time.")
        mine, others = _divide(self._exchange.work(), job)
        moved_on = {event.job for event in others if isinstance(event, Progress)}
        older = (event for event in self._backlog if not isinstance(event, Progress) or event.job not in moved_on)
        self._backlog = [*older, *others]
        if not mine:
            self._exchange.wait(_WAIT_STEP_S)
        return mine


def _divide(events: Events, job: str) -> tuple[Events, Events]:
    """The events about one job, and the others; without pictures, which would pile up while nobody looks."""
    news: Events = [event for event in events if not isinstance(event, Preview)]
    mine: Events = [event for event in news if getattr(event, "job", "") == job]
    return mine, [event for event in news if getattr(event, "job", "") != job]


def _outcome(event: object, on_progress: ProgressReader | None) -> Done | None:
    match event:
        case Done():
            return event
        case Failed() | Refused():
            raise error_of(event.failure)
        case Cancelled():
            raise UVMapError(ErrorCode.CANCELLED, "The job was cancelled.")
        case Progress() if on_progress is not None:
            on_progress(event)
    return None
