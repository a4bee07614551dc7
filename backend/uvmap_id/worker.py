"""The worker process: owns an engine, does one job after the other, and may die without harm to anyone.

It talks in the lines of `server.words`, and ends when its stdin does, or its server in any other way.
"""

from __future__ import annotations

import base64
import faulthandler
import gc
import logging
import math
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from uvmap_id.engines.base import Engine, EngineLostError, JobCancelled, Report, Resting, Sparing, TextureSet
from uvmap_id.engines.memory import ran_out_of_memory
from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, LinkError, UVMapError
from uvmap_id.link.messages import Cancelled, Failed, Preview, Progress
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.orphans import EXIT_ORPHANED, end_with_server, offer_to_the_kernel
from uvmap_id.server.words import (
    LINE_LIMIT,
    SAVING,
    STARTING,
    Finished,
    Leaving,
    Ready,
    Run,
    Stop,
    WorkerNote,
    WorkerWord,
    from_line,
    to_line,
)
from uvmap_id.standard_streams import take_standard_streams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EngineFactory = Callable[[str], Engine]
EngineChoice = Callable[[str], str]

_REPORT_EVERY_S = 0.1
_PREVIEW_EVERY_S = 0.5
_REST_AFTER_S = 300.0
_ORPHAN_GRACE_S = 2.0

_log = logging.getLogger(__name__)


class Inbox:
    """Reads the server's lines in a thread of its own, so that a busy engine hears of a cancel."""

    def __init__(self, lines: IO[bytes]) -> None:
        """Reading begins at once."""
        self._lines = lines
        self._runs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._stopped: set[str] = set()
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def next_run(self, timeout_s: float | None = None) -> Run | None:
        """Block until there is a job; None when the server is gone. Raises `queue.Empty` after the timeout."""
        return self._runs.get(timeout=timeout_s)

    def is_stopped(self, job: str) -> bool:
        """True once the server has asked for the job's end."""
        return job in self._stopped

    def _read(self) -> None:
        for line in iter(partial(self._lines.readline, LINE_LIMIT), b""):
            try:
                word = from_line(line)
            except LinkError as error:
                _log.error("the server's line makes no sense: %s", error)
                continue
            if isinstance(word, Run):
                # A job may be run again after it was stopped.
                self._stopped.discard(word.job)
                self._runs.put(word)
            elif isinstance(word, Stop):
                self._stopped.add(word.job)
        self._runs.put(None)
        # Nobody wants the result any more, and an engine may not look up for minutes.
        time.sleep(_ORPHAN_GRACE_S)
        os._exit(EXIT_ORPHANED)


class ProgressReport:
    """The `Report` of one job: forwards progress, never backwards, and previews, and raises on a cancel.

    Neither more often than somebody could look.
    """

    def __init__(self, job: str, say: Callable[[WorkerWord], None], inbox: Inbox) -> None:
        """`say` is called for each progress and each preview that is worth it."""
        self._job = job
        self._say = say
        self._inbox = inbox
        self._stage = ""
        self._fraction = 0.0
        self._said_at = self._shown_at = -math.inf

    def __call__(self, stage: str, fraction: float, preview: NDArray[np.uint8] | None = None) -> None:
        """Raises `JobCancelled` when the job is to end."""
        if self._inbox.is_stopped(self._job):
            raise JobCancelled
        # In this order a NaN becomes the old fraction.
        self._fraction = min(1.0, max(self._fraction, fraction))
        now = time.monotonic()
        if stage != self._stage or now - self._said_at >= _REPORT_EVERY_S:
            self._stage, self._said_at = stage, now
            self._say(Progress(self._job, stage, self._fraction))
        if preview is not None and now - self._shown_at >= _PREVIEW_EVERY_S:
            self._shown_at = now
            # Only engines that show something need what makes pictures.
            from uvmap_id.previews import preview_png

            self._say(Preview(self._job, base64.b64encode(preview_png(preview)).decode()))


