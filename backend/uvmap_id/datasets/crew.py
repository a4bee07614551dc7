"""Worker processes on this machine, and whoever looks after them: gives out items, replaces the dead, loses nothing."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from uvmap_id.datasets.making import DEATHS_LIMIT, Outcome, read_outcome
from uvmap_id.datasets.plan import Item
from uvmap_id.datasets.worker import READY, thread_limits
from uvmap_id.link.errors import ErrorCode, LinkError, UVMapError

WORKER = (sys.executable, "-P", "-m", "uvmap_id.datasets.worker")

_DEVICE_VARIABLE = "CUDA_VISIBLE_DEVICES"
_LOOK_EVERY_S = 0.5
# So many items, one after the other, that only killed: it is not the items.
_HOPELESS = 3
_LOG_TAIL = 400


@dataclass(frozen=True, slots=True)
class CrewOptions:
    """How many processes, and what each may use.

    Attributes:
        workers: Processes; each has an engine of its own.
        threads: For the libraries that calculate, in each process.
        devices: Graphics cards to share out, as CUDA_VISIBLE_DEVICES names them.
        command: Starts a worker; the dataset's folder is added.
    """

    workers: int = 1
    threads: int = 1
    devices: tuple[str, ...] = ()
    command: Sequence[str] = WORKER


class _Worker:
    """A process, and the thread that listens to it."""

    def __init__(self, number: int, folder: Path, logs: Path, options: CrewOptions, heard: queue.SimpleQueue) -> None:
        self.number = number
        self.item: Item | None = None
        self.is_ready = False
        self.log = logs / f"worker-{number}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*options.command, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(number, options),
                # Ctrl-C in a terminal reaches all processes of its group.
                start_new_session=True,
            )
        # Popen leaves open what pipes it has made.
        self._to, self._from = cast("IO[bytes]", self.process.stdin), cast("IO[bytes]", self.process.stdout)
        threading.Thread(target=self._listen, args=(heard,), name=f"worker-{number}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def give(self, item: Item) -> None:
        """Hand over an item. That the process is dead is noticed by the one who listens."""
        self.item = item
        with contextlib.suppress(BrokenPipeError):
            self._to.write(item.line().encode() + b"\n")
            self._to.flush()

    def end(self) -> None:
        """Kill the process and wait for its end: files appear whole or not at all, so nothing is lost."""
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._to.close()

    def _listen(self, heard: queue.SimpleQueue) -> None:
        with self._from as lines:
            for line in lines:
                heard.put((self, line))
        heard.put((self, b""))


class Crew:
    """Makes items with worker processes. Use it as a context manager: none of them outlives it."""

    def __init__(self, folder: Path, logs: Path, options: CrewOptions) -> None:
        """`folder` is the dataset's, `logs` where the workers write what happens."""
        self._folder = folder
        self._logs = logs
        self._options = options
        self._heard: queue.SimpleQueue = queue.SimpleQueue()
        self._workers: dict[int, _Worker] = {}
        self._deaths_of_the_unready = 0
        self._poisonous_in_a_row = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()

    @property
    def pids(self) -> list[int]:
        """Of the processes that run now."""
        return [worker.pid for worker in self._workers.values()]

    def run(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """The outcomes of items, in the order in which they end. Takes no more items than there are workers.

        Raises:
            UVMapError: worker_crash_loop.
        """
        left = iter(items)
        for number in range(self._options.workers):
            item = next(left, None)
            if item is None:
                break
            self._start(number, item)
        while any(worker.item is not None for worker in self._workers.values()):
            heard = self._hear()
            if heard is None:
                continue
            worker, line = heard
            if self._workers.get(worker.number) is not worker:
                continue
            if not line:
                self._replace(worker)
            elif line == READY:
                worker.is_ready = True
                self._deaths_of_the_unready = 0
            elif (outcome := self._outcome(worker, line)) is not None:
                worker.item = None
                if (item := next(left, None)) is not None:
                    worker.give(item)
                yield outcome

    def _start(self, number: int, item: Item) -> None:
        worker = self._workers[number] = _Worker(number, self._folder, self._logs, self._options, self._heard)
        worker.give(item)

    def _hear(self) -> tuple[_Worker, bytes] | None:
        try:
            # With a limit, so that Ctrl-C is heard on Windows too.
            return self._heard.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            return None

    def _outcome(self, worker: _Worker, line: bytes) -> Outcome | None:
        try:
            outcome = read_outcome(line)
        except (LinkError, ValueError):
            return None
        if worker.item is None or outcome.key != worker.item.key:
            return None
        if outcome.code == ErrorCode.WORKER_DIED:
            self._poisonous_in_a_row += 1
            if self._poisonous_in_a_row >= _HOPELESS:
                raise self._hopeless(worker)
        else:
            self._poisonous_in_a_row = 0
        return outcome

    def _replace(self, worker: _Worker) -> None:
        """The process has ended, whoever ended it: a new one makes its item again."""
        worker.end()
        if not worker.is_ready:
            self._deaths_of_the_unready += 1
            if self._deaths_of_the_unready >= DEATHS_LIMIT:
                raise self._hopeless(worker)
        if worker.item is None:
            del self._workers[worker.number]
        else:
            self._start(worker.number, worker.item)

    def _hopeless(self, worker: _Worker) -> UVMapError:
        said = worker.log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip()
        last = said.splitlines()[-1] if said else "they said nothing"
        return UVMapError(
            ErrorCode.WORKER_CRASH_LOOP,
            f"The worker processes die again and again: {last}.",
            f"Look into {worker.log}. What was finished is kept: the same command goes on.",
        )


def _environment(number: int, options: CrewOptions) -> Mapping[str, str]:
    environment = os.environ | thread_limits(options.threads)
    if options.devices:
        environment[_DEVICE_VARIABLE] = options.devices[number % len(options.devices)]
    return environment
