"""The jobs of all clients, on the disk: whatever dies, an accepted job is neither lost nor done twice."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from uvmap_id.link.disk import remove
from uvmap_id.link.errors import ErrorCode, Failure, UVMapError
from uvmap_id.link.messages import Cancelled, Done, Failed

from .admission import check_room, not_here_yet
from .ledger import Ledger
from .order import first_place, forget_turns, last_place, next_in_queue, note_turn, place_before
from .rows import job_of
from .schema import set_aside_files
from .states import (
    DEATHS_LIMIT,
    PAUSED_BY_CRASHES,
    PAUSED_BY_DISK,
    PAUSED_BY_USER,
    Counts,
    End,
    JobState,
    NewJob,
    ResultRecord,
    StoredJob,
    StoreOptions,
    check_transition,
)

__all__ = [
    "PAUSED_BY_CRASHES",
    "PAUSED_BY_DISK",
    "PAUSED_BY_USER",
    "NewJob",
    "ResultRecord",
    "Store",
    "StoreOptions",
    "StoredJob",
]

_UNREADABLE = ("The job's request could not be read any more, because a file was damaged.", "Submit the job again.")


class Store:
    """The one writer of the database. Every change is on the disk when the method that makes it returns.

    All methods raise `UVMapError`: `disk_full` where the disk is, `output_not_writable` for other troubles with it,
    `job_unknown` for a job that is not here.
    """

    def __init__(
        self,
        path: Path,
        options: StoreOptions | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or create the database; one that can't be used is renamed and named in `set_aside`.

        Args:
            path: The database. Its companions lie beside it.
            options: Limits; the defaults unless told.
            clock: The wall clock.
        """
        self._path = path
        self._options = options = options or StoreOptions()
        self._ledger = Ledger(path, options.ballast_bytes, options.floor_bytes, clock)
        aside = self._ledger.set_aside
        self.set_aside = aside.path if aside else None
        self.set_aside_reason = aside.reason if aside else ""

    def close(self) -> None:
        """Close the database."""
        self._ledger.close()

    # --- the queue as a whole ----------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """The number of the newest change."""
        return int(self._ledger.meta("seq"))

    @property
    def paused(self) -> str:
        """Why no job is begun: "user", "worker_crash_loop", "disk_full", or "" where jobs are."""
        return str(self._ledger.meta("paused")) or (PAUSED_BY_DISK if self._ledger.space.full else "")

    def set_paused(self, why: str) -> None:
        """Begin no more jobs, or begin them again where `why` is empty.

        A pause by the user outlives the server, and nothing but the user ends it. One by a full disk ends by itself
        with `watch_space`.
        """
        if why == PAUSED_BY_DISK:
            self._ledger.space.found_full()
            return
        if why == PAUSED_BY_CRASHES and self.paused == PAUSED_BY_USER:
            return
        self._ledger.write(lambda: self._ledger.set_meta("paused", why))

    def watch_space(self) -> bool:
        """See how full the disk is; to be called every few seconds. Returns whether it is full."""
        return self._ledger.space.look()

    def recover(self, finished: Callable[[str], Done | None] = lambda _job: None) -> list[StoredJob]:
        """Bring order into what an earlier server left: no worker has any of the running jobs now.

        Args:
            finished: Tells of a job whose result was complete when the server died, and None of another.

        Returns:
            What changed.
        """

        def change() -> list[str]:
            if self._ledger.meta("paused") == PAUSED_BY_CRASHES:
                self._ledger.set_meta("paused", "")
            rows = self._ledger.jobs("state = 'running' ORDER BY place DESC, number DESC")
            for row in rows:
                self._recover_row(row, finished)
            forget_turns(self._ledger)
            return [row["id"] for row in rows]

        return [self._ledger.known(job) for job in self._ledger.write(change)]

    def counts(self, owner: str | None = None) -> Counts:
        """How many jobs are in each state, of one owner or of all."""
        where, values = ("WHERE owner = ?", (owner,)) if owner is not None else ("", ())
        rows = self._ledger.read(f"SELECT state, count(*) FROM job {where} GROUP BY state", *values)  # noqa: S608
        return Counts(**{row[0]: row[1] for row in rows})

    # --- one job -----------------------------------------------------------------------------------------

    def add(self, jobs: Sequence[NewJob]) -> list[StoredJob]:
        """Accept jobs, all or none. One that is here already is left as it is.

        Raises:
            UVMapError: `job_id_conflict`: the id is that of another request or owner. `queue_full`. `disk_full`.
        """
        new = not_here_yet(self._ledger, jobs)
        if new:
            check_room(self._ledger, (job.owner for job, _digest in new), self._options.queue_limit)
            self._ledger.insert(new, last_place(self._ledger))
        return [self._ledger.known(job.id) for job in jobs]

    def get(self, job: str, owner: str | None = None) -> StoredJob | None:
        """The job of that name; None where there is none, or it is another owner's."""
        rows = self._ledger.jobs("id = ?", job)
        if not rows or owner not in (None, rows[0]["owner"]):
            return None
        return job_of(rows[0], self._ledger.keys)

    def list(
        self, owner: str, since: int = 0, limit: int = 200, session: str | None = None
    ) -> tuple[list[StoredJob], int]:
        """An owner's jobs that changed after `since`, in the order of their last change, and where to go on.

        A `since` from the future is that of a database that was lost, and all jobs are told.
        """
        newest = self.seq
        after = since if since <= newest else 0
        values = (owner, after) if session is None else (owner, after, session)
        rows = self._ledger.jobs(
            f"owner = ? AND seq > ? {'' if session is None else 'AND session = ?'} ORDER BY seq LIMIT {int(limit)}",
            *values,
        )
        return [job_of(row, self._ledger.keys) for row in rows], rows[-1]["seq"] if len(rows) == limit else newest

    def claim(self) -> StoredJob | None:
        """The job whose turn it is, now running; None where none waits or the queue is paused.

        The highest priority goes first, then the owner and the session that were served longest ago, then the order
        of the queue.
        """
        while not self.paused:
            try:
                job = self._ledger.write(self._claim, essential=False)
            except UVMapError as error:
                if error.failure.code == ErrorCode.DISK_FULL:
                    return None
                raise
            if job is None or job.request is not None:
                return job
            self.end(job.id, Failed(job.id, ErrorCode.INTERNAL.value, *_UNREADABLE))
        return None

    def ask_cancel(self, job: str) -> StoredJob:
        """End a queued job at once; note for a running one that it is to end; leave one that has ended."""

        def change() -> None:
            row = self._ledger.row(job)
            if row["state"] == JobState.QUEUED:
                self._ledger.end(row, Cancelled(job))
            elif row["state"] == JobState.RUNNING and not row["cancel_asked"]:
                self._ledger.update(row, cancel_asked=1)

        self._ledger.write(change)
        return self._ledger.known(job)

    def requeue(self, job: str, death: Failure | None, log: str = "") -> StoredJob:
        """A running job goes back to the front of the queue, because its worker is gone; or ends if it was asked to.

        Args:
            job: Its id.
            death: How the worker died, where the job may be to blame. The third such death ends the job.
            log: The last lines that the worker wrote.
        """

        def change() -> None:
            row = self._ledger.row(job)
            check_transition(job, JobState(row["state"]), JobState.QUEUED)
            deaths = row["deaths"] + (death is not None)
            if row["cancel_asked"]:
                self._ledger.end(row, Cancelled(job))
            elif death is not None and deaths >= DEATHS_LIMIT:
                self._ledger.end(row, _poisonous(job, deaths, death, log), deaths=deaths)
            else:
                self._requeue(row, deaths)

        self._ledger.write(change)
        return self._ledger.known(job)

    def end(self, job: str, event: End) -> StoredJob:
        """A job ends; what was asked to end and then failed counts as cancelled.

        Raises:
            TransitionError: It has ended before, or a job that waits was said to be done.
        """

        def change() -> None:
            row = self._ledger.row(job)
            asked = row["cancel_asked"] and isinstance(event, Failed)
            self._ledger.end(row, Cancelled(job) if asked else event)

        self._ledger.write(change)
        return self._ledger.known(job)

    def move(self, job: str, priority: int | None = None, before: str | None = None) -> StoredJob:
        """Change a queued job's turn: its priority, or to the place before another queued job and with its priority.

        Raises:
            UVMapError: `job_state_wrong`: one of the jobs does not wait.
        """

        def change() -> None:
            row = self._queued(job)
            if before is None:
                self._ledger.update(row, priority=row["priority"] if priority is None else priority)
            elif before != job:
                other = self._queued(before)
                self._ledger.update(row, priority=other["priority"], place=place_before(self._ledger, other))

        self._ledger.write(change)
        return self._ledger.known(job)

    # --- after the end -----------------------------------------------------------------------------------

    def acknowledge(self, job: str) -> StoredJob:
        """The client has what it needs of an ended job: prompt, manifest and messages are forgotten for good.

        Raises:
            UVMapError: `job_state_wrong`: it has not ended.
        """

        def change() -> None:
            row = self._ledger.row(job)
            if not JobState(row["state"]).ended:
                raise UVMapError(
                    ErrorCode.JOB_STATE_WRONG, "The job has not ended yet.", "Wait for its end, or cancel it first."
                )
            if not row["acknowledged"]:
                self._ledger.update(row, acknowledged=1, acknowledged_at=self._ledger.clock())
                self._ledger.forget(row)

        self._ledger.write(change)
        return self._ledger.known(job)

    def purge(self, owner: str | None, jobs: Sequence[str] | None = None) -> list[StoredJob]:
        """Forget ended jobs wholly, so that not even their ids are known any more. Others stay as they are.

        Args:
            owner: Whose; None for everybody's.
            jobs: Which; None for all.

        Returns:
            The jobs as they were.
        """

        def change() -> list[sqlite3.Row]:
            rows = self._ended_rows(owner, jobs)
            for row in rows:
                self._ledger.forget(row)
                self._ledger.execute("DELETE FROM job WHERE number = ?", row["number"])
            return rows

        gone = [job_of(row, self._ledger.keys) for row in self._ended_rows(owner, jobs)]
        self._ledger.write(change)
        self._ledger.scrub()
        return gone

    def owners(self) -> set[str]:
        """Everybody who has a job here."""
        return {row[0] for row in self._ledger.read("SELECT DISTINCT owner FROM job")}

    def references(self) -> set[tuple[str, str]]:
        """Owner and hash of each staged file that a job may still need: until it is cancelled or acknowledged."""
        return set(self._ledger.needs())

    def results(self, acknowledged: bool = True) -> list[ResultRecord]:
        """Results that are kept: of acknowledged jobs, the longest acknowledged first, or of the others."""
        rows = self._ledger.read(
            "SELECT id, result_bytes, acknowledged_at FROM job INDEXED BY job_with_result"
            " WHERE result_bytes IS NOT NULL AND (acknowledged_at IS NOT NULL) = ? ORDER BY acknowledged_at",
            acknowledged,
        )
        return [ResultRecord(*row) for row in rows]

    def result_bytes(self) -> int:
        """The size of all results together."""
        sql = "SELECT coalesce(sum(result_bytes), 0) FROM job INDEXED BY job_with_result WHERE result_bytes IS NOT NULL"
        return self._ledger.read(sql)[0][0]

    def result_removed(self, job: str) -> None:
        """The result of an acknowledged job is not kept any more."""
        self._ledger.write(lambda: self._ledger.execute("UPDATE job SET result_bytes = NULL WHERE id = ?", job))

    def acknowledged_before(self, moment: float) -> list[str]:
        """Ids of the jobs that were acknowledged before a moment, in seconds since 1970, and keep no result."""
        sql = (
            "SELECT id FROM job INDEXED BY job_acknowledged"
            " WHERE acknowledged AND acknowledged_at < ? AND result_bytes IS NULL"
        )
        return [row[0] for row in self._ledger.read(sql, moment)]

    def forget_set_aside(self) -> int:
        """Delete all databases that were ever set aside, with all that is in them. Returns how many files went."""
        files = set_aside_files(self._path)
        for file in files:
            remove(file)
        return len(files)

    # --- parts of the above ------------------------------------------------------------------------------

    def _recover_row(self, row: sqlite3.Row, finished: Callable[[str], Done | None]) -> None:
        done = finished(row["id"])
        if row["cancel_asked"]:
            self._ledger.end(row, Cancelled(row["id"]))
        elif done is not None:
            self._ledger.end(row, done)
        elif row["deaths"] >= DEATHS_LIMIT:
            self._ledger.end(row, _poisonous(row["id"], row["deaths"]))
        else:
            self._requeue(row, row["deaths"])

    def _requeue(self, row: sqlite3.Row, deaths: int) -> None:
        state = JobState.QUEUED.value
        self._ledger.update(row, state=state, deaths=deaths, place=first_place(self._ledger), started=None)

    def _claim(self) -> StoredJob | None:
        row = next_in_queue(self._ledger)
        if row is None:
            return None
        self._ledger.update(row, state=JobState.RUNNING.value, started=self._ledger.clock())
        note_turn(self._ledger, row)
        return self._ledger.known(row["id"])

    def _queued(self, job: str) -> sqlite3.Row:
        row = self._ledger.row(job)
        if row["state"] != JobState.QUEUED:
            raise UVMapError(
                ErrorCode.JOB_STATE_WRONG, "The job does not wait any more.", "Only jobs that wait can be moved."
            )
        return row

    def _ended_rows(self, owner: str | None, jobs: Sequence[str] | None) -> list[sqlite3.Row]:
        whose, values = ("", ()) if owner is None else (" AND owner = ?", (owner,))
        ended = "state IN ('done', 'failed', 'cancelled')" + whose
        if jobs is None:
            return self._ledger.jobs(ended, *values)
        found = (self._ledger.jobs(f"{ended} AND id = ?", *values, job) for job in dict.fromkeys(jobs))
        return [row for rows in found for row in rows]


def _poisonous(job: str, deaths: int, death: Failure | None = None, log: str = "") -> Failed:
    last = f" The last time: {death.message}" if death else ""
    return Failed(
        job,
        ErrorCode.JOB_POISONOUS.value,
        f"The worker died {deaths} times on this job, so it is not tried again.{last}",
        "Try another photo, a smaller size or another engine, or see what the worker wrote.",
        log,
    )
