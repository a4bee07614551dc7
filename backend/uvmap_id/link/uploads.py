"""Jobs on their way to the server: their files first, in chunks and at most `CREDIT` of them at once, then the job.

A server elsewhere is asked first how much it has, and gets the job when it has said that the files are complete. One
on this machine gets all of it in one go: to wait for its answers would take longer than what they may save. Should
something have got lost, it refuses the job, and then all is done as for a server elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .messages import CREDIT, BlobState, Command, PutBlob, Submit, SubmitMany

# So often are a job's files put anew when the server says that it doesn't have them.
_TRIES = 3
_STALLED_S = 10.0
# Smaller than a frame may be: while one piece is read, the next is still being encrypted.
_PIECE = 256 * 1024
_RESEND_S = 5.0


@dataclass(slots=True)
class Submission:
    """A job or a batch that the server has not answered yet.

    Attributes:
        key: The job's or the batch's id.
        command: What to send once the files are there.
        jobs: The ids of its jobs.
        files: The contents of its files, by their hashes.
        blob: What travels with the command.
    """

    key: str
    command: Submit | SubmitMany
    jobs: tuple[str, ...]
    files: Mapping[str, bytes]
    blob: bytes = b""
    tries: int = 0
    sent_at: float | None = None
    was_sent: bool = False


@dataclass(slots=True)
class _File:
    content: bytes
    # Sent without asking, and the job after it without waiting.
    unasked: bool
    users: set[str] = field(default_factory=set)
    asked: bool = False
    # None until the server has said how much it has.
    received: int | None = None
    sent: int = 0
    in_flight: int = 0

    @property
    def complete(self) -> bool:
        return self.received is not None and self.received >= len(self.content)

    @property
    def taken(self) -> bool:
        """Whether the job may follow."""
        return self.complete or (self.unasked and self.sent == len(self.content))

    def restart(self) -> None:
        self.asked, self.received, self.sent, self.in_flight = False, None, 0, 0


class Uploads:
    """Submissions in the order in which they were made, which is the order in which the server gets them."""

    def __init__(self, local: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing to send yet. `local`: whether the server is on this machine."""
        self._local = local
        self._clock = clock
        self._waiting: dict[str, Submission] = {}
        self._files: dict[str, _File] = {}
        self._heard = clock()

    def __bool__(self) -> bool:
        """True while there is a submission that the server has not answered."""
        return bool(self._waiting)

    def add(self, submission: Submission) -> None:
        """One more, after all others."""
        self._waiting[submission.key] = submission
        for sha256, content in submission.files.items():
            self._files.setdefault(sha256, _File(content, self._local)).users.add(submission.key)

    def get(self, key: str) -> Submission | None:
        """The unanswered submission of that key."""
        return self._waiting.get(key)

    def of(self, job: str) -> Submission | None:
        """The unanswered submission that a job is part of."""
        return self._waiting.get(job) or next((each for each in self._waiting.values() if job in each.jobs), None)

    def jobs(self) -> list[str]:
        """The jobs of all unanswered submissions."""
        return [job for submission in self._waiting.values() for job in submission.jobs]

    def clear(self) -> None:
        """Nothing is to be sent any more."""
        self._waiting.clear()
        self._files.clear()

    def settle(self, key: str) -> Submission | None:
        """The server has answered, or the answer is no longer wanted; its files are let go of."""
        submission = self._waiting.pop(key, None)
        for sha256 in submission.files if submission is not None else ():
            file = self._files[sha256]
            file.users.discard(key)
            if not file.users:
                del self._files[sha256]
        return submission

    def users(self, sha256: str) -> list[str]:
        """The keys of the submissions that need a file."""
        file = self._files.get(sha256)
        return sorted(file.users) if file is not None else []

    def put_again(self, key: str) -> bool:
        """The server lacks a file of this submission: begin it anew. False when that was tried often enough."""
        submission = self._waiting[key]
        submission.tries += 1
        submission.sent_at = None
        for sha256 in submission.files:
            self._files[sha256].unasked = False
            self._files[sha256].restart()
        return submission.tries < _TRIES

    def restart(self) -> None:
        """The connection is a new one: ask what the server has, and go on from there."""
        for submission in self._waiting.values():
            submission.sent_at = None
        for file in self._files.values():
            file.restart()

    def answered(self, state: BlobState) -> None:
        """The server has said how much of a file it has."""
        self._heard = self._clock()
        file = self._files.get(state.sha256)
        if file is None:
            return
        first = file.received is None
        file.received = max(0, min(state.received, len(file.content)))
        file.in_flight = max(0, file.in_flight - 1)
        # It may have had more of the file than was sent.
        file.sent = max(file.sent, file.received)
        if first or (file.in_flight == 0 and file.sent > file.received):
            # Something got lost on the way, or there is a beginning from an earlier time.
            file.sent = file.received

    @property
    def about_to_submit(self) -> bool:
        """True where a job comes next whose files have just been sent."""
        unsent = next((each for each in self._waiting.values() if each.sent_at is None), None)
        return unsent is not None and all(self._files[sha256].taken for sha256 in unsent.files)

    def next(self) -> tuple[Command, bytes] | None:
        """What is to be sent now, with its blob; None where nothing is, or an answer has to come first."""
        now = self._clock()
        for submission in self._waiting.values():
            if submission.sent_at is not None:
                if now - submission.sent_at < _RESEND_S:
                    continue
            elif (piece := self._piece(submission, now)) is not None:
                return piece
            elif not all(self._files[sha256].taken for sha256 in submission.files):
                return None
            submission.sent_at, submission.was_sent = now, True
            return submission.command, submission.blob
        return None

    def _piece(self, submission: Submission, now: float) -> tuple[PutBlob, bytes] | None:
        if now - self._heard > _STALLED_S:
            self._heard = now
            for file in self._files.values():
                file.restart()
        in_flight = sum(file.in_flight for file in self._files.values())
        for sha256 in submission.files:
            file = self._files[sha256]
            size = len(file.content)
            if not file.asked:
                file.asked, self._heard = True, now
                if not file.unasked:
                    return PutBlob(sha256, size, 0), b""
                file.received = 0
            if file.received is not None and file.sent < size and in_flight < CREDIT:
                offset = file.sent
                chunk = file.content[offset : offset + _PIECE]
                file.sent, file.in_flight = offset + len(chunk), file.in_flight + 1
                return PutBlob(sha256, size, offset), chunk
        return None
