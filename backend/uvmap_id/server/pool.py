"""The workers: started when there is work, watched while they do it, replaced when they die.

A worker is a process that does one job at a time. What it says comes in over `Pool.socket`, and how it ends is one
`WorkerDied`. Nothing here waits for a worker: one that hangs, floods its pipes or can't be killed holds up nobody.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import secrets
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from uvmap_id.link.errors import ErrorCode, Failure, LinkError, UVMapError
from uvmap_id.link.messages import Cancelled, Failed, Progress

from .deaths import DeathKind, Remains, describe
from .devices import VISIBLE_VARIABLE, visible_devices
from .limits import Pace, RestartLimits, Restarts, StageLimits
from .mailbox import Mailbox
from .oom import oom_kills
from .orphans import SERVER_VARIABLE, server_description
from .reaping import MARK_VARIABLE, Record, reap, worker_mark
from .words import Finished, Leaving, Ready, Run, ServerWord, Stop, Word, WorkerWord, from_line, to_line
from .worker_log import WorkerLog, personal_texts
from .worker_process import WorkerProcess
from .worker_state import Worker, WorkerState

WORKER_COMMAND = (sys.executable, "-P", "-m", "uvmap_id.worker")
LOG_TAIL_LINES = 200

# How long a worker that is to be killed may write where it stood.
_LAST_LOOK_S = 0.25
# A killed process that sits in the kernel, as in a driver that hangs, may never end; nobody is to wait for it.
_ABANDON_S = 10.0
_CLOSE_S = 5.0
# Later than it asked to be called by so much, the server itself was stopped, or the machine slept.
_FROZEN_S = 5.0
_LONGEST_PAUSE_S = 1.0
_WORDS_A_CALL = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How workers are run.

    Attributes:
        command: Starts a worker.
        count: At most so many at once.
        cancel_grace_s: A worker that is still busy so long after `Pool.stop` is killed.
        limits: When a worker is taken for stalled.
        restarts: When workers that die are not replaced at once.
        exit_grace_s: So long do workers have to end by themselves when the server ends.
        devices: Graphics cards to share out among several workers, as CUDA names them; None looks for them.
        clock: Monotonic seconds.
    """

    command: Sequence[str] = WORKER_COMMAND
    count: int = 1
    cancel_grace_s: float = 5.0
    limits: StageLimits = field(default_factory=StageLimits)
    restarts: RestartLimits = field(default_factory=RestartLimits)
    exit_grace_s: float = 1.0
    devices: tuple[str, ...] | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker is gone, and with it whatever it was doing.

    Attributes:
        job: What it was doing; "" if nothing.
        began: It had reported progress on that job. Otherwise its death is not the job's fault.
        kind: What ended it.
        failure: The same in words.
        log_tail: The last lines of its log.
    """

    job: str
    began: bool
    kind: DeathKind
    failure: Failure
    log_tail: tuple[str, ...]


class Pool:
    """Owns the worker processes. All of it is to be called in one thread, best the main one; see `orphans`.

    Attributes:
        socket: Readable when there is something for `receive`.
        broken: Why no worker is started any more; None while all is well. `mend` tries again.
        reaped: How many processes of an earlier server were ended.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], folder: Path, options: PoolOptions | None = None
    ) -> None:
        """No worker is started yet. What an earlier server of this folder left running is ended.

        Args:
            context: Of the server's sockets.
            folder: For logs and the workers' mark; no other server may use it.
            options: How workers are run.

        Raises:
            OSError: The folder can't be written.
        """
        self._options = options or PoolOptions()
        self._folder = folder
        self.reaped = reap(folder)
        self._mark = secrets.token_hex(16)
        self._record = Record(folder, self._mark)
        self._mailbox = Mailbox(context)
        self.socket = self._mailbox.socket
        self.broken: Failure | None = None
        self._devices = self._options.devices
        self._numbers = itertools.count(1)
        self._workers: dict[int, Worker] = {}
        self._abandoned: deque[Worker] = deque()
        self._unkillable: list[WorkerProcess] = []
        self._restarts = Restarts(self._options.restarts)
        self._expected_at: float | None = None

    def free(self) -> int:
        """How many jobs may be given now."""
        idle = sum(worker.state is WorkerState.IDLE for worker in self._workers.values())
        return idle + self._startable()

    def run(self, run: Run) -> None:
        """Have a worker do a job, the one that has been here longest, or a new one.

        Raises:
            UVMapError: worker_died: none can be started. worker_crash_loop: none is started any more.
        """
        idle = (worker for worker in self._workers.values() if worker.state is WorkerState.IDLE)
        worker = next(idle, None) or self._start()
        now = self._options.clock()
        worker.become(WorkerState.BUSY)
        worker.job, worker.began = run.job, False
        worker.pace, worker.heard_at = Pace(self._options.limits, now), now
        worker.process.log.hide(personal_texts(run))
        self._say(worker, run)

    def stop(self, job: str) -> None:
        """Ask a worker to end its job; `supervise` sees to it that it does. Nothing where no worker has that job."""
        worker = self._worker_of(job)
        if worker is not None and worker.state is WorkerState.BUSY:
            worker.become(WorkerState.STOPPING)
            worker.deadline = self._options.clock() + self._options.cancel_grace_s
            self._say(worker, Stop(job))

    def receive(self) -> Iterator[WorkerWord | WorkerDied]:
        """What the workers have said since the last call, and which of them died. At most some hundred at a time."""
        while self._abandoned:
            worker = self._abandoned.popleft()
            if worker.number in self._workers:
                yield from self._bury(worker)
        for _ in range(_WORDS_A_CALL):
            mail = self._mailbox.receive()
            if mail is None:
                return
            number, line = mail
            worker = self._workers.get(number)
            if worker is None:
                continue
            yield from self._hear(worker, line) if line else self._bury(worker)

    def supervise(self) -> float | None:
        """Kill what is overdue or stalled.

        Returns:
            Seconds until it must be called again; None where nothing is due.
        """
        now = self._options.clock()
        self._forgive(now)
        for worker in list(self._workers.values()):
            due = worker.due
            if due is not None and now >= due:
                self._act(worker, now)
        times = [worker.due for worker in self._workers.values()]
        times += [now + self._restarts.wait(now) if self._restarts.wait(now) else None]
        nearest = min((moment for moment in times if moment is not None), default=None)
        pause = None if nearest is None else min(max(0.0, nearest - now), _LONGEST_PAUSE_S)
        self._expected_at = None if pause is None else now + pause
        return pause

    def mend(self) -> None:
        """A person has seen to it that workers can live: start them again."""
        self.broken = None
        self._restarts.reset()

    def close(self) -> None:
        """End all workers, by force those that don't end by themselves."""
        self._mailbox.close()
        workers = list(self._workers.values())
        for worker in workers:
            worker.process.say(b"")
        grace_ends = time.monotonic() + self._options.exit_grace_s
        for worker in workers:
            if not worker.process.wait(max(0.0, grace_ends - time.monotonic())):
                worker.process.kill()
        gone = [worker.process.wait(_CLOSE_S) for worker in workers]
        gone += [process.wait(0.0) for process in self._unkillable]
        self._workers.clear()
        if all(gone):
            with contextlib.suppress(OSError):
                self._record.remove()

    def _startable(self) -> int:
        if self.broken is not None or self._restarts.wait(self._options.clock()):
            return 0
        return max(0, self._options.count - len(self._workers))

    def _start(self) -> Worker:
        if self.broken is not None:
            raise UVMapError(ErrorCode.WORKER_CRASH_LOOP, self.broken.message, self.broken.hint)
        if not self._startable():
            raise UVMapError(ErrorCode.WORKER_DIED, "No worker is free.", "Try again.")
        number = next(self._numbers)
        slot = min(set(range(self._options.count)) - {worker.slot for worker in self._workers.values()})
        mark = worker_mark(self._mark, number)
        now = self._options.clock()
        log = WorkerLog(self._folder / f"worker-{slot + 1}.log")
        try:
            process = WorkerProcess(
                self._options.command, self._environment(slot, mark), mark, log, lambda line: self._post(number, line)
            )
        except OSError as error:
            log.close()
            message = f"The worker can't be started: {error}."
            self._note_failed_start(now, message)
            raise UVMapError(ErrorCode.WORKER_DIED, message, "Run: uvmap-id doctor") from error
        worker = Worker(number, slot, process, now, oom_kills())
        self._workers[number] = worker
        _log.info("worker %d started, process %d", number, process.pid)
        return worker

    def _environment(self, slot: int, mark: str) -> dict[str, str]:
        environment = {**os.environ, MARK_VARIABLE: mark, SERVER_VARIABLE: server_description()}
        if self._options.count > 1:
            if self._devices is None:
                self._devices = visible_devices()
            if len(self._devices) > 1:
                environment[VISIBLE_VARIABLE] = self._devices[slot % len(self._devices)]
        return environment

    def _post(self, number: int, line: bytes) -> None:
        self._mailbox.post(number, line)

    def _say(self, worker: Worker, word: ServerWord) -> None:
        worker.process.say(to_line(word))

    def _worker_of(self, job: str) -> Worker | None:
        return next((worker for worker in self._workers.values() if job and worker.job == job), None)

    def _hear(self, worker: Worker, line: bytes) -> Iterator[WorkerWord]:
        if worker.verdict is DeathKind.NONSENSE:
            return
        try:
            word = from_line(line)
            self._check(worker, word)
        except LinkError as error:
            _log.error("killing worker %d, which talks nonsense: %s", worker.number, error.failure.message)
            worker.process.silence()
            self._condemn(worker, DeathKind.NONSENSE, last_look_s=0.0)
            self._act(worker, self._options.clock())
            return
        worker.spoke = True
        worker.heard_at = self._options.clock()
        match word:
            case Ready() | Stop() | Run():
                return
            case Leaving():
                if worker.state is not WorkerState.DYING:
                    worker.become(WorkerState.LEAVING)
                return
            case Progress():
                worker.began = True
                if worker.pace is not None:
                    worker.pace.report(word.stage, worker.heard_at)
            case Finished() | Failed() | Cancelled():
                self._job_ended(worker)
        yield word

    def _check(self, worker: Worker, word: Word) -> None:
        """Raises `LinkError` for what a worker doesn't say, or not of this job."""
        if isinstance(word, ServerWord):
            raise LinkError("A worker said what only the server says.")
        if isinstance(word, WorkerWord) and word.job != worker.job:
            raise LinkError("A worker spoke of a job that it doesn't have.")

    def _job_ended(self, worker: Worker) -> None:
        worker.job, worker.began, worker.pace, worker.proven = "", False, None, True
        self._restarts.reset()
        if worker.state in (WorkerState.BUSY, WorkerState.STOPPING):
            worker.deadline = None
            worker.become(WorkerState.IDLE)
        elif worker.state is WorkerState.LEAVING:
            worker.deadline = worker.heard_at + self._options.cancel_grace_s

    def _act(self, worker: Worker, now: float) -> None:
        """Its time is up: tell it to show where it stands, then kill it, then forget it."""
        if worker.state is not WorkerState.DYING:
            asked = worker.state is WorkerState.STOPPING and worker.deadline is not None
            kind = DeathKind.IGNORED_CANCEL if asked else DeathKind.STALLED
            worker.silence_s = now - worker.heard_at
            _log.warning("killing worker %d: %s after %.1f s of silence", worker.number, kind, worker.silence_s)
            self._condemn(worker, kind, _LAST_LOOK_S)
            worker.process.show_where()
        elif not worker.killed:
            worker.killed = True
            worker.process.kill()
            worker.deadline = now + _ABANDON_S
        else:
            _log.error("worker %d, process %d, can't be killed", worker.number, worker.process.pid)
            worker.deadline = None
            self._unkillable.append(worker.process)
            self._abandoned.append(worker)

    def _condemn(self, worker: Worker, kind: DeathKind, last_look_s: float) -> None:
        if worker.state is not WorkerState.DYING:
            worker.become(WorkerState.DYING)
        worker.verdict = kind
        worker.deadline = self._options.clock() + last_look_s

    def _bury(self, worker: Worker) -> Iterator[WorkerDied]:
        now = self._options.clock()
        code = worker.process.code
        tail = worker.process.log.tail(LOG_TAIL_LINES)
        ran_out = oom_kills() > worker.oom_kills
        remains = Remains(code, worker.spoke, ran_out, tail, worker.process.log.path, worker.silence_s)
        kind, failure = describe(remains, worker.verdict)
        left = worker.state is WorkerState.LEAVING and not worker.job
        worker.become(WorkerState.DEAD)
        del self._workers[worker.number]
        _log.warning("worker %d ended with code %s%s", worker.number, code, "" if left else f": {kind}")
        self._judge(worker, now, failure)
        if not left:
            yield WorkerDied(worker.job, worker.began, kind, failure, tail)

    def _judge(self, worker: Worker, now: float, failure: Failure) -> None:
        if worker.proven or (worker.spoke and now - worker.started_at >= self._options.restarts.stable_s):
            self._restarts.reset()
        else:
            self._note_failed_start(now, failure.message)

    def _note_failed_start(self, now: float, message: str) -> None:
        self._restarts.failed(now)
        if self._restarts.exhausted and self.broken is None:
            self.broken = Failure(
                ErrorCode.WORKER_CRASH_LOOP.value,
                f"The worker died {self._restarts.failures} times in a row. The last time: {message}",
                "Run: uvmap-id doctor. When the cause is mended: uvmap-id jobs resume",
            )
            _log.error("no worker is started any more: %s", message)

    def _forgive(self, now: float) -> None:
        """Charge no worker for the time in which nobody listened."""
        late = 0.0 if self._expected_at is None else now - self._expected_at
        if late < _FROZEN_S:
            return
        _log.warning("nothing was heard for %.0f s: this process was stopped, or the machine slept", late)
        for worker in self._workers.values():
            worker.heard_at += late
            if worker.deadline is not None:
                worker.deadline += late
            if worker.pace is not None:
                worker.pace.forgive(late)
