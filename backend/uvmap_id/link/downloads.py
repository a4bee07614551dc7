"""Finished texture sets on their way to a folder of this machine: copied where the server runs here, else pulled.

Each file is checked against its hash, and the folder gets its name when it is complete. A server that restarts in
between is asked for the rest.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from .disk import disk_error, remove, sync_folder
from .errors import ErrorCode, Failure, UVMapError
from .messages import CREDIT, FRAME_LIMIT, Chunk, Command, Done, GetChunk, JobEvent, ResultFile, Status
from .wire import Blob

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
_FILES_LIMIT = 64
_SIZE_LIMIT = 2**30
_STALLED_S = 10.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A finished job's files lie complete in `folder` on this machine. `Client.fetch` brings it, not the server."""

    job: str
    folder: Path


@dataclass(frozen=True, slots=True)
class NotFetched:
    """A finished job's files could not be had; nothing was left behind, and the job is as it was."""

    job: str
    failure: Failure


@dataclass(slots=True)
class _Incoming:
    """One file. `asked` is how far chunks were asked for, `received` how far they came, without a gap."""

    expected: ResultFile
    path: Path
    file: IO[bytes] | None = None
    asked: int = 0
    received: int = 0
    complete: bool = False
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def open(self) -> IO[bytes]:
        if self.file is None:
            self.file = self.path.open("wb")
        return self.file

    def add(self, content: Blob) -> None:
        self.open().write(content)
        self.hash.update(content)
        self.received += len(content)

    def restart(self) -> None:
        self.close()
        self.asked, self.received, self.hash = 0, 0, hashlib.sha256()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


@dataclass(slots=True)
class _Download:
    """`source` is the server's folder while its files are copied; None where they are pulled."""

    job: str
    into: Path
    part: Path
    files: list[_Incoming] = field(default_factory=list)
    begun: bool = False
    asked: bool = False
    in_flight: int = 0
    heard: float = 0.0
    source: Path | None = None

    def close(self) -> None:
        for incoming in self.files:
            incoming.close()


