"""Every word that client and server exchange. `link.wire` writes and reads them.

A job ends for good in exactly one of `Done`, `Failed` and `Cancelled`. Pushed messages may get lost: `Status` and
`List` tell how things stand.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Any

from .errors import Failure
from .request import TextureRequest

PROTOCOL = 3
OLDEST_PROTOCOL = 3
HEADER_LIMIT = 64 * 1024
FRAME_LIMIT = 1024 * 1024
PHOTO_LIMIT = 64 * 1024 * 1024
# Photos and embeddings of one job together.
JOB_PHOTOS_LIMIT = 128 * 1024 * 1024
# Chunks that may be on their way at once, in either direction.
CREDIT = 8
LIST_LIMIT = 32
BATCH_LIMIT = 500
# Its base64 has to fit into a header, with room to spare.
PREVIEW_LIMIT = 40 * 1024
# Of a dead worker's last lines; they have to fit into a header together with the rest.
LOG_LIMIT = 24 * 1024

_JOB_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


# --- from the client ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of a connection. Answered by `Welcome`, or by `Refused` where no protocol is common to both.

    `lowest` to `protocol` are the protocols that the client speaks; one of version 2 does not send `lowest`.
    """

    protocol: int
    client: str
    lowest: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True)
class PutBlob:
    """A piece of a file that a later `Submit` names by its hash; its blob goes to `offset` of `size` bytes.

    Answered by `BlobState`. Without a blob it only asks how much of the file the server has.
    """

    sha256: str
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class Submit:
    """A new job. Sending it twice is harmless: the id is the client's own.

    The files of `request.face_sha256` and `request.more_faces` must have been put before; otherwise it is refused
    with `photo_missing`. Jobs of a higher priority run first. `session` is the client's own word for those of its
    jobs that belong together, such as one window's.
    """

    job: str
    request: TextureRequest
    priority: int = 0
    session: str = ""


@dataclass(frozen=True, slots=True)
class SubmitMany:
    """Several jobs, all of them or none. Its blob is a JSON array of at most `BATCH_LIMIT` fields of `Submit`.

    Answered by `AcceptedMany`, or by `Refused` with `batch` as its job. Each job then ends on its own.
    """

    batch: str


@dataclass(frozen=True, slots=True)
class Status:
    """Ask for the newest event of a job; answered by that event, or by `Refused` (job_unknown)."""

    job: str


@dataclass(frozen=True, slots=True)
class List:
    """Ask for the owner's jobs that changed after `since`; answered by `Listing`. An empty session means all."""

    since: int
    session: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """End a job early. Answered by the event that ended it, whichever came first."""

    job: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Do an ended job that has not been acknowledged once more, as a new job. Answered like `Submit`."""

    job: str
    new_job: str


@dataclass(frozen=True, slots=True)
class Move:
    """Change a queued job's turn: before another queued job, or where `before` is empty to a new priority.

    Answered by `Moved`.
    """

    job: str
    priority: int = 0
    before: str = ""


@dataclass(frozen=True, slots=True)
class GetChunk:
    """Ask for the piece of a finished job's file that begins at `offset`; answered by `Chunk`."""

    job: str
    file: str
    offset: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The client has what it needs of an ended job: the server forgets photos and prompt, and may remove the maps.

    Answered by `Acknowledged`.
    """

    job: str


@dataclass(frozen=True, slots=True)
class Purge:
    """Forget ended jobs with all that belongs to them; all of the owner's where none is named. Others stay as they are.

    Answered by `Purged`.
    """

    jobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pause:
    """Begin no more jobs; those that run go on. Answered by `Pong`."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Begin jobs again, whatever the pause was for. Answered by `Pong`."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Is the server serving? Answered by `Pong`."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the server and its workers. Jobs that have not ended go on when a server starts again."""


# --- from the server ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Welcome:
    """The handshake's answer: who serves here. `boot` changes with every start of the server.

    `protocol` is the one to speak: the highest that both know. `seq` is the number of the newest change of a job, for
    `List`: whatever changes from now on has a higher one.
    """

    protocol: int
    version: str
    boot: str
    workers: int = 1
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Pong:
    """How the queue is. `paused` is empty or says why: user, disk_full, worker_crash_loop."""

    boot: str = ""
    paused: str = ""
    queued: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A message was not acted on. `job` is empty unless it was about one; for `PutBlob` it is the file's hash."""

    code: str
    message: str
    hint: str = ""
    job: str = ""

    @property
    def failure(self) -> Failure:
        """The reason as a value."""
        return Failure(self.code, self.message, self.hint)


