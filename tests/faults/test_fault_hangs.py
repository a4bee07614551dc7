"""Processes that live and do nothing, take everything, or die again and again."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import pytest
from rig import FULL, Rig

from uvmap_id.link.messages import Done, Failed, Pong, Progress

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")

MakeRig = Callable[..., Rig]

TIMES = 15 if FULL else 1
LIMIT_S = 1.0
HANGS = {"SIGSTOP of the worker": "freeze", "the interpreter's lock held for ever": "hold"}


@pytest.mark.parametrize(("name", "word"), HANGS.items(), ids=list(HANGS.values()))
def test_a_worker_that_hangs_is_replaced(make_rig: MakeRig, name: str, word: str) -> None:
    rig = make_rig(name, "--step-s", str(LIMIT_S))
    rig.start()
    with rig.connect() as client:
        for number in range(TIMES):
            marker = rig.plan.folder / f"hung{number}"
            # The rhythm must be known, or the long limit for loading counts.
            asked = rig.submit(client, f"rhythmic {marker} {word}")
            rig.until(marker.exists, client)
            hung_at = time.monotonic()
            rig.until(lambda asked=asked: bool(asked.ends), client)
            rig.entry.faults += 1
            rig.entry.hang_s.append(time.monotonic() - hung_at - LIMIT_S)
    entry = rig.judge()
    assert (entry.faults, entry.accepted) == (TIMES, TIMES)
    assert min(entry.hang_s) > -0.2, "it did not hang"
    assert entry.is_clean, entry


def test_a_stopped_server_goes_on_where_it_stood(make_rig: MakeRig) -> None:
    rig = make_rig("SIGSTOP of the server")
    rig.start()
    assert rig.server is not None
    with rig.connect() as client:
        for _ in range(TIMES):
            asked = rig.submit(client, "wait 0.5")
            rig.until(lambda asked=asked: ["begin", asked.job] in rig.plan.diary(), client)
            rig.server.send_signal(signal.SIGSTOP)
            stopped_until = time.monotonic() + 2.0
            while time.monotonic() < stopped_until:
                assert not any(isinstance(event, Done | Failed) for event in rig.hear(client))
                time.sleep(0.01)
            assert client.away_s > 0, "it was not stopped"
            rig.server.send_signal(signal.SIGCONT)
            rig.entry.faults += 1
            rig.until(lambda asked=asked: bool(asked.ends), client)
            rig.entry.hang_s.append(time.monotonic() - stopped_until)
    entry = rig.judge()
    assert entry.faults == entry.accepted == TIMES
    assert entry.is_clean, entry


def test_a_stopped_idle_worker_harms_the_next_job_only_for_a_while(make_rig: MakeRig) -> None:
    """It takes a job and never says a word."""
    rig = make_rig("SIGSTOP of an idle worker", "--step-s", str(LIMIT_S), "--load-s", str(LIMIT_S))
    rig.start()
    with rig.connect() as client:
        for _ in range(TIMES):
            warm = rig.submit(client)
            rig.until(lambda warm=warm: bool(warm.ends), client)
            for worker in rig.workers():
                os.kill(worker.pid, signal.SIGSTOP)
                rig.entry.faults += 1
            asked, began = rig.submit(client), time.monotonic()
            rig.until(lambda asked=asked: bool(asked.ends), client)
            rig.entry.hang_s.append(time.monotonic() - began - LIMIT_S)
    entry = rig.judge()
    assert entry.faults == TIMES
    assert min(entry.hang_s) > -0.2
    assert entry.is_clean, entry


def test_memory_that_runs_out_fails_its_job_only(make_rig: MakeRig) -> None:
    rig = make_rig("memory hog")
    rig.start()
    with rig.connect() as client:
        for _ in range(TIMES):
            hog, next_one = rig.submit(client, "hog", Failed), rig.submit(client)
            rig.until(lambda hog=hog, next_one=next_one: bool(hog.ends and next_one.ends), client)
            assert isinstance(hog.ends[0], Failed)
            assert hog.ends[0].code == "out_of_memory"
            rig.entry.faults += 1
    entry = rig.judge()
    assert entry.faults == TIMES
    assert entry.is_clean, entry


def test_a_job_that_kills_its_workers_is_given_up_after_three(make_rig: MakeRig) -> None:
    rig = make_rig("poison job")
    rig.start()
    with rig.connect() as client:
        for _ in range(TIMES):
            poison, next_one = rig.submit(client, "crash", Failed), rig.submit(client)
            rig.until(lambda poison=poison, next_one=next_one: bool(poison.ends and next_one.ends), client)
            assert isinstance(poison.ends[0], Failed)
            assert poison.ends[0].code == "job_poisonous"
            assert "SIGSEGV" in poison.ends[0].message
            assert rig.plan.diary().count(["begin", poison.job]) == 3
            rig.entry.faults += 3
    entry = rig.judge()
    assert entry.faults == 3 * TIMES
    assert entry.is_clean, entry


def test_a_worker_that_cannot_start_pauses_the_queue_and_keeps_it(make_rig: MakeRig) -> None:
    """An import that fails: five starts, then a pause that says why; mended, the queue goes on."""
    rig = make_rig("crash loop at start")
    broken = rig.plan.folder / "broken"
    broken.touch()
    rig.start("--worker-breaks-while", str(broken))
    with rig.connect() as client:
        first, second = rig.submit(client, should=Failed), rig.submit(client)
        rig.until(lambda: bool(first.ends), client)
        assert isinstance(first.ends[0], Failed)
        assert first.ends[0].code == "worker_crash_loop"
        assert "a_module_that_is_missing" in first.ends[0].message + first.ends[0].log
        starts = [line for line in rig.plan.diary() if line[0] == "broke"]
        rig.entry.faults += len(starts)
        assert len(starts) == 5
        told: list[object] = []
        client.ping()
        rig.until(lambda: told.extend(rig.hear(client)) or any(isinstance(event, Pong) for event in told))
        assert any(isinstance(event, Pong) and event.paused == "worker_crash_loop" for event in told)
        assert not second.ends
        assert not any(isinstance(event, Progress) and event.job == second.job and event.fraction for event in told)
        broken.unlink()
        client.resume()
        rig.until(lambda: bool(second.ends), client)
    entry = rig.judge()
    assert entry.faults == 5
    assert entry.is_clean, entry
