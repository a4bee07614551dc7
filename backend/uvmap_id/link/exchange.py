"""What a client does between two calls of `poll`: sends what is due, reads what came, and notes that a server is gone.

All that a server has not answered yet is kept here, so that a new server can be told; what it answers is kept nowhere.
"""

from __future__ import annotations

import logging
import time
from collections import deque

from .channel import Channel
from .connection import Connection, read_connection
from .downloads import Downloads, Fetched, NotFetched
from .errors import ErrorCode, Failure, LinkError, UVMapError
from .following import Following
from .messages import (
    OLDEST_PROTOCOL,
    PROTOCOL,
    Accepted,
    AcceptedMany,
    Answer,
    BlobState,
    Cancelled,
    Chunk,
    Command,
    Failed,
    Hello,
    JobEvent,
    List,
    Listing,
    Ping,
    Preview,
    Refused,
    Retry,
    Status,
    Welcome,
    is_sha256,
)
from .owed import Owed
from .silence import Silence
from .uploads import Submission, Uploads
from .wire import Blob, decode, encode

QUIET_S = 1.0
LOST_S = 10.0
REMOTE_LOST_S = 30.0
# A process that runs but says nothing may be stopped, or starved.
HUNG_S = 60.0
IDLE_PING_S = 60.0
POLL_LIMIT = 32
POLL_BUDGET_S = 0.008

_LOOK_S = 0.2
_QUESTIONS = 4
_QUESTIONS_AT_ONCE = 64

_log = logging.getLogger(__name__)

Event = Answer | Fetched | NotFetched
Events = list[Event]


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


def lost(message: str) -> Failure:
    """The server stays away."""
    return Failure(ErrorCode.BACKEND_LOST.value, message, "Try again: the backend is started anew.")


