"""Random faults over random jobs: two minutes of them, or as long as `UVMAP_ID_SOAK_S` says.

`UVMAP_ID_SOAK_SEED` makes it roll the same dice again; the times at which processes get there differ all the same.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable

import psutil
import pytest
from fault_server import CANCEL_POINT, SERVER_POINTS
from fault_worker import WORKER_POINTS
from raw import RawClient
from rig import FULL, Asked, Rig

from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection, read_connection
from uvmap_id.link.errors import UVMapError
from uvmap_id.link.exchange import Event
from uvmap_id.link.messages import Cancelled, Done, Failed, Ping, Pong, Submit
from uvmap_id.link.wire import encode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")

MakeRig = Callable[..., Rig]

SOAK_S = float(os.environ.get("UVMAP_ID_SOAK_S", "300" if FULL else "120"))
SEED = int(os.environ.get("UVMAP_ID_SOAK_SEED", secrets.randbits(32)))
SERVER_LIMIT = 150e6
OPEN_JOBS = 12
CLIENTS = 3
_ARMED_S = 2.0


class Soak:
    """Three clients that keep some jobs open, and dice that say what happens to whom."""

    def __init__(self, rig: Rig, dice: random.Random) -> None:
        self.rig = rig
        self.fired: Counter[str] = Counter()
        self._dice = dice
        self._clients = [rig.connect(f"soak {number}") for number in range(CLIENTS)]
        self._owners: dict[str, int] = {}
        self._stopped: dict[int, float] = {}
        self._acknowledged: set[str] = set()
        self._armed = ""
        self._before = 0
        self._armed_at = self._ping_at = 0.0
        self.resumed = 0
        self.faults: dict[str, Callable[[], bool]] = {
            "kill -9 of the server": self.kill_server,
            "kill -9 of a worker": self.kill_worker,
            "kill -9 at a point": self.arm_a_point,
            "SIGSTOP of the server": self.stop_server,
            "SIGSTOP of a worker": self.stop_worker,
            "client dropped": self.drop_client,
            "submitted again": self.submit_again,
            "cancelled": self.cancel,
            "rubbish sent": self.send_rubbish,
        }

    def step(self) -> None:
        """Submit, listen, and once in a while do harm."""
        now = time.monotonic()
        open_jobs = [asked for asked in self.rig.jobs.values() if not asked.ends]
        if len(open_jobs) < OPEN_JOBS:
            self.submit()
        if self._dice.random() < 0.3:
            name = self._dice.choice(list(self.faults))
            self.fired[name] += self.faults[name]()
        self._count_armed()
        self._continue_stopped(now)
        self.rig.keep_up()
        for number, client in enumerate(self._clients):
            self._resume_if_paused(client, self.rig.hear(client))
            for asked in list(self.rig.jobs.values()):
                if asked.ends and self._owners[asked.job] == number and asked.job not in self._acknowledged:
                    self._acknowledged.add(asked.job)
                    if self._dice.random() < 0.5:
                        client.acknowledge(asked.job)
        time.sleep(0.01)

    def submit(self) -> None:
        number = self._dice.randrange(CLIENTS)
        word = self._dice.choice(("done", "done", "done", f"wait {self._dice.random():.2f}", "fail"))
        asked = self.rig.submit(self._clients[number], word, Failed if word == "fail" else Done)
        self._owners[asked.job] = number

    def finish(self) -> None:
        for pid in list(self._stopped):
            self._continue(pid)
        self.rig.plan.disarm(self._armed)
        until = time.monotonic() + 180
        while not all(asked.ends for asked in self.rig.jobs.values()) and time.monotonic() < until:
            self.rig.keep_up()
            for client in self._clients:
                self._resume_if_paused(client, self.rig.hear(client))
            time.sleep(0.01)
        for client in self._clients:
            client.close()

    def _resume_if_paused(self, client: Client, events: list[Event]) -> None:
        """Dice may kill five workers in a row, which pauses the queue until a person says otherwise."""
        if time.monotonic() >= self._ping_at:
            self._ping_at = time.monotonic() + 1.0
            client.ping()
        if any(isinstance(event, Pong) and event.paused == "worker_crash_loop" for event in events):
            self.resumed += 1
            client.resume()

    # --- the harm; each tells whether it was done --------------------------------------------------------

    def kill_server(self) -> bool:
        if self._dice.random() < 0.7 or self.rig.server is None:
            return False
        self.rig.kill_server()
        return True

    def kill_worker(self) -> bool:
        # One that waits, so that no job is taken for poisonous that had bad luck three times.
        return self._signal_worker(signal.SIGKILL)

    def stop_worker(self) -> bool:
        return self._signal_worker(signal.SIGSTOP)

    def arm_a_point(self) -> bool:
        if self._armed and time.monotonic() > self._armed_at + _ARMED_S:
            # Nothing comes there at the moment.
            self.rig.plan.disarm(self._armed)
            self._count_armed()
        if not self._armed:
            self._armed_at = time.monotonic()
            self._armed = self._dice.choice((*SERVER_POINTS, *WORKER_POINTS, CANCEL_POINT))
            self._before = self.rig.plan.fired(self._armed)
            self.rig.plan.arm(self._armed)
        return False

    def stop_server(self) -> bool:
        server = self.rig.server
        if server is None or server.poll() is not None or server.pid in self._stopped:
            return False
        server.send_signal(signal.SIGSTOP)
        self._stopped[server.pid] = time.monotonic() + self._dice.random() * 0.5
        return True

    def drop_client(self) -> bool:
        number = self._dice.randrange(CLIENTS)
        mine = [asked for asked in self.rig.jobs.values() if self._owners[asked.job] == number and not asked.ends]
        connection = self.served()
        if connection is None or any(not asked.accepted for asked in mine):
            return False
        self._clients[number].close()
        self._clients[number] = Client.connect(connection, f"soak {number} again")
        for asked in mine:
            self._clients[number].status(asked.job)
        return True

    def submit_again(self) -> bool:
        chosen = [asked for asked in self.rig.jobs.values() if asked.accepted and not asked.ends]
        connection = self.served()
        if connection is None or not chosen:
            return False
        asked = self._dice.choice(chosen)
        request = self.rig.requests[asked.job]
        with RawClient(connection) as raw:
            return raw.send(encode(Submit(asked.job, request)), 0.5)

    def cancel(self) -> bool:
        chosen = [asked for asked in self.rig.jobs.values() if asked.accepted and not asked.ends]
        if not chosen or self._dice.random() < 0.5:
            return False
        asked: Asked = self._dice.choice(chosen)
        # It may have been quicker.
        asked.may = (Cancelled,)
        self._clients[self._owners[asked.job]].cancel(asked.job)
        return True

    def send_rubbish(self) -> bool:
        connection = self.served()
        if connection is None:
            return False
        with RawClient(connection) as raw:
            return raw.send([self._dice.randbytes(20), encode(Ping())[1], self._dice.randbytes(50)], 0.5)

    def served(self) -> Connection | None:
        """How to reach the server, which may die in the next moment; None where none can answer now."""
        try:
            return None if self._stopped else read_connection(self.rig.state)
        except UVMapError:
            return None

    def _signal_worker(self, number: int) -> bool:
        workers = self.rig.workers()
        if not workers or self._dice.random() < 0.5:
            return False
        worker = self._dice.choice(workers)
        with contextlib.suppress(psutil.Error):
            worker.send_signal(number)
            if number == signal.SIGSTOP:
                self._stopped[worker.pid] = time.monotonic() + self._dice.random() * 0.5
            return True
        return False

    def _count_armed(self) -> None:
        if self._armed and not self.rig.plan.is_armed(self._armed):
            self.fired["kill -9 at a point"] += self.rig.plan.fired(self._armed) - self._before
            self._armed = ""

    def _continue_stopped(self, now: float) -> None:
        for pid, until in list(self._stopped.items()):
            if now >= until:
                self._continue(pid)

    def _continue(self, pid: int) -> None:
        del self._stopped[pid]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_random_faults_over_random_jobs(make_rig: MakeRig) -> None:
    rig = make_rig(f"soak of {SOAK_S / 60:g} minutes", "--workers", "2")
    rig.start()
    sys.stdout.write(f"UVMAP_ID_SOAK_SEED={SEED}\n")
    soak = Soak(rig, random.Random(SEED))  # noqa: S311
    ends_at = time.monotonic() + SOAK_S
    while time.monotonic() < ends_at:
        soak.step()
    soak.finish()
    rig.entry.faults = soak.fired.total()
    assert rig.server is not None
    rig.keep_up()
    peak = psutil.Process(rig.server.pid).memory_info().rss
    unlucky = [asked for asked in rig.jobs.values() if asked.wrong and was_given_up(rig, asked)]
    for asked in unlucky:
        asked.wrong = False
    rig.entry.figures = {name: str(count) for name, count in sorted(soak.fired.items())}
    rig.entry.figures |= {
        "jobs given up after so many deaths": str(len(unlucky)),
        "queues resumed after five deaths": str(soak.resumed),
        "server at the end": f"{peak / 1e6:.0f} MB",
        "seed": str(SEED),
    }
    entry = rig.judge()
    sys.stdout.write(f"{entry}\n")
    assert all(soak.fired[name] for name in soak.faults), soak.fired
    assert peak < SERVER_LIMIT
    assert entry.is_clean, (entry, [asked for asked in rig.jobs.values() if asked.wrong or len(asked.ends) != 1])


def was_given_up(rig: Rig, asked: Asked) -> bool:
    """Dice may hit the workers of one job three times, or five workers in a row; then it is right to give it up."""
    end = asked.ends[0]
    if len(asked.ends) != 1 or not isinstance(end, Failed):
        return False
    died = rig.plan.diary().count(["begin", asked.job])
    return (end.code == "job_poisonous" and died >= 3) or end.code == "worker_crash_loop"