class Downloads:
    """The fetches of one client. Nothing here waits: each call does one small piece of work."""

    def __init__(self, local: bool, clock: Callable[[], float] = time.monotonic) -> None:
        """`local`: whether the server's folders are on this machine."""
        self._local = local
        self._clock = clock
        self._running: dict[str, _Download] = {}
        self._outcomes: list[Fetched | NotFetched] = []

    def __bool__(self) -> bool:
        """True while a fetch has not ended."""
        return bool(self._running or self._outcomes)

    def __contains__(self, job: str) -> bool:
        """True while this job is being fetched."""
        return job in self._running

    def jobs(self) -> list[str]:
        """The jobs that are being fetched."""
        return list(self._running)

    @property
    def working(self) -> bool:
        """True while there is work that needs no word of the server."""
        return bool(self._outcomes) or any(_next_step(download) is not None for download in self._running.values())

    def add(self, job: str, into: Path) -> None:
        """Fetch a job's files.

        Raises:
            UVMapError: `output_not_writable`: the folder is there and not empty.
        """
        try:
            taken = into.exists() and any(into.iterdir())
        except OSError as error:
            raise disk_error(error, into) from error
        if taken:
            raise UVMapError(
                ErrorCode.OUTPUT_NOT_WRITABLE, f"{into} is not empty.", "Choose a folder that does not exist yet."
            )
        self.drop(job)
        self._running[job] = _Download(job, into, into.with_name(f".{into.name}.{job[:8]}.part"))

    def drop(self, job: str) -> None:
        """Fetch no more of a job, and remove what has come."""
        download = self._running.pop(job, None)
        if download is not None:
            download.close()
            remove(download.part)

    def close(self) -> None:
        """Drop everything."""
        for job in list(self._running):
            self.drop(job)

    def fail(self, job: str, failure: Failure) -> None:
        """A fetch can't succeed."""
        if job in self._running:
            self.drop(job)
            self._outcomes.append(NotFetched(job, failure))

    def restart(self) -> None:
        """The connection is a new one: ask for what is missing once more."""
        for download in self._running.values():
            _ask_again(download)

    def begin(self, done: JobEvent) -> None:
        """The newest event of a job that is to be fetched: where it is done, its files are known now."""
        download = self._running.get(done.job)
        if download is None or download.begun:
            return
        if not isinstance(done, Done):
            self.fail(done.job, _NOT_DONE)
            return
        download.begun, download.heard, download.in_flight = True, self._clock(), 0
        try:
            _check_files(done)
            remove(download.part)
            download.part.mkdir(parents=True)
        except UVMapError as error:
            self.fail(done.job, error.failure)
            return
        except OSError as error:
            self.fail(done.job, disk_error(error, download.into).failure)
            return
        download.files = [_Incoming(file, download.part / file.name) for file in done.files]
        download.source = Path(done.folder) if self._local else None

    def next(self) -> Command | None:
        """What is to be asked now; None where nothing is, or an answer has to come first."""
        now = self._clock()
        for download in self._running.values():
            if download.in_flight and now - download.heard > _STALLED_S:
                download.heard = now
                _ask_again(download)
            if not download.begun:
                if not download.asked:
                    download.asked, download.heard, download.in_flight = True, now, 1
                    return Status(download.job)
            elif download.source is None and download.in_flight < CREDIT:
                for incoming in download.files:
                    if incoming.asked < incoming.expected.size:
                        offset, download.in_flight = incoming.asked, download.in_flight + 1
                        incoming.asked = min(offset + FRAME_LIMIT, incoming.expected.size)
                        return GetChunk(download.job, incoming.expected.name, offset)
        return None

    def take(self, chunk: Chunk, content: Blob) -> None:
        """A chunk has come. One that was not asked for, or follows one that was lost, is ignored."""
        download = self._running.get(chunk.job)
        incoming = (
            next((item for item in download.files if item.expected.name == chunk.file), None) if download else None
        )
        if download is None or incoming is None or download.source is not None:
            return
        download.in_flight, download.heard = max(0, download.in_flight - 1), self._clock()
        expected = incoming.expected
        if (chunk.size, chunk.sha256) != (expected.size, expected.sha256):
            self.fail(chunk.job, _damaged(f"{expected.name} has changed on the backend's disk."))
        elif content and chunk.offset == incoming.received and chunk.offset + len(content) <= expected.size:
            self._write(download, incoming, content)
        if download.in_flight == 0:
            for item in download.files:
                item.asked = item.received

    def step(self) -> bool:
        """Do one piece of what needs no word of the server: copy, check, flush or rename. False when there is none."""
        for download in self._running.values():
            step = _next_step(download)
            if step is not None:
                try:
                    finished = step()
                except UVMapError as error:
                    self.fail(download.job, error.failure)
                except OSError as error:
                    self.fail(download.job, disk_error(error, download.into).failure)
                else:
                    if finished:
                        del self._running[download.job]
                        self._outcomes.append(Fetched(download.job, download.into))
                return True
        return False

    def outcomes(self) -> list[Fetched | NotFetched]:
        """What has ended since the last call."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def _write(self, download: _Download, incoming: _Incoming, content: Blob) -> None:
        try:
            incoming.add(content)
        except OSError as error:
            self.fail(download.job, disk_error(error, download.into).failure)


def _next_step(download: _Download) -> Callable[[], bool] | None:
    """The next piece of work on a download, which returns True when it was the last; None while chunks are awaited."""
    if not download.begun:
        return None
    for incoming in download.files:
        if incoming.complete:
            continue
        if incoming.received == incoming.expected.size:
            return lambda incoming=incoming: _complete(download, incoming)
        if download.source is not None:
            return lambda incoming=incoming: _copy(download, incoming)
    return (lambda: _publish(download)) if all(item.complete for item in download.files) else None


def _copy(download: _Download, incoming: _Incoming) -> bool:
    """Copy a piece. Where the file is not as it should be, the server is asked for it: it knows what to say."""
    content = b""
    try:
        with (download.source or Path()).joinpath(incoming.expected.name).open("rb") as file:
            file.seek(incoming.received)
            content = file.read(min(FRAME_LIMIT, incoming.expected.size - incoming.received))
    except OSError:
        pass
    if not content:
        _pull_instead(download)
    else:
        incoming.add(content)
    return False


def _complete(download: _Download, incoming: _Incoming) -> bool:
    if incoming.hash.hexdigest() != incoming.expected.sha256:
        if download.source is None:
            raise UVMapError(ErrorCode.RESULT_DAMAGED, *_WORDS_FOR_DAMAGE)
        _pull_instead(download)
        return False
    file = incoming.open()
    file.flush()
    os.fsync(file.fileno())
    incoming.close()
    incoming.complete = True
    return False


def _pull_instead(download: _Download) -> None:
    download.source, download.in_flight = None, 0
    for incoming in download.files:
        if not incoming.complete:
            incoming.restart()


def _publish(download: _Download) -> bool:
    sync_folder(download.part)
    if download.into.exists():
        download.into.rmdir()
    download.part.rename(download.into)
    sync_folder(download.into.parent)
    return True


def _ask_again(download: _Download) -> None:
    download.in_flight, download.asked = 0, False
    for incoming in download.files:
        incoming.asked = incoming.received


def _check_files(done: Done) -> None:
    """The names come from elsewhere: none of them may lead out of the folder."""
    names = [file.name for file in done.files]
    whole = 0 < len(names) <= _FILES_LIMIT and len(set(map(str.lower, names))) == len(names)
    if not whole or any(not _NAME.fullmatch(file.name) or not 0 <= file.size <= _SIZE_LIMIT for file in done.files):
        raise UVMapError(
            ErrorCode.RESULT_DAMAGED,
            "The backend's list of the texture set's files is not one.",
            "Make the texture again.",
        )


_NOT_DONE = Failure(
    ErrorCode.JOB_STATE_WRONG.value, "The job is not done, so there is nothing to fetch.", "Wait until it is done."
)
_WORDS_FOR_DAMAGE = ("The texture set's files were altered on the backend's disk.", "Make the texture again.")


def _damaged(message: str) -> Failure:
    return Failure(ErrorCode.RESULT_DAMAGED.value, message, "Make the texture again.")