class Worker:
    """Does jobs with the engines that a factory makes, and keeps those for the next job.

    Engines that hold much are asked to rest when there is no work for a while.
    """

    def __init__(
        self,
        engine_factory: EngineFactory,
        inbox: Inbox,
        out: IO[bytes],
        choose_engine: EngineChoice = str,
        rest_after_s: float = _REST_AFTER_S,
    ) -> None:
        """Nothing is made yet.

        Args:
            engine_factory: Makes an engine by its name.
            inbox: Brings the jobs.
            out: Leads to the server.
            choose_engine: Says which engine a request's word for one means today.
            rest_after_s: So long without work until engines rest.
        """
        self._engine_factory = engine_factory
        self._choose_engine = choose_engine
        self._rest_after_s = rest_after_s
        self._lost = False
        self._engines: dict[str, Engine] = {}
        self._inbox = inbox
        self._out = out

    def work(self) -> None:
        """Do jobs until the server is gone, or this process is of no use any more."""
        self._say(Ready())
        while not self._lost and (run := self._next_run()) is not None:
            result = self._result_of(run)
            if self._lost:
                # First, so that the server gives it no other job meanwhile.
                self._say(Leaving())
            self._say(result)

    def _next_run(self) -> Run | None:
        try:
            return self._inbox.next_run(self._rest_after_s)
        except queue.Empty:
            for engine in self._engines.values():
                if isinstance(engine, Resting):
                    engine.rest()
            return self._inbox.next_run()

    def _say(self, word: WorkerWord | WorkerNote) -> None:
        self._out.write(to_line(word))
        self._out.flush()

    def _result_of(self, run: Run) -> Finished | Failed | Cancelled:
        try:
            result = self._try(run)
            if isinstance(result, Failed) and result.code == ErrorCode.OUT_OF_MEMORY:
                result = self._again_with_less(run, result)
        except JobCancelled:
            return Cancelled(run.job)
        return result

    def _again_with_less(self, run: Run, failed: Failed) -> Finished | Failed:
        """Memory ran out: once more with whatever can be done without. This process is replaced in any case.

        To be called where the exception is gone, because it holds on to what the failed try had made.
        """
        self._lost = True
        chosen = self._choose_engine(run.request.engine)
        others = [name for name in self._engines if name != chosen]
        for name in others:
            del self._engines[name]
        engine = self._engines.get(chosen)
        spares = isinstance(engine, Sparing) and engine.spare()
        gc.collect()
        if not others and not spares:
            return failed
        _log.warning("job %s ran out of memory; once more with less", run.job)
        return self._try(run)

    def _try(self, run: Run) -> Finished | Failed:
        try:
            return self._do(run)
        except JobCancelled:
            raise
        except UVMapError as error:
            # The server starts a new process for the next job.
            self._lost = self._lost or isinstance(error, EngineLostError)
            return Failed(run.job, error.failure.code, error.failure.message, error.failure.hint)
        except Exception as error:  # noqa: BLE001 - whatever an engine does wrong, the next job must still run
            _log.exception("job %s failed", run.job)
            if ran_out_of_memory(error):
                return _out_of_memory(run)
            return Failed(run.job, ErrorCode.INTERNAL.value, f"The engine broke down ({type(error).__name__}).")

    def _do(self, run: Run) -> Finished:
        report = ProgressReport(run.job, self._say, self._inbox)
        report(STARTING, 0.0)
        engine = self._engine(run.request.engine)
        files = tuple(_read(Path(photo)) for photo in run.photos)
        textures = _generated(engine, run.request, files, report)
        report(SAVING, 1.0)
        # Not needed before the first job, and as slow as an engine to import.
        from uvmap_id.manifest import write_texture_set

        folder = Path(run.folder)
        try:
            # A first try that ran out of memory may have left some.
            for file in folder.iterdir():
                file.unlink()
            manifest = write_texture_set(folder, run.request, engine, textures, lambda: report(SAVING, 1.0))
            return Finished(run.job, manifest)
        except OSError as error:
            raise disk_error(error, folder) from error

    def _engine(self, name: str) -> Engine:
        chosen = self._choose_engine(name)
        if chosen not in self._engines:
            self._engines[chosen] = self._engine_factory(chosen)
        return self._engines[chosen]


def _generated(engine: Engine, request: TextureRequest, files: tuple[bytes, ...], report: Report) -> TextureSet:
    if not request.region.maps:
        return engine.generate(request, files, report)
    # As slow as an engine to import, and seldom needed.
    from uvmap_id.engines.region import generate_in_region

    return generate_in_region(engine, request, files, report)


def _out_of_memory(run: Run) -> Failed:
    return Failed(
        run.job,
        ErrorCode.OUT_OF_MEMORY.value,
        f"The memory did not suffice for a texture of {run.request.size} x {run.request.size}.",
        "Choose a smaller size or close other programs, then try again.",
    )


def _read(photo: Path) -> bytes:
    try:
        return photo.read_bytes()
    except OSError as error:
        raise UVMapError(
            ErrorCode.INTERNAL, f"The photo that the job came with is gone: {error.strerror}.", "Submit the job again."
        ) from error


def serve(
    engine_factory: EngineFactory, choose_engine: EngineChoice = str, rest_after_s: float = _REST_AFTER_S
) -> None:
    """Be a worker: take this process's stdin and stdout, and do jobs until stdin ends. See `Worker`."""
    end_with_server()
    offer_to_the_kernel()
    _show_where_it_stands()
    lines, out = take_standard_streams()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        Worker(engine_factory, Inbox(lines), out, choose_engine, rest_after_s).work()
    except BrokenPipeError:
        _log.warning("the server is gone")


def _show_where_it_stands() -> None:
    """Let the log say what Python was at when the process crashes, or when the server is about to kill it.

    Works without Python's lock, so also where a library holds it for ever.
    """
    faulthandler.enable()
    if sys.platform != "win32":
        faulthandler.register(signal.SIGUSR1)


def main() -> None:
    """Entry of `python -m uvmap_id.worker`."""
    from uvmap_id.engines.registry import choose_engine, create_engine

    serve(create_engine, choose_engine)


if __name__ == "__main__":
    main()
