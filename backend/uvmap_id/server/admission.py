"""Whether jobs may come in: which of them are here already, and whether there is room for the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from uvmap_id.link.errors import ErrorCode, UVMapError

from .ledger import Ledger
from .states import NewJob, request_digest


def not_here_yet(ledger: Ledger, jobs: Sequence[NewJob]) -> list[tuple[NewJob, str]]:
    """The jobs that are new, each once and with the digest of its request.

    Raises:
        UVMapError: `job_id_conflict`: an id is that of another request, or of another owner's job.
    """
    new: dict[str, tuple[NewJob, str]] = {}
    for job in jobs:
        digest = request_digest(job.request)
        known = _known(ledger, new, job.id)
        if known is None:
            new[job.id] = (job, digest)
        elif known != (digest, job.owner):
            raise UVMapError(
                ErrorCode.JOB_ID_CONFLICT, "There is another job with this id.", "Submit it under a new id."
            )
    return list(new.values())


def check_room(ledger: Ledger, owners: Iterable[str], queue_limit: int) -> None:
    """Raise `UVMapError` (disk_full, queue_full) where there is no room for a job of each of these owners.

    Args:
        ledger: Where they are to go.
        owners: One for each job.
        queue_limit: So many jobs of one owner may wait.
    """
    if ledger.space.look():
        raise UVMapError(
            ErrorCode.DISK_FULL,
            "The disk that holds the list of jobs is as good as full.",
            "Free some space; the queue goes on by itself then.",
        )
    for owner, wanted in Counter(owners).items():
        waiting = ledger.read("SELECT count(*) FROM job WHERE state = 'queued' AND owner = ?", owner)[0][0]
        if waiting + wanted > queue_limit:
            raise UVMapError(
                ErrorCode.QUEUE_FULL,
                f"The queue is full: {waiting:,} jobs wait, and {queue_limit:,} may.",
                "Wait until some of them are done.",
            )


def _known(ledger: Ledger, new: dict[str, tuple[NewJob, str]], job: str) -> tuple[str, str] | None:
    """Digest and owner of a job that is here, or comes with the same batch."""
    rows = ledger.jobs("id = ?", job)
    if rows:
        return rows[0]["digest"], rows[0]["owner"]
    return (new[job][1], new[job][0].owner) if job in new else None
