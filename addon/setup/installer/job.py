"""One run of the installer: what it is told, what it says, and how it is stopped."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from ...link.errors import ErrorCode, Failure, UVMapError
from ...link.process import is_running
from ..child import Child, clean_environment
from .places import LOG

_STEP_S = 0.05
_LOOK_S = 1.0


class Task(StrEnum):
    """What a run is for."""

    INSTALL = "install"
    REPAIR = "repair"
    VERIFY = "verify"
    REMOVE = "remove"


class Stage(StrEnum):
    """The stages of a run, in their order."""

    CHECKING = "checking"
    PYTHON = "python"
    ENVIRONMENT = "environment"
    PACKAGES = "packages"
    PACKAGE = "package"
    VERIFYING = "verifying"
    REMOVING = "removing"


STAGES: dict[Task, tuple[Stage, ...]] = {
    Task.INSTALL: tuple(stage for stage in Stage if stage is not Stage.REMOVING),
    Task.REPAIR: tuple(stage for stage in Stage if stage is not Stage.REMOVING),
    Task.VERIFY: (Stage.VERIFYING,),
    Task.REMOVE: (Stage.REMOVING,),
}


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is told.

    Attributes:
        task: What for.
        root: The folder that everything goes to.
        variant: What is installed, or "auto" for what fits this computer.
        python: The Python that the environment is made of; "" finds or fetches one.
        requirements: The folder with the locked requirements.
        wheel: The backend's wheel.
        stop: A file that ends the run when it appears.
        parent: The process that the run is for; the run ends with it.
        parent_started: What `process_start` says of that process.
    """

    task: str
    root: str
    variant: str
    python: str
    requirements: str
    wheel: str
    stop: str = ""
    parent: int = 0
    parent_started: str = ""

    def write(self, path: Path) -> None:
        """Write it for the run to read. Raises `OSError`."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        """What `write` has written. Raises `OSError` and `ValueError`."""
        return cls(**json.loads(path.read_bytes()))


class Run:
    """A run under way: says how far it is, starts processes, and ends them when it is to stop."""

    def __init__(self, job: Job, out: TextIO = sys.stdout, clock: Callable[[], float] = time.monotonic) -> None:
        self.job = job
        self.root = Path(job.root)
        self._out = out
        self._clock = clock
        self._looked = clock()
        self._log: TextIO | None = None

    def begin(self, stage: Stage) -> None:
        """Say that a stage begins."""
        self._say(stage=stage.value)
        self.note(f"== {stage.value}")

    def report(self, fraction: float, text: str, speed: float = 0.0, left: float | None = None) -> None:
        """Say how far the stage is.

        Args:
            fraction: 0 to 1.
            text: What is being done, for a person.
            speed: Bytes a second.
            left: Seconds, or None where nobody knows.
        """
        self._say(fraction=round(fraction, 4), text=text, speed=round(speed), left=left)

    def end(self, sentence: str) -> None:
        """Say that all went well."""
        self._say(done=sentence)

    def fail(self, failure: Failure) -> None:
        """Say what went wrong."""
        self.note(f"error: {failure}")
        self._say(failure=[failure.code, failure.message, failure.hint])

    def note(self, line: str) -> None:
        """Keep a line in the log, once there is a folder for it."""
        if self._log is None and self.root.is_dir():
            # It has the paths of this computer in it, and is read by nobody else.
            self._log = (self.root / LOG).open("a", encoding="utf-8", errors="replace")
        if self._log is not None:
            self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
            self._log.flush()

    def close(self) -> None:
        """Let go of the log."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def check(self) -> None:
        """Raise `cancelled` where the run is to stop."""
        if self.job.stop and Path(self.job.stop).exists():
            raise UVMapError(ErrorCode.CANCELLED, "Cancelled; what has been downloaded is kept.")
        if self.job.parent and self._clock() - self._looked > _LOOK_S:
            self._looked = self._clock()
            if not is_running(self.job.parent, self.job.parent_started):
                raise UVMapError(ErrorCode.CANCELLED, "Whoever asked for this has ended.")

    def process(
        self,
        command: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        variables: dict[str, str] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> tuple[int, list[str]]:
        """Run a process to its end.

        Args:
            command: The program and its arguments.
            on_line: Called for each line that it writes.
            variables: More variables for it.
            on_wait: Called now and then.

        Returns:
            Its exit code, and its last lines.

        Raises:
            UVMapError: `cancelled`, or `setup_failed` where it can't be started.
        """
        try:
            child = Child(command, {**clean_environment(), **(variables or {})}, leads=False)
        except OSError as error:
            raise UVMapError(
                ErrorCode.SETUP_FAILED,
                f"{command[0]} can't be started: {error.strerror or error}.",
                "Choose Repair; if that does not help, remove the backend and set it up again.",
            ) from error
        said: list[str] = []
        try:
            while True:
                code = child.poll()
                for line in child.lines():
                    self.note(line)
                    said = [*said[-200:], line]
                    if on_line is not None:
                        on_line(line)
                if code is not None:
                    return code, said
                self.check()
                if on_wait is not None:
                    on_wait()
                time.sleep(_STEP_S)
        finally:
            child.close()

    def _say(self, **values: object) -> None:
        self._out.write(json.dumps(values) + "\n")
        self._out.flush()
