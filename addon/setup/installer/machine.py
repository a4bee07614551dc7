"""The set-up as a state machine: moved by `tick`, which never waits. The work is done by a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ...link.errors import ErrorCode, Failure, UVMapError
from ...link.process import process_start
from ..child import Child
from .job import STAGES, Job, Stage, Task

TICK_S = 0.2
# A run that was asked to stop takes back what is half done; this is how long it may take.
_STOP_S = 15.0
# How much of an installation each stage is, about.
_SHARES: dict[Stage, float] = {
    Stage.CHECKING: 0.03,
    Stage.PYTHON: 0.05,
    Stage.ENVIRONMENT: 0.02,
    Stage.PACKAGES: 0.80,
    Stage.PACKAGE: 0.02,
    Stage.VERIFYING: 0.08,
    Stage.REMOVING: 1.0,
}


class State(StrEnum):
    """Where the set-up is. The stages bear the names of `Stage`."""

    IDLE = "idle"
    CHECKING = "checking"
    PYTHON = "python"
    ENVIRONMENT = "environment"
    PACKAGES = "packages"
    PACKAGE = "package"
    VERIFYING = "verifying"
    REMOVING = "removing"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_BEGIN = frozenset({State.CHECKING, State.VERIFYING, State.REMOVING, State.FAILED})
_LEAVE = frozenset({State.CANCELLING, State.FAILED})
TRANSITIONS: dict[State, frozenset[State]] = {
    State.IDLE: _BEGIN,
    State.CHECKING: _LEAVE | {State.PYTHON},
    State.PYTHON: _LEAVE | {State.ENVIRONMENT},
    State.ENVIRONMENT: _LEAVE | {State.PACKAGES},
    State.PACKAGES: _LEAVE | {State.PACKAGE},
    State.PACKAGE: _LEAVE | {State.VERIFYING},
    State.VERIFYING: _LEAVE | {State.DONE},
    State.REMOVING: _LEAVE | {State.DONE},
    # It may have been quicker, or have failed of itself.
    State.CANCELLING: frozenset({State.CANCELLED, State.FAILED, State.DONE}),
    State.DONE: _BEGIN,
    State.FAILED: _BEGIN,
    State.CANCELLED: _BEGIN,
}
_RESTING = frozenset({State.IDLE, State.DONE, State.FAILED, State.CANCELLED})


_CANCELLED = Failure(ErrorCode.CANCELLED.value, "Cancelled; what has been downloaded is kept.")


class Process(Protocol):
    """What the set-up needs of `Child`."""

    def lines(self) -> list[str]:
        """What it has said since the last call."""
        ...

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        ...

    def stop(self) -> None:
        """End it at once."""
        ...

    def close(self) -> None:
        """Forget it."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        fraction: Of all of it, 0 to 1.
        text: What is being done, for a person.
        bytes_per_second: Of the download; 0 where nothing is downloaded.
        seconds_left: Of the download; None where nobody knows.
    """

    fraction: float = 0.0
    text: str = ""
    bytes_per_second: float = 0.0
    seconds_left: float | None = None


class Setup:
    """One set-up at a time: `start` it, `tick` until it is not `busy`, `close` it."""

    def __init__(
        self,
        start_process: Callable[[Sequence[str]], Process] = Child,
        clock: Callable[[], float] = time.monotonic,
        python: str = sys.executable,
    ) -> None:
        """Nothing is started before `start`.

        Args:
            start_process: Starts a command.
            clock: Seconds that never go backwards.
            python: What runs the installer; in Blender that is Blender's own Python.
        """
        self._start_process = start_process
        self._clock = clock
        self._python = python
        self._process: Process | None = None
        self._folder: Path | None = None
        self._job: Job | None = None
        self._kill_at: float | None = None
        self._outcome: str | Failure | None = None
        self._stray = ""
        self.state = State.IDLE
        self.progress = Progress()
        self.failure: Failure | None = None
        self.sentence = ""

    @property
    def busy(self) -> bool:
        """True while a run has not ended."""
        return self.state not in _RESTING

    @property
    def task(self) -> Task | None:
        """What the newest run is or was for."""
        return Task(self._job.task) if self._job is not None else None

    def start(self, job: Job) -> None:
        """Begin a run. It returns at once.

        Raises:
            UVMapError: `setup_busy`, or `setup_failed` where the installer can't be started.
        """
        if self.busy:
            raise UVMapError(ErrorCode.SETUP_BUSY, "The backend is being set up already.", "Wait, or cancel that.")
        self.failure, self.sentence, self._kill_at, self._outcome, self._stray = None, "", None, None, ""
        self.progress = Progress(text="Starting")
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="uvmap_id-setup-"))
            me = os.getpid()
            self._job = replace(job, stop=str(self._folder / "stop"), parent=me, parent_started=process_start(me) or "")
            self._job.write(self._folder / "job.json")
            program = str(Path(__file__).with_name("__main__.py"))
            self._process = self._start_process([self._python, "-B", program, "job", str(self._folder / "job.json")])
        except OSError as error:
            self._let_go()
            raise UVMapError(
                ErrorCode.SETUP_FAILED,
                f"The installer can't be started: {error.strerror or error}.",
                "See that the folder for temporary files can be written.",
            ) from error
        self._move(State(STAGES[Task(job.task)][0].value))

    def cancel(self) -> None:
        """Ask the run to take back what is half done, and to end. What was downloaded is kept."""
        if not self.busy or self.state is State.CANCELLING or self._folder is None:
            return
        (self._folder / "stop").touch()
        self._kill_at = self._clock() + _STOP_S
        self._move(State.CANCELLING)
        self.progress = replace(self.progress, text="Cancelling", bytes_per_second=0.0, seconds_left=None)

    def tick(self) -> float | None:
        """Take in what the run says. Returns the seconds until the next call, or None when it has ended."""
        if self._process is None:
            return None
        code = self._process.poll()
        for line in self._process.lines():
            self._hear(line)
        if code is None:
            if self._kill_at is not None and self._clock() > self._kill_at:
                self._process.stop()
            return TICK_S
        self._end(code)
        return None

    def close(self) -> None:
        """End whatever runs, at once. What was half done is put right by the next run."""
        if self._process is not None and self._folder is not None:
            (self._folder / "stop").touch()
        self._let_go()
        if self.busy:
            self.state = State.IDLE

    def _hear(self, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            # Python's own last words, where the installer could not even begin.
            self._stray = line.strip()[:200]
            return
        if not isinstance(said, dict):
            return
        if "stage" in said and self.state is not State.CANCELLING:
            stage = State(said["stage"])
            if stage is not self.state:
                self._move(stage)
        elif "fraction" in said and self.state is not State.CANCELLING:
            overall = self._overall(float(said["fraction"]))
            self.progress = Progress(overall, said["text"], float(said["speed"]), said["left"])
        elif "failure" in said:
            self._outcome = Failure(*said["failure"])
        elif "done" in said:
            self._outcome = str(said["done"])

    def _overall(self, fraction: float) -> float:
        stages = STAGES[self.task] if self.task is not None else ()
        total = sum(_SHARES[stage] for stage in stages)
        before = 0.0
        for stage in stages:
            if stage.value == self.state.value:
                return max(self.progress.fraction, (before + fraction * _SHARES[stage]) / total)
            before += _SHARES[stage]
        return self.progress.fraction

    def _finish(self, state: State) -> None:
        self._move(state)
        self.progress = Progress(1.0 if state is State.DONE else self.progress.fraction)

    def _end(self, code: int) -> None:
        """The process has gone, and with it its hold on the folder: with its last word said, or without."""
        self._let_go()
        if isinstance(self._outcome, str):
            self.sentence = self._outcome
            self._finish(State.DONE)
            return
        cancelled = self.state is State.CANCELLING
        self.failure = self._outcome or (_CANCELLED if cancelled else _gone(code, self._stray))
        self._finish(State.CANCELLED if self.failure.code == ErrorCode.CANCELLED and cancelled else State.FAILED)

    def _move(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise UVMapError(ErrorCode.INTERNAL, f"The set-up can't go from {self.state} to {state}.")
        self.state = state

    def _let_go(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None
        if self._folder is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._folder)
            self._folder = None


def _gone(code: int, said: str) -> Failure:
    return Failure(
        ErrorCode.SETUP_FAILED.value,
        f"The installer ended unexpectedly with exit code {code}.{f' It said: {said}' if said else ''}",
        "Start it again: it goes on where it stopped.",
    )
