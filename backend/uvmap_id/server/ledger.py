"""The store's rows and how they change: one transaction a change, a number for each, and what to do on a full disk."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import Cancelled, Done, Failed

from .rows import event_text, job_of, read_request
from .schema import error_kind, open_database
from .seals import KeyFile, SealError
from .space import DiskSpace
from .states import END_STATES, End, JobState, NewJob, StoredJob, canonical, check_transition, photos_of

Value = str | int | float | bytes | None
Result = TypeVar("Result")

_log = logging.getLogger(__name__)

_COLUMNS = "id, owner, session, digest, priority, place, state, seq, created, retry_of, slot, request"


class Ledger:
    """The database, the keys of what is sealed in it, and the room on their disk.

    `write` makes a change; the methods from `next_seq` on are for use inside of one.
    """

    def __init__(self, path: Path, ballast_bytes: int, floor_bytes: int, clock: Callable[[], float]) -> None:
        """Open or create everything. Raises `UVMapError`.

        Args:
            path: The database; the others lie beside it.
            ballast_bytes: See `DiskSpace`; so is `floor_bytes`.
            floor_bytes: See there.
            clock: The wall clock.
        """
        self.clock = clock
        self._path = path
        self._database, self.set_aside = open_database(path)
        try:
            slots = self._database.execute("SELECT slot FROM job WHERE slot IS NOT NULL")
            self.keys = KeyFile(path.with_name(path.name + ".keys"), [row[0] for row in slots])
        except OSError as error:
            self._database.close()
            raise disk_error(error, path) from error
        self.space = DiskSpace(path.with_name(path.name + ".ballast"), ballast_bytes, floor_bytes)
        self._needs: Counter[tuple[str, str]] | None = None
        self._forgotten: list[sqlite3.Row] = []
        self._to_shred: list[int] = []

    def close(self) -> None:
        """Close the database and the keys."""
        self._database.close()
        self.keys.close()

    # --- reading -----------------------------------------------------------------------------------------

    def read(self, sql: str, *values: Value) -> list[sqlite3.Row]:
        """The rows of a query."""
        try:
            return self._database.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def jobs(self, where: str, *values: Value) -> list[sqlite3.Row]:
        """The rows of jobs; `where` is the query's end."""
        return self.read(f"SELECT * FROM job WHERE {where}", *values)  # noqa: S608 - never a client's words

    def row(self, job: str) -> sqlite3.Row:
        """A job's row. Raises `UVMapError` (job_unknown)."""
        rows = self.jobs("id = ?", job)
        if not rows:
            raise UVMapError(ErrorCode.JOB_UNKNOWN, "The backend doesn't know this job.", "Submit it again.")
        return rows[0]

    def known(self, job: str) -> StoredJob:
        """A job that is here. Raises `UVMapError` (job_unknown)."""
        return job_of(self.row(job), self.keys)

    def meta(self, name: str) -> str | int:
        """One of the values that are kept beside the jobs."""
        return self.read("SELECT value FROM meta WHERE name = ?", name)[0][0]

    def needs(self) -> Counter[tuple[str, str]]:
        """Owners and hashes of the files that jobs may still need, and how many jobs do."""
        if self._needs is None:
            self._needs = Counter()
            for row in self.jobs("request IS NOT NULL"):
                self._needs.update(self._files(row))
        return self._needs

    # --- changing ----------------------------------------------------------------------------------------

    def write(self, change: Callable[[], Result], essential: bool = True) -> Result:
        """Make a change in one transaction, which is on the disk when this returns.

        Args:
            change: Does it; may be called twice.
            essential: Throw off the ballast for it where the disk is full.

        Raises:
            UVMapError: `disk_full`, or `output_not_writable` for other troubles with the disk.
        """
        try:
            return self._attempt(change)
        except sqlite3.Error as error:
            if not (essential and self._is_full(error) and self.space.throw_ballast()):
                raise self._trouble(error) from error
            self.space.found_full()
        try:
            return self._attempt(change)
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def insert(self, jobs: Sequence[tuple[NewJob, str]], place: float) -> None:
        """Accept jobs that are not here yet, each with its digest, at `place` and after it. Raises `UVMapError`."""
        try:
            slots = self.keys.take(len(jobs))
        except OSError as error:
            raise disk_error(error, self._path) from error
        try:
            self.write(lambda: self._insert(jobs, slots, place), essential=False)
        except UVMapError:
            with contextlib.suppress(OSError):
                self.keys.forget(slots)
            raise
        if self._needs is not None:
            for job, _digest in jobs:
                self._needs.update((job.owner, photo) for photo in photos_of(job.request))

    def scrub(self) -> None:
        """Carry the log over into the database and empty it."""
        self.read("PRAGMA wal_checkpoint(TRUNCATE)")

    # --- inside of a change ------------------------------------------------------------------------------

    def set_meta(self, name: str, value: str) -> None:
        """Change one of the values that are kept beside the jobs."""
        self._database.execute("UPDATE meta SET value = ? WHERE name = ?", (value, name))

    def next_seq(self) -> int:
        """The number of the next change."""
        return self._database.execute(
            "UPDATE meta SET value = value + 1 WHERE name = 'seq' RETURNING value"
        ).fetchone()[0]

    def update(self, row: sqlite3.Row, **columns: Value) -> None:
        """Change columns of a job, which counts as a change that clients see."""
        columns["seq"] = self.next_seq()
        names = ", ".join(f"{name} = ?" for name in columns)
        self._database.execute(f"UPDATE job SET {names} WHERE number = ?", (*columns.values(), row["number"]))  # noqa: S608

    def execute(self, sql: str, *values: Value) -> None:
        """Any other change."""
        self._database.execute(sql, values)

    def end(self, row: sqlite3.Row, event: End, **columns: Value) -> None:
        """End a job. Raises `TransitionError` where `TRANSITIONS` doesn't allow it."""
        state = END_STATES[type(event)]
        check_transition(row["id"], JobState(row["state"]), state)
        columns |= {"state": state.value, "ended": self.clock()}
        if isinstance(event, Failed):
            columns["code"] = event.code
        if isinstance(event, Done):
            columns["result_bytes"] = sum(file.size for file in event.files)
        if not isinstance(event, Cancelled) and row["slot"] is not None:
            with contextlib.suppress(SealError):
                columns["event"] = self.keys.seal(row["slot"], event_text(event))
        self.update(row, **columns)
        if isinstance(event, Cancelled):
            self.forget(row)

    def forget(self, row: sqlite3.Row) -> None:
        """Make what a job says of a person unreadable for good, as soon as the transaction is over."""
        self._database.execute(
            "UPDATE job SET slot = NULL, request = NULL, event = NULL WHERE number = ?", (row["number"],)
        )
        self._forgotten.append(row)

    def _attempt(self, change: Callable[[], Result]) -> Result:
        self._forgotten.clear()
        with self._transaction():
            result = change()
        self._shred()
        return result

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        finally:
            # SQLite itself rolls back after some errors, and not after others.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    def _shred(self) -> None:
        """Only now: until the transaction is over, the rows may come back."""
        if self._needs is not None:
            for row in self._forgotten:
                self._needs -= Counter(self._files(row))
        self._to_shred += [row["slot"] for row in self._forgotten if row["slot"] is not None]
        self._forgotten.clear()
        try:
            self.keys.forget(self._to_shred)
        except OSError as error:
            # The change itself is written. This is tried again with the next one, and when the store is opened.
            _log.error("%d keys can't be overwritten: %s", len(self._to_shred), error.strerror)
        else:
            self._to_shred.clear()

    def _insert(self, jobs: Sequence[tuple[NewJob, str]], slots: Sequence[int], place: float) -> None:
        now = self.clock()
        for number, ((job, digest), slot) in enumerate(zip(jobs, slots, strict=True)):
            sealed = self.keys.seal(slot, canonical(job.request))
            self._database.execute(
                f"INSERT INTO job ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?)",  # noqa: S608
                (
                    *(job.id, job.owner, job.session, digest, job.priority, place + number, self.next_seq()),
                    *(now, job.retry_of, slot, sealed),
                ),
            )

    def _files(self, row: sqlite3.Row) -> list[tuple[str, str]]:
        request = read_request(row, self.keys)
        return [] if request is None else [(row["owner"], photo) for photo in photos_of(request)]

    def _is_full(self, error: sqlite3.Error) -> bool:
        # Growing the shared memory of the log fails as an I/O error.
        kind = error_kind(error)
        return kind == sqlite3.SQLITE_FULL or (kind == sqlite3.SQLITE_IOERR and self.space.free_bytes < 2**20)

    def _trouble(self, error: sqlite3.Error) -> UVMapError:
        if self._is_full(error):
            self.space.found_full()
            return UVMapError(
                ErrorCode.DISK_FULL, f"The disk that holds {self._path} is full.", "Free some space and try again."
            )
        return UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"The list of jobs, {self._path}, can't be read or written: {error}.",
            "See that the disk is well and the folder can be written, then start the backend again.",
        )
