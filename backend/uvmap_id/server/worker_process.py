"""One worker's process with its pipes. Whatever it does, it can neither block nor flood the server."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import IO

from .job_object import JobObject
from .reaping import kill_family, kill_group
from .words import LINE_LIMIT
from .worker_log import WorkerLog

# What the worker's children may hold open for so long after all of them were killed.
_DRAIN_S = 2.0

Deliver = Callable[[bytes], None]


class WorkerProcess:
    """A process of its own session and process group, so that it can be killed with all that it started.

    Four threads: not every platform can poll a pipe, a full pipe must not stop the server, and a child that holds
    the worker's stdout open must not hide the worker's death.

    Attributes:
        pid: The process.
        log: Its stderr.
        code: Its exit code once it has ended, or its signal's number negated; None before.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], mark: str, log: WorkerLog, deliver: Deliver
    ) -> None:
        """Start it. Raises `OSError`.

        Args:
            command: Starts a worker.
            environment: All of it.
            mark: Stands in that environment.
            log: For its stderr.
            deliver: Called in other threads with each line that it says, and with b"" when it has ended.
        """
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            # A Ctrl-C in the terminal is the server's to answer.
            start_new_session=sys.platform != "win32",
            creationflags=subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0,
        )
        self.pid = self._process.pid
        self.log = log
        self.code: int | None = None
        self._job_object = JobObject(self._process)
        self._mark = mark
        self._deliver = deliver
        self._silenced = False
        self._lock = threading.Lock()
        self._waited_for = False
        self._outbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._readers = [self._thread(self._read), self._thread(partial(log.pump, _pipe(self._process.stderr)))]
        self._thread(self._write)
        self._watcher = self._thread(self._watch)

    def say(self, line: bytes) -> None:
        """Write a line to its stdin, some time; an empty one closes it."""
        self._outbox.put(line)

    def silence(self) -> None:
        """Hear no more of it."""
        self._silenced = True

    def show_where(self) -> None:
        """Have it write to its log where each of its threads stands, which may end it."""
        if sys.platform != "win32":
            with self._lock:
                if not self._waited_for:
                    os.kill(self.pid, signal.SIGUSR1)

    def kill(self) -> None:
        """End it and its process group; what else it started follows when it has ended."""
        with self._lock:
            if not self._waited_for:
                self._job_object.terminate()
                kill_group(self.pid)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended, waiting so long for it."""
        self._watcher.join(timeout_s)
        return not self._watcher.is_alive()

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name=f"worker-{self.pid}", daemon=True)
        thread.start()
        return thread

    def _read(self) -> None:
        lines = _pipe(self._process.stdout)
        with contextlib.suppress(OSError), lines:
            for line in iter(partial(lines.readline, LINE_LIMIT), b""):
                if not self._silenced:
                    self._deliver(line)

    def _write(self) -> None:
        stdin = _pipe(self._process.stdin)
        # A broken pipe is a worker that died, which is noticed elsewhere.
        with contextlib.suppress(OSError), stdin:
            while line := self._outbox.get():
                stdin.write(line)
                stdin.flush()

    def _watch(self) -> None:
        self._wait_for_end()
        kill_family(self.pid, self._mark)
        self._job_object.close()
        for reader in self._readers:
            reader.join(_DRAIN_S)
        with self._lock:
            self._waited_for = True
            self.code = self._process.wait()
        self._outbox.put(b"")
        self._deliver(b"")

    def _wait_for_end(self) -> None:
        """Until it has ended. It is not waited for as yet, so that no other process can have its number."""
        if sys.platform == "win32":
            # There the open handle holds the number.
            self._process.wait()
        elif sys.platform == "darwin":
            event = select.kevent(self.pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            with contextlib.closing(select.kqueue()) as events, contextlib.suppress(ProcessLookupError):
                events.control([event], 1)
        else:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("The worker was started without pipes.")
    return stream
