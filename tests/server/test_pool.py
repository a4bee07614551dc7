"""The pool with real worker processes, each of which ends in another way."""

from __future__ import annotations

import os
import time

import pytest
from pool_bench import QUICK, SCRIPTED, Bench

from uvmap_id.link.errors import ErrorCode
from uvmap_id.link.messages import Cancelled, Failed
from uvmap_id.server import pool
from uvmap_id.server.limits import StageLimits
from uvmap_id.server.pool import DeathKind, PoolOptions, WorkerDied
from uvmap_id.server.words import Finished

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these faults are made with signals")


def test_a_job_is_done_and_the_worker_stays(bench: Bench) -> None:
    assert bench.pool.free() == 1
    job = bench.give("shirt")
    assert bench.pool.free() == 0
    finished = bench.until(Finished)
    assert isinstance(finished, Finished)
    assert finished.job == job
    assert bench.pool.free() == 1
    worker = bench.worker()
    bench.give("jeans")
    bench.until(Finished)
    assert bench.worker() == worker


SIGNALS = {
    "die 9": (DeathKind.KILLED, "SIGKILL"),
    "die 15": (DeathKind.KILLED, "another program ended it"),
    "die 6": (DeathKind.CRASHED, "SIGABRT"),
    "die 7": (DeathKind.CRASHED, "bus error"),
    "crash": (DeathKind.CRASHED, "segmentation fault"),
    "quit": (DeathKind.CRASHED, "exit code 7"),
    "fork": (DeathKind.KILLED, "SIGKILL"),
}


@pytest.mark.parametrize("prompt", SIGNALS)
def test_a_death_is_told_in_words_and_the_next_job_runs(bench: Bench, prompt: str) -> None:
    kind, sentence = SIGNALS[prompt]
    job = bench.give(prompt)
    death = bench.death()
    assert (death.job, death.began, death.kind) == (job, True, kind)
    assert sentence in death.failure.message
    assert death.failure.code == ErrorCode.WORKER_DIED
    assert death.failure.hint
    bench.free_again()
    bench.give("shirt")
    bench.until(Finished)


def test_a_crash_in_native_code_shows_where_python_stood(bench: Bench) -> None:
    bench.give("crash")
    assert any("scripted_worker.py" in line and "generate" in line for line in bench.death().log_tail)


STALLS = {"freeze": "", "hold": "generate", "deaf": "generate"}


@pytest.mark.parametrize("prompt", STALLS)
def test_a_worker_that_makes_no_progress_is_killed(bench: Bench, prompt: str) -> None:
    bench.use(PoolOptions(SCRIPTED, limits=StageLimits(load_s=1.5, step_s=0.3), restarts=QUICK))
    job = bench.working(prompt)
    since = time.monotonic()
    death = bench.death()
    assert 1.0 < time.monotonic() - since < 5.0
    assert (death.job, death.began, death.kind) == (job, True, DeathKind.STALLED)
    assert death.failure.code == ErrorCode.WORKER_STALLED
    # Its log says where it stood, though Python's lock may be held; a stopped process can say nothing.
    assert any(STALLS[prompt] in line for line in ("", *death.log_tail))
    bench.free_again()
    bench.give("shirt")
    bench.until(Finished)


def test_the_limit_follows_the_rhythm_of_the_job(bench: Bench) -> None:
    bench.use(PoolOptions(SCRIPTED, limits=StageLimits(load_s=60, step_s=0.1, step_factor=10), restarts=QUICK))
    bench.give("rhythm 0.1")
    death = bench.death()
    assert death.kind is DeathKind.STALLED
    assert "1 s" in death.failure.message


def test_a_worker_that_does_not_stop_is_killed(bench: Bench) -> None:
    bench.use(PoolOptions(SCRIPTED, cancel_grace_s=0.3, restarts=QUICK))
    job = bench.working("hold")
    bench.pool.stop(job)
    death = bench.death()
    assert (death.job, death.kind) == (job, DeathKind.IGNORED_CANCEL)
    assert bench.pool.free() == 0 or bench.pool.broken is None


def test_a_worker_that_stops_stays(bench: Bench) -> None:
    job = bench.working("slow")
    worker = bench.worker()
    bench.pool.stop(job)
    assert bench.until((Cancelled, WorkerDied)) == Cancelled(job)
    assert bench.worker() == worker


@pytest.mark.parametrize("prompt", ["rubbish", "stranger", "endless"])
def test_a_worker_that_talks_nonsense_is_killed(bench: Bench, prompt: str) -> None:
    job = bench.give(prompt)
    death = bench.death()
    assert (death.job, death.kind) == (job, DeathKind.NONSENSE)
    bench.free_again()
    bench.give("shirt")
    bench.until(Finished)


def test_a_job_that_takes_all_memory_is_told_so_and_the_process_is_replaced(bench: Bench) -> None:
    job = bench.working("hog")
    worker = bench.worker()
    failed = bench.until((Failed, WorkerDied))
    assert isinstance(failed, Failed)
    assert (failed.job, failed.code) == (job, ErrorCode.OUT_OF_MEMORY)
    assert "512 x 512" in failed.message
    # Not to the worker that is about to end.
    bench.free_again()
    assert not worker.is_running()
    bench.give("shirt")
    finished = bench.until((Finished, Failed, WorkerDied))
    assert isinstance(finished, Finished)
    assert bench.pool.broken is None


def test_a_job_that_fits_when_the_engine_does_with_less_is_done(bench: Bench) -> None:
    job = bench.give("tight")
    finished = bench.until((Finished, Failed, WorkerDied))
    assert isinstance(finished, Finished)
    assert finished.job == job
    assert "once more with less" in (bench.folder / "worker-1.log").read_text()


def test_an_idle_worker_that_dies_costs_no_job(bench: Bench) -> None:
    bench.give("shirt")
    bench.until(Finished)
    bench.worker().kill()
    death = bench.death()
    assert (death.job, death.began, death.kind) == ("", False, DeathKind.KILLED)
    bench.give("shirt")
    bench.until(Finished)


def test_a_job_given_to_a_worker_that_just_died_has_not_begun(bench: Bench) -> None:
    bench.give("shirt")
    bench.until(Finished)
    bench.worker().kill()
    job = bench.give("shirt")
    death = bench.death()
    assert (death.job, death.began) == (job, False)


def test_a_word_that_comes_too_late_is_still_heard(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ends its job just as it is to be killed has ended its job."""
    monkeypatch.setattr(pool, "_LAST_LOOK_S", 5.0)
    bench.use(PoolOptions(SCRIPTED, cancel_grace_s=0.1, restarts=QUICK))
    job = bench.working("brief")
    bench.pool.stop(job)
    assert bench.until((Cancelled, WorkerDied)) == Cancelled(job)
    death = bench.death()
    assert (death.job, death.kind) == ("", DeathKind.IGNORED_CANCEL)
