"""The client: submits jobs, and hears of them without a thread and without ever blocking its caller."""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import zmq

from .connection import Connection
from .errors import ErrorCode, Failure, LinkError, UVMapError
from .messages import (
    PROTOCOL,
    Accepted,
    Answer,
    Cancel,
    Cancelled,
    Command,
    Done,
    Failed,
    Hello,
    JobEvent,
    Ping,
    Preview,
    Progress,
    Refused,
    Shutdown,
    Status,
    Submit,
    Welcome,
)
from .options import set_common_options
from .photo import check_named
from .request import TextureRequest
from .wire import decode, encode

QUIET_S = 1.0
LOST_S = 10.0
IDLE_PING_S = 60.0

_POLL_LIMIT = 32
_POLL_BUDGET_S = 0.008
_WAIT_STEP_MS = 100

_log = logging.getLogger(__name__)

ProgressReader = Callable[[Progress], None]


def incompatible(theirs: int) -> UVMapError:
    """The one sentence for two sides that don't speak the same protocol."""
    return UVMapError(
        ErrorCode.BACKEND_INCOMPATIBLE,
        f"The backend and its client don't fit: one speaks protocol {theirs}, the other {PROTOCOL}.",
        'Update both to the same version, then run "uvmap-id stop".',
    )


def error_of(failure: Failure) -> UVMapError:
    """The exception for a failure that came as a value."""
    known = failure.code in ErrorCode.__members__.values()
    return UVMapError(ErrorCode(failure.code) if known else ErrorCode.INTERNAL, failure.message, failure.hint)


class Client:
    """One connection to the server, to be used from one thread.

    Pushed messages may get lost. The client therefore asks for the state of its jobs whenever it has heard
    nothing for `QUIET_S`, and each job it follows ends for its caller in exactly one of `Done`, `Failed`,
    `Cancelled` or, where the server did not take it, `Refused`. When the server is gone, that is `Failed`
    with the code `backend_lost`.
    """

    def __init__(self, connection: Connection, name: str = "python") -> None:
        """Use `Client.connect`, which says why a server can't be used."""
        self.connection = connection
        self.welcome: Welcome | None = None
        self._context = zmq.Context()
        self._socket = _open_socket(self._context, connection)
        self._outbox: deque[list[bytes]] = deque()
        self._backlog: list[Answer] = []
        # Job -> the furthest progress that its caller has seen.
        self._followed: dict[str, float] = {}
        self._failure: Failure | None = None
        self._heard = self._asked = time.monotonic()
        self._unanswered_since: float | None = self._asked
        self._send(Hello(PROTOCOL, name))

    @classmethod
    def connect(cls, connection: Connection, name: str = "python") -> Self:
        """Connect without waiting for the answer; messages wait in the client until the server is there.

        Args:
            connection: From `read_connection` or `ensure_server`.
            name: Who this is, for the server's log.

        Raises:
            UVMapError: `backend_incompatible`: the server speaks another protocol.
        """
        if connection.protocol != PROTOCOL:
            raise incompatible(connection.protocol)
        return cls(connection, name)

    @property
    def failure(self) -> Failure | None:
        """Why this client can't be used any more; None while it can. Then connect anew."""
        return self._failure

    def submit(self, request: TextureRequest, photos: tuple[bytes, ...]) -> str:
        """Send a job and follow it. Returns its id at once.

        Args:
            request: What to make.
            photos: The contents of the files that the request names; see `with_photos`.

        Raises:
            UVMapError: The request or a photo can't be accepted.
        """
        request.validate()
        check_named(request, photos)
        job = secrets.token_hex(16)
        self._follow(job)
        self._send(Submit(job, request, tuple(map(len, photos))), b"".join(photos))
        return job

    def cancel(self, job: str) -> None:
        """Ask for a job to be ended. It may still end as done, if that was quicker."""
        self._follow(job)
        self._send(Cancel(job))

    def status(self, job: str) -> None:
        """Ask for a job's newest event, and follow it: also one that another client submitted."""
        self._follow(job)
        self._send(Status(job))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._send(Ping())

    def shutdown(self) -> None:
        """Ask the server to end. Its jobs end as cancelled."""
        self._send(Shutdown())

    def poll(self, limit: int = _POLL_LIMIT, budget_s: float = _POLL_BUDGET_S) -> list[Answer]:
        """What has come meanwhile. Never blocks, never raises.

        Args:
            limit: At most so many messages.
            budget_s: Stop reading after so many seconds.
        """
        answers, self._backlog = self._backlog, []
        return answers + self._read(limit, budget_s)

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
        if not mine and job not in self._followed:
            self.status(job)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            for answer in mine:
                done = _outcome(answer, on_progress)
                if done is not None:
                    return done
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"Job {job} has not ended within {timeout_s} s.")
            self._socket.poll(_WAIT_STEP_MS)
            mine, others = _divide(self._read(), job)
            self._backlog += others

    def wait_until_welcome(self, timeout_s: float = LOST_S) -> Welcome:
        """Block until the handshake is done.

        Raises:
            UVMapError: `backend_lost` or `backend_incompatible`.
        """
        deadline = time.monotonic() + timeout_s
        while self.welcome is None:
            self._backlog += self._read()
            if self._failure is not None:
                raise error_of(self._failure)
            if time.monotonic() >= deadline:
                raise error_of(_lost("The backend doesn't answer."))
            self._socket.poll(_WAIT_STEP_MS)
        return self.welcome

    def close(self) -> None:
        """Let go of the connection; jobs go on without this client. What was not sent yet is dropped."""
        self._socket.close(0)
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _follow(self, job: str) -> None:
        self._followed.setdefault(job, 0.0)

    def _send(self, command: Command, blob: bytes = b"") -> None:
        self._outbox.append(encode(command, blob))
        self._flush()

    def _flush(self) -> None:
        while self._outbox:
            try:
                self._socket.send_multipart(self._outbox[0], zmq.NOBLOCK)
            except zmq.Again:
                return
            self._outbox.popleft()

    def _read(self, limit: int = _POLL_LIMIT, budget_s: float = _POLL_BUDGET_S) -> list[Answer]:
        answers: list[Answer] = []
        deadline = time.monotonic() + budget_s
        self._flush()
        for _ in range(limit):
            frames = self._receive()
            if frames is None:
                return answers + self._look_after_silence()
            answers += self._understood(frames)
            if time.monotonic() >= deadline:
                break
        return answers

    def _receive(self) -> list[bytes] | None:
        try:
            return self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None

    def _understood(self, frames: list[bytes]) -> list[Answer]:
        self._heard, self._unanswered_since = time.monotonic(), None
        try:
            message, _ = decode(frames)
        except LinkError as error:
            _log.warning("dropped a message: %s", error)
            return []
        if isinstance(message, Welcome):
            self.welcome = message
        elif isinstance(message, Preview):
            return [message] if message.job in self._followed else []
        elif isinstance(message, JobEvent):
            return [message] if self._is_news(message) else []
        elif isinstance(message, Refused):
            return self._refused(message)
        return [message] if isinstance(message, Answer) else []

    def _is_news(self, event: JobEvent) -> bool:
        """False for an event of a job that has ended for the caller, and for progress that goes backwards."""
        furthest = self._followed.get(event.job)
        if furthest is None:
            return False
        if isinstance(event, Progress):
            self._followed[event.job] = max(furthest, event.fraction)
            return event.fraction >= furthest
        if not isinstance(event, Accepted):
            del self._followed[event.job]
        return True

    def _refused(self, refused: Refused) -> list[Answer]:
        if refused.code == ErrorCode.BACKEND_INCOMPATIBLE:
            self._failure = refused.failure
            return self._fail_followed(refused.failure)
        if not refused.job:
            _log.warning("the server refused a message: %s", refused.failure)
            return [refused]
        return [refused] if self._followed.pop(refused.job, None) is not None else []

    def _look_after_silence(self) -> list[Answer]:
        """Called when there is nothing to read: asks again, and notices that the server is gone."""
        if self._failure is not None:
            return self._fail_followed(self._failure)
        now = time.monotonic()
        patience = QUIET_S if self._followed or self._unanswered_since is not None else IDLE_PING_S
        if now - max(self._heard, self._asked) < patience:
            return []
        if not self.connection.alive:
            self._failure = _lost("The backend has ended unexpectedly.")
        elif self._unanswered_since is not None and now - self._unanswered_since > LOST_S:
            self._failure = _lost(f"The backend has not answered for {LOST_S:.0f} seconds.")
        if self._failure is not None:
            return self._fail_followed(self._failure)
        self._ask_again(now)
        return []

    def _ask_again(self, now: float) -> None:
        self._asked = now
        if self._unanswered_since is None:
            self._unanswered_since = now
        if self._outbox:
            # Nothing gets out at the moment; more questions would only pile up.
            return
        self.ping()
        for job in self._followed:
            self._send(Status(job))

    def _fail_followed(self, failure: Failure) -> list[Answer]:
        failed: list[Answer] = [Failed(job, failure.code, failure.message, failure.hint) for job in self._followed]
        self._followed.clear()
        return failed


