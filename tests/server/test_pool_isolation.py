"""What a worker does to its pipes, to its children and to the time of others must not reach the server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from pool_bench import QUICK, SCRIPTED, Bench, lives

from uvmap_id.link.messages import Cancelled, Progress
from uvmap_id.server import worker_process
from uvmap_id.server.devices import visible_devices
from uvmap_id.server.limits import Pace, StageLimits
from uvmap_id.server.pool import DeathKind, PoolOptions, WorkerDied
from uvmap_id.server.words import Finished
from uvmap_id.server.worker_log import Redaction

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these faults are made with signals")


def test_a_flooded_log_neither_fills_the_disk_nor_stops_the_worker(bench: Bench) -> None:
    before = psutil.Process().memory_info().rss
    bench.give("flood")
    worst = 0.0
    ended = False
    while not ended:
        since = time.monotonic()
        said = bench.look(0.005)
        worst = max(worst, time.monotonic() - since)
        ended = any(isinstance(word, Finished) for word in said)
    assert worst < 0.3
    assert psutil.Process().memory_info().rss - before < 30 * 2**20
    assert sum(path.stat().st_size for path in bench.folder.glob("worker-*.log")) < 5 * 2**20
    bench.worker().kill()
    tail = bench.death().log_tail
    assert len(tail) == 200
    assert tail[-1] == "the last line"
    assert "bytes left out" in (bench.folder / "worker-1.log").read_text()


def test_what_the_job_says_of_a_person_is_in_no_log(bench: Bench) -> None:
    bench.give("whisper Zebramantel crash")
    death = bench.death()
    said = "\n".join(death.log_tail) + death.failure.message
    logged = (bench.folder / "worker-1.log").read_text()
    for text in (said, logged):
        assert "a library quotes" in text
        assert "zebra" not in text.lower()


def test_the_last_jobs_prompt_stays_hidden_in_the_next(bench: Bench) -> None:
    for prompt in ("whisper Zebramantel", "whisper Tigerhose", "whisper Pantherhut crash"):
        bench.give(prompt)
        bench.until((Finished, WorkerDied))
    assert not [word for word in ("zebra", "tiger", "panther") if word in everything_in(bench.folder)]


def everything_in(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("worker*")).lower()


def test_redaction_knows_prompts_in_part_and_in_other_letters() -> None:
    hide = Redaction(["A blue Überwurf, with pearls", "/state/photos/0123456789"])
    assert hide("truncated: ['überwurf', ', with PEARLS']") == "truncated: ['[hidden]', ', with [hidden]']"
    assert hide("open /state/photos/0123456789: gone") == "open [hidden]: gone"
    assert "berwurf" not in hide(r"'\xdcberwurf'")
    assert hide("A blue überwurf, with pearls!") == "[hidden]!"
    assert hide("torch has run out of memory") == "torch has run out of memory"
    assert Redaction()("anything") == "anything"


@pytest.mark.parametrize("ends", ["stopped", "killed", "closed"])
def test_what_a_worker_started_ends_with_it(bench: Bench, ends: str) -> None:
    bench.use(PoolOptions(SCRIPTED, cancel_grace_s=0.1, restarts=QUICK))
    job = bench.working("parent")
    worker = bench.worker()
    bench.until_true(lambda: len(worker.children(recursive=True)) == 3)
    children = worker.children(recursive=True)
    if ends == "stopped":
        bench.pool.stop(job)
        bench.death()
    elif ends == "killed":
        worker.kill()
        bench.death()
    else:
        bench.pool.close()
        bench.use(PoolOptions(SCRIPTED))
    assert not any(map(lives, [worker, *children]))


def test_a_server_that_does_not_listen_holds_up_its_workers_and_nothing_else(bench: Bench) -> None:
    """Words wait in bounded queues: 300 MB of them don't become 300 MB in the server."""
    before = psutil.Process().memory_info().rss
    bench.give("babble")
    time.sleep(3)
    assert psutil.Process().memory_info().rss - before < 60 * 2**20
    for _ in range(200):
        bench.look()
    assert bench.pool.broken is None


