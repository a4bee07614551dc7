"""The worker process: started when there is work, killed when it doesn't listen, replaced when it dies."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import zmq

from uvmap_id.link.errors import ErrorCode, Failure, LinkError, UVMapError
from uvmap_id.link.logs import last_words, open_log

from .words import LINE_LIMIT, Run, ServerWord, Stop, WorkerNote, WorkerWord, from_line, to_line

WORKER_COMMAND = (sys.executable, "-P", "-m", "uvmap_id.worker")

_CANCEL_GRACE_S = 5.0
_EXIT_GRACE_S = 1.0
_ENDPOINT = "inproc://worker"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """The worker is gone, and with it whatever it was doing.

    Attributes:
        failure: How it ended.
        runs: How many jobs it was given, the last one included.
    """

    failure: Failure
    runs: int


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    reader: threading.Thread
    number: int
    log_start: int
    runs: int = 0
    verdict: Failure | None = None


class Supervisor:
    """Owns at most one worker process, which does one job at a time.

    A thread reads each worker's pipe and hands the lines on through `socket`, because not every platform can
    poll a pipe together with a socket.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        log: Path,
        command: Sequence[str] = WORKER_COMMAND,
        cancel_grace_s: float = _CANCEL_GRACE_S,
    ) -> None:
        """Nothing is started yet.

        Args:
            context: Of the server's sockets.
            log: File for the worker's stderr.
            command: Starts a worker.
            cancel_grace_s: A worker that is still busy so long after `stop` is killed.
        """
        self.log = log
        self.socket = context.socket(zmq.PULL)
        # Lines from a pipe are slower than this loop; a limit could only block the thread at the end.
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.bind(_ENDPOINT)
        self._context = context
        self._command = list(command)
        self._cancel_grace_s = cancel_grace_s
        self._numbers = itertools.count(1)
        self._worker: _Worker | None = None
        self._kill_at: float | None = None

    def run(self, run: Run) -> None:
        """Have the worker do a job; starts the worker if there is none. Raises `UVMapError` where that fails."""
        self._kill_at = None
        if self._worker is None:
            try:
                self._worker = self._start()
            except OSError as error:
                raise UVMapError(
                    ErrorCode.WORKER_DIED, f"The worker can't be started: {error}.", "Run: uvmap-id doctor"
                ) from error
        self._worker.runs += 1
        self._say(run)

    def stop(self, job: str) -> None:
        """Ask the worker to end its job; `kill_overdue` sees to it that it does."""
        self._kill_at = time.monotonic() + self._cancel_grace_s
        self._say(Stop(job))

    def receive(self) -> Iterator[WorkerWord | WorkerDied]:
        """What the worker has said since the last call."""
        while True:
            try:
                number, line = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if self._worker is None or int(number) != self._worker.number:
                continue
            if not line:
                yield self._bury(self._worker)
                continue
            try:
                word = from_line(line)
            except LinkError as error:
                _log.error("killing a worker that talks nonsense: %s", error)
                self._worker.verdict = Failure(
                    ErrorCode.WORKER_DIED.value,
                    "The worker said something that makes no sense, and was ended.",
                    f"Try again. The worker's log: {self.log}",
                )
                _kill_group(self._worker.process)
                continue
            if not isinstance(word, ServerWord | WorkerNote):
                yield word

    def job_ended(self) -> None:
        """The worker has nothing to do any more, so there is nothing to kill it for."""
        self._kill_at = None

    def kill_overdue(self) -> None:
        """Kill a worker that was asked to stop and didn't."""
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            _log.warning("killing the worker: it did not stop within %.0f s", self._cancel_grace_s)
            self._kill_at = None
            if self._worker is not None:
                _kill_group(self._worker.process)

    def close(self) -> None:
        """End the worker, by force where it doesn't end by itself."""
        worker, self._worker = self._worker, None
        if worker is not None:
            with contextlib.suppress(OSError):
                _pipe(worker.process.stdin).close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(_EXIT_GRACE_S)
            _kill_group(worker.process)
            worker.process.wait()
            worker.reader.join()
        self.socket.close(0)

    def _start(self) -> _Worker:
        with open_log(self.log) as log:
            log_start = log.seek(0, os.SEEK_END)
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # A Ctrl-C in the terminal is the server's to answer.
                start_new_session=sys.platform != "win32",
                creationflags=subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0,
            )
        number = next(self._numbers)
        reader = threading.Thread(target=_pump, args=(self._context, process, number), name=f"worker-{number}")
        reader.start()
        return _Worker(process, reader, number, log_start)

    def _say(self, word: ServerWord) -> None:
        if self._worker is None:
            return
        # A broken pipe is a worker that died; the end of its stdout says so, and is dealt with there.
        with contextlib.suppress(OSError):
            stdin = _pipe(self._worker.process.stdin)
            stdin.write(to_line(word))
            stdin.flush()

    def _bury(self, worker: _Worker) -> WorkerDied:
        self._worker, self._kill_at = None, None
        try:
            code = worker.process.wait(_EXIT_GRACE_S)
        except subprocess.TimeoutExpired:
            # It closed its stdout and lives on: nobody could hear it any more.
            _kill_group(worker.process)
            code = worker.process.wait()
        worker.reader.join()
        with contextlib.suppress(OSError):
            _pipe(worker.process.stdin).close()
        _log.warning("the worker ended with code %d", code)
        failure = worker.verdict or death_in_words(code, self.log, worker.log_start)
        return WorkerDied(failure, worker.runs)


def death_in_words(code: int, log: Path, log_start: int) -> Failure:
    """What a person is told of a worker that ended while it had a job.

    Args:
        code: As from `Popen.returncode`: the exit code, or the signal's number negated.
        log: The worker's stderr.
        log_start: Where in the log this worker's part begins.
    """
    if code >= 0:
        said = last_words(log, log_start)
        message = f"The worker ended with exit code {code}" + (f": {said}" if said else ".")
        return Failure(ErrorCode.WORKER_DIED.value, message, f"Run: uvmap-id doctor. The worker's log: {log}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return Failure(
            ErrorCode.WORKER_DIED.value,
            "The worker was killed (SIGKILL), which most often means that the memory ran out.",
            "Choose a smaller size or close other programs, then try again.",
        )
    return Failure(ErrorCode.WORKER_DIED.value, f"The worker crashed ({name}).", f"Try again. The worker's log: {log}")


def _pump(context: zmq.Context[zmq.Socket[bytes]], process: subprocess.Popen[bytes], number: int) -> None:
    """Hand on a worker's lines, then an empty one for the end."""
    with context.socket(zmq.PUSH) as socket, _pipe(process.stdout) as lines:
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.connect(_ENDPOINT)
        name = str(number).encode()
        for line in iter(partial(lines.readline, LINE_LIMIT), b""):
            socket.send_multipart([name, line])
        socket.send_multipart([name, b""])


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("The worker was started without pipes.")
    return stream


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker together with whatever it started."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