class Exchange:
    """One client's side of the talk with its server, across that server's restarts.

    Attributes:
        following: Jobs that have not ended for the caller.
        downloads: Texture sets on their way.
        owed: Commands without an answer.
        welcome: What the server said of itself last.
        failure: Why nothing can come any more.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        """Begin to connect."""
        self.following = Following()
        self.downloads = Downloads(connection.local)
        self.owed = Owed()
        self.welcome: Welcome | None = None
        self.failure: Failure | None = None
        self._name = name
        self._channel = Channel(connection)
        self._uploads = Uploads(connection.local)
        self._outbox: deque[Command] = deque()
        self._unsent: list[bytes] | None = None
        self._local_events: Events = []
        # Whether this connection's handshake is done.
        self._welcomed = False
        self._seq: int | None = None
        self._own_list: List | None = None
        self._silence = Silence(time.monotonic())
        self._asked_at = self._look_at = 0.0

    @property
    def connection(self) -> Connection:
        """The server that this is with."""
        return self._channel.connection

    @property
    def away_s(self) -> float:
        """For how many seconds the server has owed a sign of life."""
        return self._silence.away_s

    @property
    def server_gone(self) -> bool:
        """True while there is no server process on this machine."""
        return not self._channel.up and not self.connection.alive

    def begin(self, submission: Submission) -> None:
        """Follow its jobs, and send it when its files are there."""
        for job in submission.jobs:
            self.following.follow(job, time.monotonic())
        self._uploads.add(submission)

    def follow(self, job: str) -> None:
        """Follow a job, and ask how it stands."""
        self.following.follow(job, time.monotonic())
        if self._uploads.of(job) is None:
            self.say(self.following.question(job))

    def cancel(self, job: str) -> None:
        """Follow a job, and ask for its end."""
        submission = self._uploads.of(job)
        if submission is not None and submission.key == job and not submission.was_sent:
            self._uploads.settle(job)
            self.following.end(job)
            self._local_events.append(Cancelled(job))
            return
        self.following.cancel(job, time.monotonic())
        if submission is None:
            self.say(self.following.question(job))

    def retry(self, command: Retry) -> None:
        """Follow the new job, and ask for it."""
        self.following.retry(command, time.monotonic())
        self.say(command)

    def say(self, command: Command) -> None:
        """Send a command as soon as the server is there; it is dropped when the connection breaks."""
        self._outbox.append(command)

    def wait(self, timeout_s: float) -> None:
        """Block until there may be something to do."""
        if not self.downloads.working and not self._local_events:
            self._channel.wait(timeout_s)

    def close(self) -> None:
        """Let go of everything; the server's jobs go on."""
        self.downloads.close()
        self._channel.close()

    def work(self, limit: int = POLL_LIMIT, budget_s: float = POLL_BUDGET_S) -> Events:
        """Read, then send, then copy, each a piece at a time; what the caller should hear. Never blocks."""
        deadline = time.monotonic() + budget_s
        events, self._local_events = self._local_events, []
        self._mind_channel()
        for _ in range(limit if self.failure is None else 0):
            frames = self._channel.receive()
            if frames is None:
                break
            events += self._understood(frames)
            if time.monotonic() >= deadline:
                break
            if self.downloads:
                # The server reads the next pieces while these are written.
                self._send_due(deadline)
        else:
            frames = None
        if frames is None and self.failure is None:
            self._mind_silence()
        if self.failure is not None:
            return events + self._fail_all(self.failure)
        self._send_due(deadline)
        while self.downloads.step() and time.monotonic() < deadline:
            pass
        return events + self.downloads.outcomes()

    # --- the connection ------------------------------------------------------------------------------

    def _mind_channel(self) -> None:
        came_up = self._channel.notice()
        now = time.monotonic()
        self._silence.tick(now)
        if came_up:
            self._greet(now)
        elif not self._channel.up and self.failure is None:
            if self._welcomed:
                self._welcomed, self._unsent = False, None
                self._outbox.clear()
            self._silence.expect()
            self._find_server(now)

    def _greet(self, now: float) -> None:
        self._welcomed, self._asked_at = False, now
        self._silence.expect()
        self._unsent = encode(Hello(PROTOCOL, self._name, OLDEST_PROTOCOL))

    def _find_server(self, now: float) -> None:
        """A server that was started anew is known by its connection file."""
        refusal, connection = self._channel.refusal, self.connection
        if connection.local and now >= self._look_at:
            self._look_at = now + _LOOK_S
            newer = _newer(connection)
            if newer is not None:
                self._switch(newer)
                return
        # A port of a server that has ended may be another program's by now.
        if refusal is not None and connection.alive:
            self.failure = refusal

    def _switch(self, connection: Connection) -> None:
        if connection.protocol < OLDEST_PROTOCOL:
            self.failure = incompatible(connection.protocol).failure
            return
        self._channel.switch(connection)
        self._silence.heard()
        self._silence.expect()

    def _mind_silence(self) -> None:
        now = time.monotonic()
        away, connection = self._silence.away_s, self.connection
        if away > (LOST_S if connection.local else REMOTE_LOST_S) and not (connection.local and connection.alive):
            gone = "has ended unexpectedly" if connection.local else "can't be reached"
            self.failure = lost(f"The backend {gone} and has not come back.")
        elif away > HUNG_S:
            self.failure = lost(f"The backend has not answered for {HUNG_S:.0f} seconds.")
        elif self._channel.up and now - self._asked_at >= (QUIET_S if self._pending else IDLE_PING_S):
            self._asked_at = now
            self._ask(now)

    @property
    def _pending(self) -> bool:
        return bool(self.following or self._uploads or self.downloads or self.owed) or not self._welcomed

    def _ask(self, now: float) -> None:
        """The truth is with the server: what it pushed may have got lost."""
        self._silence.expect()
        if not self._welcomed:
            self._greet(now)
        elif not self._outbox and self._unsent is None:
            if self.following:
                self._ask_list()
                self._outbox += self.following.questions(now, _QUESTIONS, self._uploads.jobs())
            else:
                self.owed.add(Ping())

    def _ask_list(self) -> None:
        if self._own_list is None and self._seq is not None:
            self._own_list = List(self._seq)
            self.owed.add(self._own_list)

    def _forget_own_list(self) -> None:
        if self._own_list is not None:
            self.owed.drop(self._own_list)
            self._own_list = None

    def _send_due(self, deadline: float) -> None:
        while self._channel.up:
            if self._unsent is None and self._welcomed:
                self._unsent = self._next_message()
            if self._unsent is None or not self._channel.send(self._unsent):
                return
            self._unsent = None
            # A word of a few bytes more is better than one that comes a tick later.
            if time.monotonic() >= deadline and not self._uploads.about_to_submit:
                return

    def _next_message(self) -> list[bytes] | None:
        due = self.owed.next(time.monotonic())
        if due is None and self._outbox:
            due = self._outbox.popleft()
        if due is not None:
            return encode(due)
        piece = self._uploads.next()
        if piece is not None:
            return encode(*piece)
        due = self.downloads.next()
        return encode(due) if due is not None else None

    # --- what came -----------------------------------------------------------------------------------

    def _understood(self, frames: list[Blob]) -> Events:
        self._silence.heard()
        try:
            message, blob = decode(frames)
        except LinkError as error:
            _log.warning("dropped a message: %s", error)
            return []
        match message:
            case Welcome():
                self._resume(message)
            case BlobState():
                self._uploads.answered(message)
                return []
            case Chunk():
                self.downloads.take(message, blob)
                return []
            case Preview():
                return [message] if message.job in self.following else []
            case Refused():
                return self._refused(message)
            case Listing():
                return self._listing(message)
            case AcceptedMany():
                submission = self._uploads.settle(message.batch)
                accepted = [Accepted(job) for job in (submission.jobs if submission is not None else ())]
                return [message, *(event for each in accepted for event in self._job_event(each))]
        if isinstance(message, JobEvent):
            return self._job_event(message)
        if isinstance(message, Answer):
            self.owed.answered(message)
            return [message]
        return []

    def _resume(self, welcome: Welcome) -> None:
        """The handshake is done: tell this server what no server has answered."""
        now = time.monotonic()
        if self._seq is None or welcome.seq < self._seq:
            self._seq = welcome.seq
        self.welcome, self._welcomed = welcome, True
        self._forget_own_list()
        self._uploads.restart()
        self.downloads.restart()
        self.owed.restart()
        if self.following:
            asked = {command.job for command in self._outbox if isinstance(command, Status)}
            left_out = {*self._uploads.jobs(), *asked}
            self._outbox += self.following.questions(now, _QUESTIONS_AT_ONCE, left_out)
            self._ask_list()

    def _job_event(self, event: JobEvent) -> Events:
        was_waited_for = self._uploads.settle(event.job) is not None
        if event.job in self.downloads:
            self.downloads.begin(event)
        if not self.following.news(event, time.monotonic()):
            return []
        if was_waited_for and self.following.is_cancelling(event.job):
            self.say(self.following.question(event.job))
        return [event]

    def _listing(self, listing: Listing) -> Events:
        if self.owed.answered(listing) is not self._own_list or self._own_list is None:
            return [listing]
        self._own_list = None
        self._seq = max(self._seq or 0, listing.seq)
        for item in listing.jobs:
            if item.job in self.following and item.state in ("done", "failed", "cancelled"):
                self._outbox.append(Status(item.job))
        if listing.more:
            self._ask_list()
        return []

    def _refused(self, refused: Refused) -> Events:
        subject = refused.job
        if not subject:
            if refused.code in (ErrorCode.BACKEND_INCOMPATIBLE, ErrorCode.BACKEND_REFUSED):
                self.failure = refused.failure
                return []
            _log.warning("the server refused a message: %s", refused.failure)
        self.owed.refused(subject)
        if is_sha256(subject):
            return [event for key in self._uploads.users(subject) for event in self._not_taken(key, refused)]
        if self._uploads.get(subject) is not None:
            again = refused.code == ErrorCode.PHOTO_MISSING and self._uploads.put_again(subject)
            return [] if again else self._not_taken(subject, refused)
        if refused.code == ErrorCode.PHOTO_MISSING and subject not in self.following:
            # The job followed a photo that was refused, and has ended with it.
            return []
        self.downloads.fail(subject, refused.failure)
        ends = refused.code == ErrorCode.JOB_UNKNOWN or self.following.is_unanswered_retry(subject)
        if ends:
            self.following.end(subject)
        return [refused]

    def _not_taken(self, key: str, refused: Refused) -> Events:
        submission = self._uploads.settle(key)
        jobs = [job for job in (submission.jobs if submission is not None else ()) if self.following.end(job)]
        return [Refused(refused.code, refused.message, refused.hint, job) for job in jobs]

    def _fail_all(self, failure: Failure) -> Events:
        self._uploads.clear()
        for job in self.downloads.jobs():
            self.downloads.fail(job, failure)
        failed: Events = [Failed(job, failure.code, failure.message, failure.hint) for job in self.following.end_all()]
        return failed + self.downloads.outcomes()


def _newer(connection: Connection) -> Connection | None:
    """The server that runs now in the state folder that this connection is from, where it is another one."""
    if connection.source is None:
        return None
    try:
        found = read_connection(connection.source.parent)
    except UVMapError:
        return None
    return found if found.boot != connection.boot else None