def test_several_workers_share_out_the_cards(bench: Bench) -> None:
    bench.use(PoolOptions(SCRIPTED, count=3, devices=("GPU-a", "GPU-b"), restarts=QUICK))
    assert bench.pool.free() == 3
    jobs = [bench.give("slow") for _ in range(3)]
    assert bench.pool.free() == 0
    devices = sorted(worker.environ()["CUDA_VISIBLE_DEVICES"] for worker in bench.workers())
    assert devices == ["GPU-a", "GPU-a", "GPU-b"]
    bench.pool.stop(jobs[1])
    assert bench.until(Cancelled) == Cancelled(jobs[1])
    assert bench.pool.free() == 1
    bench.workers()[1].kill()
    assert bench.death().job == ""
    assert len(bench.workers()) == 2
    bench.give("shirt")
    devices = sorted(worker.environ()["CUDA_VISIBLE_DEVICES"] for worker in bench.workers())
    assert devices == ["GPU-a", "GPU-a", "GPU-b"]


def test_one_workers_death_is_nothing_to_the_others(bench: Bench) -> None:
    bench.use(PoolOptions(SCRIPTED, count=2, restarts=QUICK))
    steady, dying = bench.give("brief"), bench.give("crash")
    ends = [bench.until((WorkerDied, Finished)) for _ in range(2)]
    assert {end.job for end in ends} == {steady, dying}
    assert {type(end) for end in ends} == {WorkerDied, Finished}


def test_a_choice_of_cards_that_the_user_made_is_kept() -> None:
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "2, GPU-1f"}) == ("2", "GPU-1f")
    assert visible_devices({"CUDA_VISIBLE_DEVICES": ""}) == ()


def test_a_pause_of_the_whole_machine_is_no_stall(bench: Bench) -> None:
    """The clock goes on while nothing runs, as it does on Windows when the machine sleeps."""
    slept = [0.0]
    limits = StageLimits(load_s=2)
    bench.use(PoolOptions(SCRIPTED, limits=limits, clock=lambda: time.monotonic() + slept[0], restarts=QUICK))
    bench.working("brief")
    bench.look()
    slept[0] = 3600
    assert isinstance(bench.until((Finished, WorkerDied)), Finished)
    # The same without the pause, to show that the limit is there.
    bench.working("deaf")
    assert bench.death().kind is DeathKind.STALLED


def test_a_process_that_cannot_be_killed_holds_up_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that sits in a driver. No test can make such a process; here, killing does nothing."""
    jumped = [0.0]
    clock: Callable[[], float] = lambda: time.monotonic() + jumped[0]  # noqa: E731
    bench.use(PoolOptions(SCRIPTED, cancel_grace_s=0.1, clock=clock, restarts=QUICK))
    job = bench.working("deaf")
    unkillable = bench.worker()
    with monkeypatch.context() as patch:
        patch.setattr(worker_process, "kill_group", lambda pid: None)
        bench.pool.stop(job)
        for _ in range(50):
            bench.heard.extend(bench.look())
        for _ in range(4):
            jumped[0] += 3
            bench.heard.extend(bench.look())
        death = bench.death()
    assert (death.job, death.kind) == (job, DeathKind.IGNORED_CANCEL)
    assert lives(unkillable)
    bench.free_again()
    bench.give("shirt")
    bench.until(Finished)
    unkillable.kill()


PACES = {
    "nothing was said yet": ([], 300),
    "the stage has shown no rhythm": ([("Loading", 5), ("Painting, step 1 of 9", 50)], 300),
    "quick steps": ([(f"Painting, step {step} of 9", 0.1) for step in range(1, 5)], 60),
    "slow steps": ([(f"Painting, step {step} of 9", 10) for step in range(1, 5)], 200),
    "a new stage begins anew": ([("Step 1", 1), ("Step 2", 1), ("Making the maps", 1)], 300),
    "saving": ([("Step 1", 1), ("Step 2", 1), ("Saving", 1)], 60),
}


@pytest.mark.parametrize(("reports", "limit"), PACES.values(), ids=PACES.keys())
def test_the_limit_is_the_stages(reports: list[tuple[str, float]], limit: float) -> None:
    now = 1000.0
    pace = Pace(StageLimits(), now)
    for stage, pause in reports:
        now += pause
        pace.report(stage, now)
    assert pace.due - now == pytest.approx(limit)
    pace.forgive(7)
    assert pace.due - now == pytest.approx(limit + 7)


def test_progress_is_heard_in_order(bench: Bench) -> None:
    bench.give("slow")
    fractions = []
    while len(fractions) < 5:
        said = bench.until(Progress)
        assert isinstance(said, Progress)
        fractions.append(said.fraction)
    assert fractions == sorted(fractions)
