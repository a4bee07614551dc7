"""How long things are kept. What says something of a person goes as soon as nobody needs it any more.

Always the row first, the files after it: whatever dies in between, `start` finds files that nothing needs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from uvmap_id.link.errors import ErrorCode, UVMapError

from .results import Results
from .staging import Staging
from .states import JobState, StoredJob
from .store import Store

_DAY_S = 86400.0
_GB = 1e9

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetentionOptions:
    """How long what is kept.

    Attributes:
        keep_days: An acknowledged result stays so long; with 0 it goes at once. One that was not acknowledged stays.
        keep_gb: Acknowledged results go earlier, the oldest first, where all results together are larger.
        job_days: An acknowledged job itself is listed so long.
        stray_days: Results of no known job, such as those of a list of jobs that was set aside, stay so long.
    """

    keep_days: float = 0.0
    keep_gb: float | None = None
    job_days: float = 30.0
    stray_days: float = 7.0


class Retention:
    """Removes what is not needed any more, and nothing that was not delivered."""

    def __init__(
        self,
        store: Store,
        results: Results,
        staging: Staging,
        options: RetentionOptions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is removed yet; `clock` is the wall clock."""
        self._store = store
        self._results = results
        self._staging = staging
        self._options = options
        self._clock = clock

    def start(self) -> None:
        """To be called once after `Store.recover`: remove what an earlier server was about to."""
        self._remove_strays(self._clock() - self._options.stray_days * _DAY_S)
        self.sweep()

    def check_room(self) -> None:
        """Raise `UVMapError` (disk_full) where the disk is too full for new jobs."""
        if self._store.watch_space():
            raise UVMapError(
                ErrorCode.DISK_FULL,
                "The disk that the backend keeps its jobs on is as good as full.",
                "Free some space; the queue goes on by itself then.",
            )

    def acknowledge(self, job: str) -> StoredJob:
        """The client has what it needs: forget all that the job says of a person. Raises as `Store.acknowledge`."""
        ended = self._store.acknowledge(job)
        self.sweep()
        return ended

    def cancelled(self) -> None:
        """A job was cancelled: its photos go."""
        self._staging.sweep(self._store.references())

    def purge(self, owner: str | None, jobs: Sequence[str] | None = None) -> list[StoredJob]:
        """Forget ended jobs with all that belongs to them, now.

        Args:
            owner: Whose; None for everybody's.
            jobs: Which. With None all of them, together with photos that no job names; and where the owner is None
                or the only one, also what belongs to nobody: strays, and lists of jobs that were set aside.

        Returns:
            The jobs as they were.
        """
        gone = self._store.purge(owner, jobs)
        for job in gone:
            self._results.remove(job.id)
        needed = self._store.references()
        if jobs is not None:
            self._staging.sweep(needed)
            return gone
        self._staging.purge(owner, needed)
        if owner is None or self._store.owners() <= {owner}:
            self._remove_strays(math.inf)
            self._store.forget_set_aside()
        return gone

    def sweep(self) -> None:
        """Remove what has been kept long enough; cheap enough to be called after each acknowledgement."""
        self._staging.sweep(self._store.references())
        for job in self._results_to_remove():
            self._results.remove(job)
            self._store.result_removed(job)
        old = self._store.acknowledged_before(self._clock() - self._options.job_days * _DAY_S)
        if old:
            self._store.purge(None, old)

    def _results_to_remove(self) -> list[str]:
        now = self._clock()
        records = self._store.results()
        limit = self._options.keep_gb
        over = 0.0 if limit is None else self._store.result_bytes() - limit * _GB
        chosen = []
        for record in records:
            # A clock that was set back must not keep things for ever.
            age_s = abs(now - (record.acknowledged_at or now))
            if age_s < self._options.keep_days * _DAY_S and over <= 0:
                continue
            over -= record.size
            chosen.append(record.job)
        return chosen

    def _remove_strays(self, before: float) -> None:
        """Remove results of jobs that aren't done, and those of unknown jobs that were made before a moment."""
        for job, made in self._results.jobs().items():
            known = self._store.get(job)
            if known is None and made > before:
                continue
            if known is None or known.state is not JobState.DONE:
                _log.info("removing a result that belongs to no job that is done: %s", job)
                self._results.remove(job)