@dataclass(frozen=True, slots=True)
class BlobState:
    """How many bytes of a file the server has, from its beginning."""

    sha256: str
    received: int


@dataclass(frozen=True, slots=True)
class AcceptedMany:
    """All jobs of a batch are in the queue."""

    batch: str
    jobs: int


@dataclass(frozen=True, slots=True)
class JobItem:
    """One line of a `Listing`.

    Attributes:
        job: Its id.
        state: queued, running, done, failed or cancelled.
        seq: The number of its last change; grows over all jobs.
        session: From `Submit`.
        priority: From `Submit` or `Move`.
        created: Seconds since 1970, as the server's clock has it, for people.
        ended: The same; 0 while it has not ended.
        stage: What the engine does at the moment, while it runs.
        fraction: How far it is.
        code: Why it failed, and empty otherwise; as in `Failed`, cut off where it is long.
        message: See `code`.
        hint: See `code`.
        acknowledged: The client has what it needs.
    """

    job: str
    state: str
    seq: int
    session: str = ""
    priority: int = 0
    created: float = 0.0
    ended: float = 0.0
    stage: str = ""
    fraction: float = 0.0
    code: str = ""
    message: str = ""
    hint: str = ""
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """The jobs that changed, in the order of their last change, at most `LIST_LIMIT`.

    Ask again with `seq`; `more` tells that there is more already.
    """

    jobs: tuple[JobItem, ...]
    seq: int
    more: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """The job has its new turn."""

    job: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a finished job's file, as the message's blob. `size` and `sha256` are the whole file's."""

    job: str
    file: str
    offset: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The job's photos and prompt are gone."""

    job: str


@dataclass(frozen=True, slots=True)
class Purged:
    """How many jobs were forgotten."""

    jobs: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job is in the queue and will end in exactly one of `Done`, `Failed`, `Cancelled`."""

    job: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: 0 <= fraction <= 1, backwards only where it had to begin anew. May be dropped on the way."""

    job: str
    stage: str
    fraction: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What a job's texture looks like so far: a small PNG in base64. No state of the job, and may be dropped."""

    job: str
    png: str

    @property
    def picture(self) -> bytes:
        """The PNG's file; empty where the text is no base64."""
        try:
            return base64.b64decode(self.png, validate=True)
        except ValueError:
            return b""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file of a finished texture set."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Done:
    """The job's texture set lies complete in `folder` on the server's machine; elsewhere it is had by `GetChunk`."""

    job: str
    folder: str
    manifest: dict[str, Any] = field(default_factory=dict)
    files: tuple[ResultFile, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for a person, such as what was not understood in the prompt."""
        found = self.manifest.get("warnings")
        return tuple(map(str, found)) if isinstance(found, list) else ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The job failed; nothing of it was left behind. `log` holds the last lines of a worker that died."""

    job: str
    code: str
    message: str
    hint: str = ""
    log: str = ""

    @property
    def failure(self) -> Failure:
        """The reason as a value."""
        return Failure(self.code, self.message, self.hint)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The job was cancelled; nothing of it was left behind."""

    job: str


Command = (
    Hello
    | PutBlob
    | Submit
    | SubmitMany
    | Status
    | List
    | Cancel
    | Retry
    | Move
    | GetChunk
    | Acknowledge
    | Purge
    | Pause
    | Resume
    | Ping
    | Shutdown
)
JobEvent = Accepted | Progress | Done | Failed | Cancelled
Answer = (
    Welcome | Pong | Refused | BlobState | AcceptedMany | Listing | Moved | Chunk | Acknowledged | Purged | Preview
) | JobEvent
Message = Command | Answer


def is_job_id(text: str) -> bool:
    """True for the 32 lower-case hex digits that a client chooses for a job."""
    return _JOB_ID.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """True for 64 lower-case hex digits."""
    return _SHA256.fullmatch(text) is not None
