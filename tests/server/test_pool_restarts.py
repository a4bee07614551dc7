"""When the pool replaces workers that die, and when it gives up."""

from __future__ import annotations

import sys
import time

import pytest
from pool_bench import SCRIPTED, Bench

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.server.limits import RestartLimits, Restarts
from uvmap_id.server.pool import DeathKind, PoolOptions
from uvmap_id.server.words import Finished
from uvmap_id.server.worker_state import TRANSITIONS, WorkerState

CANNOT_IMPORT = (sys.executable, "-c", "import a_module_that_is_missing")


def test_pauses_double_up_to_the_longest() -> None:
    restarts = Restarts(RestartLimits(first_s=1, longest_s=60, attempts=10))
    pauses = []
    for _ in range(8):
        restarts.failed(100.0)
        pauses.append(restarts.wait(100.0))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    restarts.reset()
    assert restarts.wait(100.0) == 0


def test_five_bad_starts_in_a_row_are_enough(bench: Bench) -> None:
    bench.use(PoolOptions(CANNOT_IMPORT, restarts=RestartLimits(first_s=0.1)))
    since = time.monotonic()
    for attempt in range(5):
        assert bench.pool.broken is None
        bench.free_again()
        job = bench.give("shirt")
        death = bench.death()
        assert (death.job, death.began, death.kind) == (job, False, DeathKind.START_FAILED)
        assert "a_module_that_is_missing" in death.failure.message
        assert any("ModuleNotFoundError" in line for line in death.log_tail)
        assert bench.pool.free() == 0, attempt
    assert time.monotonic() - since > 0.1 + 0.2 + 0.4 + 0.8
    assert bench.pool.broken is not None
    assert bench.pool.broken.code == ErrorCode.WORKER_CRASH_LOOP
    assert "5 times" in bench.pool.broken.message
    assert "a_module_that_is_missing" in bench.pool.broken.message
    time.sleep(2)
    assert bench.pool.free() == 0
    with pytest.raises(UVMapError) as caught:
        bench.give("shirt")
    assert caught.value.failure.code == ErrorCode.WORKER_CRASH_LOOP


def test_a_mended_pool_starts_workers_again(bench: Bench) -> None:
    marker = bench.folder / "mended"
    program = f"import os, sys; os.path.exists({str(marker)!r}) or sys.exit(1); os.execv(sys.executable, {SCRIPTED!r})"
    bench.use(PoolOptions((sys.executable, "-c", program), restarts=RestartLimits(first_s=0.01, attempts=2)))
    for _ in range(2):
        bench.free_again()
        bench.give("shirt")
        bench.death()
    assert bench.pool.broken
    marker.touch()
    bench.pool.mend()
    assert bench.pool.broken is None
    bench.give("shirt")
    bench.until(Finished)


def test_a_command_that_is_not_there_is_no_worker(bench: Bench) -> None:
    bench.use(PoolOptions(("/nowhere/python",), restarts=RestartLimits(first_s=0.01, attempts=3)))
    for _ in range(3):
        bench.free_again()
        with pytest.raises(UVMapError) as caught:
            bench.give("shirt")
        assert caught.value.failure.code == ErrorCode.WORKER_DIED
        assert "/nowhere/python" in caught.value.failure.message
    assert bench.pool.broken


def test_jobs_that_end_between_deaths_keep_the_pool_going(bench: Bench) -> None:
    bench.use(PoolOptions(SCRIPTED, restarts=RestartLimits(first_s=0.01, attempts=2)))
    for _ in range(3):
        bench.give("shirt")
        bench.until(Finished)
        bench.give("crash")
        bench.death()
        # It had proved itself, so that another may be started at once.
        assert bench.pool.free() == 1
    assert bench.pool.broken is None


def test_a_job_that_kills_each_new_worker_ends_in_a_pause(bench: Bench) -> None:
    bench.use(PoolOptions(SCRIPTED, restarts=RestartLimits(first_s=0.01, attempts=3)))
    for _ in range(3):
        bench.free_again()
        bench.give("crash")
        assert bench.death().began
    assert bench.pool.broken


def test_a_worker_that_lives_long_enough_has_proved_itself(bench: Bench) -> None:
    bench.use(PoolOptions(SCRIPTED, restarts=RestartLimits(first_s=60, attempts=2, stable_s=0.5)))
    for _ in range(3):
        bench.working("deaf")
        time.sleep(0.6)
        bench.worker().kill()
        bench.death()
        assert bench.pool.free() == 1


def test_every_state_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(WorkerState)
    assert not TRANSITIONS[WorkerState.DEAD]
    assert all(WorkerState.DEAD in after for state, after in TRANSITIONS.items() if state is not WorkerState.DEAD)
