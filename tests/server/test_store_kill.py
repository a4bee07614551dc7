"""Kill -9 of a process in the middle of its work with the store: nothing is lost, nothing is done twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from store_child import AT_RANDOM, CHANCE, OPTIONS, POINTS, child

from uvmap_id.link.messages import Cancelled
from uvmap_id.server.states import JobState
from uvmap_id.server.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")

KILLS = int(os.environ.get("UVMAP_ID_KILLS", "4"))
_HANGS_S = 20.0


@dataclass
class Tally:
    """What a harness of kills has seen."""

    fired: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    lost: int = 0
    twice: int = 0
    changed: int = 0


def rehearse(folder: Path, kills: int, recovers: bool = True) -> Tally:
    """Have children use one store, kill each of them at each point, and see what has become of the jobs."""
    tally, ends = Tally(), {}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["store_child"])
    rounds = [point for point in (AT_RANDOM, *POINTS) for _ in range(kills)]
    CHANCE.shuffle(rounds)
    for point in rounds:
        process = context.Process(target=child, args=(folder, point, recovers))
        process.start()
        process.join(0.05 + CHANCE.random() * 0.2 if point == AT_RANDOM else _HANGS_S)
        if point == AT_RANDOM:
            process.kill()
            process.join()
        assert process.exitcode == -signal.SIGKILL, f"nothing was killed {point}"
        tally.fired[point] += 1
        tally.changed += changed_ends(folder, ends)
    judge(folder, tally, recovers)
    return tally


def changed_ends(folder: Path, ends: dict[str, tuple[object, ...]]) -> int:
    """How many ended jobs are not what they were when they were looked at before. `ends` remembers them."""
    with closing(sqlite3.connect(folder / "jobs.db")) as database:
        now = {
            row[0]: row[1:]
            for row in database.execute(
                "SELECT id, state, ended, code FROM job WHERE state NOT IN ('queued', 'running')"
            )
        }
    changed = sum(now.get(job) != end for job, end in ends.items())
    ends.update(now)
    return changed


def judge(folder: Path, tally: Tally, recovers: bool) -> None:
    """End all jobs that are left, then compare with what was promised."""
    promised = [line.split() for line in (folder / "promises").read_text().splitlines()]
    # A process may have died before it could note an `add`, and the next one have gone on with the job.
    known = {job for _word, job in promised}
    ended: set[str] = set()
    for word, job in promised:
        tally.twice += job in ended
        if word == "end":
            ended.add(job)
    with closing(Store(folder / "jobs.db", OPTIONS)) as store:
        assert store.set_aside is None
        if recovers:
            store.recover()
        while (job := store.claim()) is not None:
            tally.twice += job.id in ended
            store.end(job.id, Cancelled(job.id))
        jobs = [store.get(job) for job in known]
    tally.jobs = len(known)
    tally.lost = sum(job is None or not job.state.ended for job in jobs)


def test_no_kill_loses_a_job_or_does_it_twice(tmp_path: Path) -> None:
    tally = rehearse(tmp_path, KILLS)
    sys.stdout.write(f"{tally}\n")
    assert tally.fired == dict.fromkeys((AT_RANDOM, *POINTS), KILLS)
    assert tally.jobs > len(POINTS) * KILLS
    assert (tally.lost, tally.twice, tally.changed) == (0, 0, 0)


def test_the_harness_sees_a_loss_where_nothing_is_recovered(tmp_path: Path) -> None:
    """The control: the same without the step that brings back what a dead process had claimed."""
    context = multiprocessing.get_context("forkserver")
    tally = Tally()
    for _ in range(10):
        process = context.Process(target=child, args=(tmp_path, "after a claim", False))
        process.start()
        process.join(_HANGS_S)
        tally.fired["after a claim"] += process.exitcode == -signal.SIGKILL
    judge(tmp_path, tally, recovers=False)
    sys.stdout.write(f"{tally}\n")
    assert tally.fired["after a claim"] == 10
    assert tally.lost == 10


def test_the_harness_sees_a_job_that_is_done_twice(tmp_path: Path) -> None:
    """Another control: a job that ended goes back into the queue."""
    tally = rehearse(tmp_path, 1)
    assert tally.twice == 0
    ends: dict[str, tuple[object, ...]] = {}
    changed_ends(tmp_path, ends)
    promised = [line.split() for line in (tmp_path / "promises").read_text().splitlines()]
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as database, database:
        # One that was not acknowledged, whose request is still there.
        (job,) = database.execute("SELECT id FROM job WHERE state = 'done' AND slot IS NOT NULL LIMIT 1").fetchone()
        assert ["end", job] in promised
        database.execute("UPDATE job SET state = ? WHERE id = ?", (JobState.QUEUED, job))
    assert changed_ends(tmp_path, ends) == 1
    judge(tmp_path, tally, recovers=True)
    assert tally.twice == 1
