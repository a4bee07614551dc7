"""A worker process: makes items that come in on stdin, one line each, and answers with a line on stdout.

It ends when stdin does, at once: whoever gave the items is gone, and what was begun can be gone on with.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import IO

from uvmap_id.datasets.making import EngineFactory, Maker
from uvmap_id.datasets.plan import read_item
from uvmap_id.engines.base import EngineLostError
from uvmap_id.engines.registry import create_engine
from uvmap_id.standard_streams import take_standard_streams

READY = b"ready\n"
EXIT_LOST = 3
THREADS_VARIABLE = "OMP_NUM_THREADS"


_log = logging.getLogger(__name__)


def thread_limits(threads: int) -> dict[str, str]:
    """Environment in which the libraries that calculate use so many threads."""
    names = (
        THREADS_VARIABLE,
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "OPENCV_FOR_THREADS_NUM",
    )
    return dict.fromkeys((THREADS_VARIABLE, *names), str(threads))


def limit_threads() -> None:
    """Keep OpenCV, which looks at no such variable by default, to the number of threads in the environment."""
    import cv2

    threads = os.environ.get(THREADS_VARIABLE, "")
    if threads.isdigit():
        cv2.setNumThreads(int(threads))


def serve(folder: Path, engine_factory: EngineFactory = create_engine) -> None:
    """Be a worker for a dataset's folder until stdin ends."""
    # Ctrl-C is for the command, which ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines, out = take_standard_streams()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    limit_threads()
    items: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines, items), name="inbox", daemon=True).start()
    _say(out, READY)
    maker = Maker(engine_factory)
    for line in iter(partial(items.get), b""):
        try:
            outcome = maker.make(read_item(line), folder)
        except EngineLostError:
            _log.exception("the engine is lost; another process goes on")
            os._exit(EXIT_LOST)
        _say(out, outcome.line().encode() + b"\n")


def _read(lines: IO[bytes], items: queue.SimpleQueue[bytes]) -> None:
    for line in lines:
        items.put(line)
    os._exit(0)


def _say(out: IO[bytes], line: bytes) -> None:
    try:
        out.write(line)
        out.flush()
    except BrokenPipeError:
        os._exit(0)


def main() -> None:
    """Entry of `python -m uvmap_id.datasets.worker FOLDER`."""
    serve(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
