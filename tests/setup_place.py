"""A place to set up in, for tests: the folder, what is installed, and the machine that does it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from addon_modules import make_importable

make_importable()

from addon.setup.installer.job import Job, Task  # noqa: E402
from addon.setup.installer.machine import Setup, State  # noqa: E402

PATIENCE_S = 120.0


@dataclass
class Place:
    """Where a test sets up, and from what."""

    root: Path
    requirements: Path
    wheel: Path
    setup: Setup

    def job(self, task: Task = Task.INSTALL, **changes: str) -> Job:
        values = {"variant": "basic", "python": "", "wheel": str(self.wheel), **changes}
        variant, python, wheel = values["variant"], values["python"], values["wheel"]
        return Job(task.value, str(self.root), variant, python, str(self.requirements), wheel)

    def start(self, task: Task = Task.INSTALL, **changes: str) -> Setup:
        self.setup.start(self.job(task, **changes))
        return self.setup

    def run(self, task: Task = Task.INSTALL, **changes: str) -> State:
        return finish(self.start(task, **changes))

    def code(self) -> str:
        return self.setup.failure.code if self.setup.failure is not None else ""

    def left(self) -> set[str]:
        """What lies in the folder, without the lock and the log."""
        return {path.name for path in self.root.iterdir()} - {"lock", "setup.log"} if self.root.exists() else set()


def finish(setup: Setup) -> State:
    deadline = time.monotonic() + PATIENCE_S
    while setup.busy:
        assert time.monotonic() < deadline, f"the set-up does not end: {setup.state} {setup.progress}"
        time.sleep(0.02)
        setup.tick()
    return setup.state
