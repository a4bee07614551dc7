"""Named places in the life of a process at which the tests make it die or stop, and a diary of what it did.

The processes that the tests start wrap functions of the product with `wrap`; the product knows nothing of it. A test
arms a point with `Plan.arm`: the first process that comes there takes the charge, which counts it, and is hit.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PLAN_VARIABLE = "UVMAP_ID_FAULT_PLAN"

_ARMED, _FIRED = ".armed", ".fired"


class Plan:
    """What is to happen, and what has happened; a folder that the processes share."""

    def __init__(self, folder: Path) -> None:
        """The folder is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    @classmethod
    def current(cls) -> Plan:
        """The one that this process was started under."""
        return cls(Path(os.environ[PLAN_VARIABLE]))

    def arm(self, point: str, number: int = signal.SIGKILL) -> None:
        """The next process that reaches the point sends itself this signal, once."""
        (self.folder / f"{point}.new").write_text(str(int(number)))
        (self.folder / f"{point}.new").rename(self.folder / (point + _ARMED))

    def disarm(self, point: str) -> None:
        """Nothing happens there any more."""
        (self.folder / (point + _ARMED)).unlink(missing_ok=True)

    def is_armed(self, point: str) -> bool:
        """Whether nobody came there yet."""
        return (self.folder / (point + _ARMED)).exists()

    def fired(self, point: str) -> int:
        """How often a process was hit there."""
        return len(list(self.folder.glob(f"{point}.*{_FIRED}")))

    def fired_at(self, point: str) -> float:
        """When a process was hit there last, by the monotonic clock, which all processes share."""
        return max(int(path.name.split(".")[-2].split("-")[1]) for path in self.folder.glob(f"{point}.*{_FIRED}")) / 1e9

    def reach(self, point: str) -> None:
        """This process has come to a point; it may not return from here."""
        armed = self.folder / (point + _ARMED)
        mine = self.folder / f"{point}.{os.getpid()}-{time.monotonic_ns()}{_FIRED}"
        try:
            armed.rename(mine)
        except FileNotFoundError:
            return
        os.kill(os.getpid(), int(mine.read_text()))

    def note(self, *words: str) -> None:
        """A line in the diary; lines of several processes stand in the order in which they were written."""
        line = (" ".join(words) + "\n").encode()
        file = os.open(self.folder / "diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)

    def diary(self) -> list[list[str]]:
        """The lines so far, in words."""
        try:
            return [line.split() for line in (self.folder / "diary").read_text().splitlines()]
        except FileNotFoundError:
            return []


def wrap(
    owner: Any, name: str, before: Callable[..., None] | None = None, after: Callable[[Any], None] | None = None
) -> None:
    """Replace a function by one that does something before it, told its arguments, or after it, told its result."""
    real: Callable[..., Any] = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if before is not None:
            before(*arguments)
        result = real(*arguments, **named)
        if after is not None:
            after(result)
        return result

    setattr(owner, name, wrapped)