def _divide(answers: list[Answer], job: str) -> tuple[list[Answer], list[Answer]]:
    """The answers about one job, and the others; without pictures, which would pile up while nobody looks."""
    news: list[Answer] = [answer for answer in answers if not isinstance(answer, Preview)]
    mine = [answer for answer in news if getattr(answer, "job", "") == job]
    return mine, [answer for answer in news if getattr(answer, "job", "") != job]


def _outcome(answer: Answer, on_progress: ProgressReader | None) -> Done | None:
    match answer:
        case Done():
            return answer
        case Failed() | Refused():
            raise error_of(answer.failure)
        case Cancelled():
            raise UVMapError(ErrorCode.CANCELLED, "The job was cancelled.")
        case Progress() if on_progress is not None:
            on_progress(answer)
    return None


def _lost(message: str) -> Failure:
    return Failure(ErrorCode.BACKEND_LOST.value, message, "Try again: the backend is started anew.")


def _open_socket(context: zmq.Context[zmq.Socket[bytes]], connection: Connection) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    set_common_options(socket)
    # Otherwise commands wait for a server that died and are delivered to the next one.
    socket.setsockopt(zmq.IMMEDIATE, 1)
    # An id of our own survives a reconnect. libzmq keeps those with a leading zero byte for itself.
    socket.setsockopt(zmq.ROUTING_ID, b"c" + secrets.token_bytes(15))
    public, secret = zmq.curve_keypair()
    socket.curve_publickey = public
    socket.curve_secretkey = secret
    socket.curve_serverkey = connection.server_key.encode()
    socket.connect(connection.endpoint)
    return socket
