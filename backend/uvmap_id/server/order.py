"""The order of the queue: who is next, and where a job is put in it."""

from __future__ import annotations

import sqlite3

from .ledger import Ledger

_NEXT_IN_QUEUE = """
    WITH top AS (
        SELECT priority FROM job INDEXED BY job_in_queue WHERE state = 'queued' ORDER BY priority DESC LIMIT 1
    ), heads AS (
        SELECT number, owner, session, min(place) AS place
        FROM job INDEXED BY job_in_queue WHERE state = 'queued' AND priority = (SELECT priority FROM top)
        GROUP BY owner, session
    )
    SELECT number FROM heads
    ORDER BY
        (SELECT coalesce(max(served), 0) FROM turn WHERE turn.owner = heads.owner),
        (SELECT coalesce(max(served), 0) FROM turn WHERE turn.owner = heads.owner AND turn.session = heads.session),
        place
    LIMIT 1
"""

_RENUMBER = """
    UPDATE job SET place = fresh.place
    FROM (SELECT number, row_number() OVER (ORDER BY place) AS place FROM job WHERE state = 'queued') AS fresh
    WHERE job.number = fresh.number
"""


def next_in_queue(ledger: Ledger) -> sqlite3.Row | None:
    """The job whose turn it is.

    The highest priority goes first, then the owner and among its sessions the one that were served longest ago, then
    the place. So neither many jobs nor many sessions are of advantage.
    """
    found = ledger.read(_NEXT_IN_QUEUE)
    return ledger.jobs("number = ?", found[0][0])[0] if found else None


def note_turn(ledger: Ledger, row: sqlite3.Row) -> None:
    """A job's owner and session have had their turn."""
    ledger.execute(
        "INSERT INTO turn SELECT ?, ?, value FROM meta WHERE name = 'seq'"
        " ON CONFLICT DO UPDATE SET served = excluded.served",
        *(row["owner"], row["session"]),
    )


def forget_turns(ledger: Ledger) -> None:
    """Forget the turns of those who have no open jobs."""
    ledger.execute(
        "DELETE FROM turn WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.owner = turn.owner"
        " AND job.session = turn.session AND job.state IN ('queued', 'running'))"
    )


def first_place(ledger: Ledger) -> float:
    """A place before all others."""
    return _edge(ledger, "min") - 1.0


def last_place(ledger: Ledger) -> float:
    """A place after all others."""
    return _edge(ledger, "max") + 1.0


def place_before(ledger: Ledger, row: sqlite3.Row) -> float:
    """A place just before a queued job's."""
    place = ledger.jobs("number = ?", row["number"])[0]["place"]
    ahead = ledger.read(
        "SELECT max(place) FROM job INDEXED BY job_by_place WHERE state = 'queued' AND place < ?", place
    )[0][0]
    if ahead is None:
        return place - 1.0
    between = (ahead + place) / 2
    if ahead < between < place:
        return between
    # The places have come too near to each other.
    ledger.execute(_RENUMBER)
    return place_before(ledger, row)


def _edge(ledger: Ledger, which: str) -> float:
    sql = f"SELECT {which}(place) FROM job INDEXED BY job_by_place WHERE state = 'queued'"  # noqa: S608
    return ledger.read(sql)[0][0] or 0.0
