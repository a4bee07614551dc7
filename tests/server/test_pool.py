"""The pool with real worker processes, each of which ends in another way."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from uvmap_id.link.errors import ErrorCode
from uvmap_id.link.messages import Cancelled, Failed, Progress
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.limits import RestartLimits, StageLimits
from uvmap_id.server.pool import DeathKind, Pool, PoolOptions, WorkerDied
from uvmap_id.server.reaping import MARK_VARIABLE
from uvmap_id.server.words import Finished, Run, WorkerWord

SCRIPTED = (sys.executable, str(Path(__file__).parent / "scripted_worker.py"))
TEST_VARIABLE = "UVMAP_ID_TEST_FOLDER"
QUICK = RestartLimits(first_s=0.05)
Said = WorkerWord | WorkerDied

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these faults are made with signals")


class Bench:
    """A pool and the loop that a server would run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.pool = Pool(self.context, folder, PoolOptions(SCRIPTED, restarts=QUICK))
        self.jobs = 0
        self.heard: deque[Said] = deque()

    def use(self, options: PoolOptions) -> Pool:
        self.pool.close()
        self.pool = Pool(self.context, self.folder, options)
        return self.pool

    def give(self, prompt: str) -> str:
        self.jobs += 1
        job = f"{self.jobs:032x}"
        photo = self.folder / "photo"
        photo.write_bytes(b"a photo")
        out = self.folder / job
        out.mkdir()
        self.pool.run(Run(job, TextureRequest("0" * 64, prompt, size=512), (str(photo),), str(out)))
        return job

    def look(self, timeout_s: float = 0.02) -> list[Said]:
        pause = self.pool.supervise()
        self.pool.socket.poll(int(1000 * min(timeout_s, timeout_s if pause is None else pause)))
        return list(self.pool.receive())

    def until(self, kind: type | tuple[type, ...], timeout_s: float = 20.0) -> Said:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.heard.extend(self.look() if not self.heard else ())
            while self.heard:
                said = self.heard.popleft()
                if isinstance(said, kind):
                    return said
        raise AssertionError("it was not said in time")

    def working(self, prompt: str) -> str:
        """Gives a job and returns once the engine is at it."""
        job = self.give(prompt)
        while True:
            said = self.until((Progress, WorkerDied))
            assert isinstance(said, Progress)
            if said.stage != "Starting":
                return job

    def death(self, timeout_s: float = 20.0) -> WorkerDied:
        said = self.until((WorkerDied, Finished, Failed, Cancelled), timeout_s)
        assert isinstance(said, WorkerDied), said
        return said

    def free_again(self) -> None:
        deadline = time.monotonic() + 10
        while not self.pool.free():
            assert time.monotonic() < deadline, "no worker may be started"
            self.look()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv(TEST_VARIABLE, str(tmp_path))
    bench = Bench(tmp_path)
    yield bench
    bench.pool.close()
    bench.context.term()
    assert marked(tmp_path) == []


def marked(folder: Path) -> list[psutil.Process]:
    """Workers and what they started, of any pool of this test."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = process.environ()
            if MARK_VARIABLE in environment and environment.get(TEST_VARIABLE) == str(folder):
                found.append(process)
    return [process for process in found if lives(process)]


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def worker_of(bench: Bench) -> psutil.Process:
    (worker,) = [child for child in psutil.Process().children() if MARK_VARIABLE in child.environ()]
    return worker


def test_a_job_is_done_and_the_worker_stays(bench: Bench) -> None:
    assert bench.pool.free() == 1
    job = bench.give("shirt")
    assert bench.pool.free() == 0
    finished = bench.until(Finished)
    assert isinstance(finished, Finished)
    assert finished.job == job
    assert bench.pool.free() == 1
    worker = worker_of(bench)
    bench.give("jeans")
    bench.until(Finished)
    assert worker_of(bench) == worker


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
    worker = worker_of(bench)
    bench.pool.stop(job)
    assert bench.until((Cancelled, WorkerDied)) == Cancelled(job)
    assert worker_of(bench) == worker


@pytest.mark.parametrize("prompt", ["rubbish", "stranger", "endless"])
def test_a_worker_that_talks_nonsense_is_killed(bench: Bench, prompt: str) -> None:
    job = bench.give(prompt)
    death = bench.death()
    assert (death.job, death.kind) == (job, DeathKind.NONSENSE)
    bench.free_again()
    bench.give("shirt")
    bench.until(Finished)
