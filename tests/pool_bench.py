"""A pool of real workers with the loop that a server would run, for tests that make them die."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import psutil
import zmq

from uvmap_id.link.messages import Cancelled, Failed, Progress
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.limits import RestartLimits
from uvmap_id.server.pool import Pool, PoolOptions, WorkerDied
from uvmap_id.server.reaping import MARK_VARIABLE
from uvmap_id.server.words import Finished, Run, WorkerWord

SCRIPTED = (sys.executable, str(Path(__file__).parent / "server" / "scripted_worker.py"))
# In the environment of a test's processes, so that those it left behind can be found.
TEST_VARIABLE = "UVMAP_ID_TEST_FOLDER"
QUICK = RestartLimits(first_s=0.05)

Said = WorkerWord | WorkerDied


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

    def until_true(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Runs the loop until something is so."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            self.heard.extend(self.look())

    def free_again(self) -> None:
        self.until_true(lambda: self.pool.free() > 0)

    def workers(self) -> list[psutil.Process]:
        """The pool's processes, oldest first."""
        found = [child for child in psutil.Process().children() if lives(child)]
        return [child for child in found if environment_of(child).get(TEST_VARIABLE) == str(self.folder)]

    def worker(self) -> psutil.Process:
        (worker,) = self.workers()
        return worker

    def close(self) -> None:
        self.pool.close()
        self.context.term()


def environment_of(process: psutil.Process) -> dict[str, str]:
    """Never that of a process that is just becoming another program: for a moment it seems to have none."""
    deadline = time.monotonic() + 2.0
    while not (found := process.environ()) and lives(process) and time.monotonic() < deadline:
        time.sleep(0.001)
    return found


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
