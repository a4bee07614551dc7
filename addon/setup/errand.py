"""One command of the backend, run beside Blender: what it says, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..link.errors import ErrorCode, Failure
from .child import Child

TICK_S = 0.2
_ERROR = "error: "
_SAID_LIMIT = 4000


class Process(Protocol):
    """What an errand needs of `Child`."""

    def lines(self) -> list[str]:
        """What it has said since the last call."""
        ...

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        ...

    def close(self) -> None:
        """End it if it still runs."""
        ...


Start = Callable[[Sequence[str]], Process]


class Errand:
    """A command under way. Call `tick` until `ended`."""

    def __init__(self, command: Sequence[str], start_process: Start = Child) -> None:
        """Start it; where that fails, it has ended with a failure.

        Args:
            command: The program and its arguments.
            start_process: Starts a command.
        """
        self.said: list[str] = []
        self.latest: dict[str, Any] = {}
        self.failure: Failure | None = None
        self.ended = False
        self.cancelled = False
        self._process: Process | None = None
        try:
            self._process = start_process(command)
        except OSError as error:
            self.ended = True
            self.failure = Failure(
                ErrorCode.BACKEND_NOT_FOUND.value,
                f"The backend's command \"{command[0]}\" can't be run: {error.strerror or error}.",
                "Set the backend up, or choose its program in the preferences.",
            )

    def tick(self) -> bool:
        """Take in what it says. Returns True once it has ended."""
        if self._process is None:
            return True
        code = self._process.poll()
        for line in self._process.lines():
            self._hear(line)
        if code is None:
            return False
        self._close()
        if code != 0 and self.failure is None:
            self.failure = self._named() or Failure(
                ErrorCode.INTERNAL.value,
                f"The backend's command ended with {code}: {(self.said or ['it said nothing'])[-1][:200]}",
                "Diagnose says more.",
            )
        return True

    def cancel(self) -> None:
        """End it at once. What has been downloaded stays and is gone on with."""
        if not self.ended:
            self.cancelled = True
            self.failure = Failure(ErrorCode.CANCELLED.value, "Cancelled; what has come is kept.")
            self._close()

    def answer(self) -> Any:
        """What it printed, as JSON; None where that isn't any."""
        text = "\n".join(self.said)
        try:
            return json.loads(text[max(0, text.find("{")) :])
        except ValueError:
            return None

    def _hear(self, line: str) -> None:
        self.said = [*self.said[-_SAID_LIMIT:], line]
        if line.startswith("{") and line.endswith("}"):
            try:
                self.latest = json.loads(line)
            except ValueError:
                return

    def _named(self) -> Failure | None:
        """The failure in "error: code: sentence" and the line after it."""
        for number, line in enumerate(self.said):
            if line.startswith(_ERROR):
                code, _, message = line.removeprefix(_ERROR).partition(": ")
                after = self.said[number + 1] if number + 1 < len(self.said) else ""
                return Failure(code, message, after.strip() if after.startswith("  ") else "")
        return None

    def _close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None
        self.ended = True
