"""A child process that is followed without waiting for it and without a thread."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Lines of one `lines` call: what a tick reads must stay short.
_READ_LIMIT = 256 * 1024
# These would lead a Python of its own astray, or pip away from the environment that it runs in.
_MISLEADING = frozenset(
    {"PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    | {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON", "PIP_NO_DEPS"}
)


class Child:
    """A process whose output goes to a file: pipes can't be read without blocking on every platform."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, leads: bool = True
    ) -> None:
        """Start it.

        Args:
            command: The program and its arguments.
            environment: The variables that it sees; `clean_environment()` unless told.
            leads: Whether it leads a group of its own, so that `stop` reaches what it starts. Without, it ends with
                the group of whoever starts it.

        Raises:
            OSError: It can't be started.
        """
        descriptor, name = tempfile.mkstemp(prefix="uvmap_id-", suffix=".out")
        self._path = Path(name)
        try:
            self._output = self._path.open("rb")
            flags = 0
            if sys.platform == "win32":
                flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=subprocess.STDOUT,
                env=dict(clean_environment() if environment is None else environment),
                cwd=tempfile.gettempdir(),
                start_new_session=leads and sys.platform != "win32",
                creationflags=flags,
            )
        except OSError:
            self._output.close()
            self._path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        self._leads = leads
        self._rest = b""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def lines(self) -> list[str]:
        """The complete lines that it has written since the last call; after its end also an incomplete one."""
        ended = self._process.poll() is not None
        read = self._output.read(_READ_LIMIT)
        text = self._rest + read
        whole, _, self._rest = text.rpartition(b"\n")
        if ended and len(read) < _READ_LIMIT and self._rest:
            whole, self._rest = text, b""
        # pip draws with carriage returns here and there.
        return [line for line in whole.decode("utf-8", errors="replace").replace("\r", "\n").split("\n") if line]

    def poll(self) -> int | None:
        """Its exit code, or None while it runs. Read `lines` once more afterwards."""
        return self._process.poll()

    def stop(self) -> None:
        """End it at once with all that it has started. Doesn't wait."""
        if self._process.poll() is not None:
            return
        if sys.platform == "win32":
            # Windows has no groups of processes that end together.
            subprocess.Popen(
                ["taskkill", "/F", "/T", "/PID", str(self.pid)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
            return
        if not self._leads:
            self._process.kill()
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it if it still runs, and forget its output."""
        self.stop()
        self._process.wait()
        self._output.close()
        self._path.unlink(missing_ok=True)


def clean_environment() -> dict[str, str]:
    """The variables of this process without those that mislead another Python."""
    kept = {name: value for name, value in os.environ.items() if name.upper() not in _MISLEADING}
    return {**kept, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1"}
