"""kill -9 of server, worker and client at each named point: what was accepted ends, once, and right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_client import CLIENT_POINTS
from fault_server import CANCEL_POINT, SERVER_POINTS, START_POINTS
from fault_worker import WORKER_POINTS
from ledger import Entry
from rig import FULL, PATIENCE_S, Rig, is_complete

from uvmap_id.link.client import Client
from uvmap_id.link.messages import Cancelled

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")

MakeRig = Callable[..., Rig]

TIMES = 30 if FULL else 1
FAULT_CLIENT = str(Path(__file__).with_name("fault_client.py"))


@pytest.mark.parametrize("point", [*SERVER_POINTS, *WORKER_POINTS])
def test_a_process_killed_at_a_point_loses_nothing(make_rig: MakeRig, point: str) -> None:
    rig = make_rig(f"kill -9: {point}")
    rig.start()
    with rig.connect() as client:
        for number in range(TIMES):
            # Another one each time, or nothing would have to be uploaded.
            rig.photo = rig.photo[:-4] + b"%04d" % number
            if point == "worker before ready":
                let_go_of_workers(rig)
            run_through(rig, client, point)
    entry = rig.judge()
    assert (entry.faults, entry.accepted) == (TIMES, TIMES)
    assert entry.is_clean, entry


def run_through(rig: Rig, client: Client, point: str) -> None:
    """One job from its submission to its acknowledgement, and one death on the way."""
    before = rig.plan.fired(point)
    rig.plan.arm(point)
    asked = rig.submit(client)
    rig.until(lambda: bool(asked.ends), client)
    rig.acknowledge(client, asked)
    rig.until(lambda: rig.plan.fired(point) > before, client)
    if rig.keep_up():
        rig.until(lambda: client.server_gone is False, client)
    rig.entry.faults += rig.plan.fired(point) - before
    rig.entry.kill_s.append(max(0.0, time.monotonic() - rig.plan.fired_at(point)))


def let_go_of_workers(rig: Rig) -> None:
    for worker in rig.workers():
        worker.kill()
        worker.wait(5)


@pytest.mark.parametrize("point", START_POINTS)
def test_a_server_killed_while_it_starts_loses_nothing(make_rig: MakeRig, point: str) -> None:
    rig = make_rig(f"kill -9: {point}")
    rig.start()
    with rig.connect() as client:
        for _ in range(TIMES):
            asked = rig.submit(client, "wait 0.3")
            rig.until(lambda asked=asked: any(line[:2] == ["begin", asked.job] for line in rig.plan.diary()), client)
            before = rig.plan.fired(point)
            rig.plan.arm(point)
            rig.kill_server()
            rig.start()
            rig.until(lambda asked=asked: bool(asked.ends), client)
            # The kill that made a start necessary, and the one in it.
            rig.entry.faults += 1 + rig.plan.fired(point) - before
            rig.entry.kill_s.append(time.monotonic() - rig.plan.fired_at(point))
    entry = rig.judge()
    assert (entry.faults, entry.accepted) == (2 * TIMES, TIMES)
    assert entry.is_clean, entry


@pytest.mark.parametrize("point", CLIENT_POINTS)
def test_a_killed_client_gets_its_job_when_it_comes_back(make_rig: MakeRig, tmp_path: Path, point: str) -> None:
    rig = make_rig(f"kill -9: {point}")
    rig.start()
    for number in range(TIMES):
        folder = tmp_path / f"client{number}"
        folder.mkdir()
        before = rig.plan.fired(point)
        rig.plan.arm(point)
        photo = f"a face that nobody else has, {number}"
        command = (sys.executable, FAULT_CLIENT, str(folder), photo, str(number), f"done {rig.marker}")
        first = subprocess.run(command, env=rig.environment, timeout=PATIENCE_S)
        assert first.returncode == -signal.SIGKILL
        rig.entry.faults += rig.plan.fired(point) - before
        codes = []
        # One that had not got as far as its job submits it anew.
        while (code := subprocess.run(command, env=rig.environment, timeout=PATIENCE_S).returncode) == 3:
            codes.append(code)
        rig.entry.kill_s.append(time.monotonic() - rig.plan.fired_at(point))
        rig.entry.accepted += 1
        rig.entry.ended += code == 0
        rig.entry.lost += code != 0
        rig.entry.wrong += not is_complete(folder / "result", number)
    delivered = [line[1] for line in rig.plan.diary() if line[0] == "deliver"]
    assert len(delivered) == len(set(delivered)) == TIMES
    entry = rig.judge()
    assert entry.faults == TIMES
    assert entry.is_clean, entry


CANCELS = ("before upload", "queued", "running", "saving", "ended", "acknowledged")


@pytest.mark.parametrize("crash", [False, True], ids=["", "and the server dies"])
@pytest.mark.parametrize("moment", CANCELS)
def test_a_cancel_holds(make_rig: MakeRig, moment: str, crash: bool) -> None:
    rig = make_rig(f"cancel, {moment}{', then kill -9' if crash else ''}")
    rig.start()
    with rig.connect() as client:
        client.wait_until_welcome()
        for _ in range(TIMES):
            cancel_at(rig, client, moment, crash)
    entry = rig.judge()
    assert entry.faults >= TIMES
    assert entry.is_clean, entry


def cancel_at(rig: Rig, client: Client, moment: str, crash: bool) -> None:
    before = rig.plan.fired(CANCEL_POINT)
    blocker = rig.submit(client, "wait 1", Cancelled) if moment == "queued" else None
    if blocker is not None:
        rig.until(lambda: blocker.accepted, client)
    word = {"running": "wait 20", "saving": "wait 0"}.get(moment, "done")
    asked = rig.submit(client, word, Cancelled)
    if moment == "queued":
        rig.until(lambda: asked.accepted, client)
    elif moment == "running":
        rig.until(lambda: ["begin", asked.job] in rig.plan.diary(), client)
    elif moment == "saving":
        # Where the result is complete before the cancel, that counts.
        asked.should = object
        rig.plan.arm("worker before save", signal.SIGSTOP)
        rig.until(lambda: not rig.plan.is_armed("worker before save"), client)
    elif moment in ("ended", "acknowledged"):
        asked.should = object
        rig.until(lambda: bool(asked.ends), client)
        if moment == "acknowledged":
            rig.acknowledge(client, asked)
    if crash and moment not in ("before upload",):
        rig.plan.arm(CANCEL_POINT)
    wrong = asked.wrong
    client.cancel(asked.job)
    rig.entry.faults += 1
    if moment == "saving" and not crash:
        time.sleep(0.1)
        for worker in rig.workers():
            os.kill(worker.pid, signal.SIGCONT)
    if crash and moment not in ("before upload",):
        rig.until(lambda: rig.plan.fired(CANCEL_POINT) > before, client)
        rig.entry.faults += 1
    if crash and moment == "before upload":
        rig.kill_server()
        rig.entry.faults += 1
    rig.until(lambda: bool(asked.ends), client)
    if moment in ("ended", "acknowledged"):
        # It is followed again, and its end told again, which must be the same one.
        rig.until(lambda: len(asked.ends) > 1, client)
        assert type(asked.ends[1]) is type(asked.ends[0])
        del asked.ends[1:]
        asked.wrong = wrong
    if blocker is not None:
        client.cancel(blocker.job)
        rig.until(lambda: bool(blocker.ends), client)


def test_the_harness_sees_losses_where_nothing_is_recovered(make_rig: MakeRig) -> None:
    """The control: the same with a store that does not bring back what a dead server had claimed."""
    times = TIMES if FULL else 3
    rig = make_rig("control: recovery taken out", "--no-recovery")
    rig.start()
    with rig.connect() as client:
        for _ in range(times):
            before = rig.plan.fired("server after claim")
            rig.plan.arm("server after claim")
            rig.submit(client)
            rig.until(lambda before=before: rig.plan.fired("server after claim") > before, client)
            rig.entry.faults += 1
        rig.keep_up()
        good = rig.submit(client)
        rig.until(lambda: bool(good.ends), client)
        rig.finish(client, timeout_s=3)
    rig._judge_jobs()
    seen = rig.entry
    assert (seen.faults, seen.lost, seen.ended) == (times, times, 1)
    # These losses are the harness's own doing, and stay out of the sums.
    Entry(seen.scenario, figures={"killed": str(times), "jobs lost": f"{seen.lost} of {seen.accepted}"}).write()
