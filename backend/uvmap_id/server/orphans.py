"""A worker that outlives its server is of no use and holds the graphics card: it ends with the server.

Several ways, because each has a gap. The end of stdin reaches a worker whose threads run (`uvmap_id.worker`). On
Linux the kernel kills it even while a library holds Python's lock. The server's process is looked for every second,
which needs no pipe. A Windows job object (`job_object`) dies with the handle that the server holds. And the next
server ends what is left (`reaping`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

from uvmap_id.link.process import is_running, process_start

SERVER_VARIABLE = "UVMAP_ID_SERVER"
EXIT_ORPHANED = 3

_LOOK_EVERY_S = 1.0
_PR_SET_PDEATHSIG = 1
# Of -1000 ... 1000: whom the kernel ends first where memory runs out. Rather this process than Blender.
_OOM_SCORE_ADJUSTMENT = 500


def server_description() -> str:
    """For a worker's environment: which process started it, and whether its main thread did.

    The kernel's signal comes when the *thread* ends that started the worker, so that only the main thread's counts.
    """
    pid = os.getpid()
    thread = "main" if threading.current_thread() is threading.main_thread() else "other"
    return f"{pid}:{process_start(pid) or ''}:{thread}"


def end_with_server() -> None:
    """To be called early in a worker: from now on, it ends when its server does. Nothing where it has none."""
    pid, _, rest = os.environ.get(SERVER_VARIABLE, "").partition(":")
    started, _, thread = rest.rpartition(":")
    if not pid.isdigit():
        return
    if sys.platform == "linux" and thread == "main":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_look, args=(int(pid), started), name="server-watch", daemon=True).start()


def offer_to_the_kernel() -> None:
    """Where memory runs out, the kernel is to end this process first: what it does can be done again."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE_ADJUSTMENT))


def _look(pid: int, started: str) -> None:
    # The first look is at once: the server may have ended before this process could say that it cares.
    while is_running(pid, started):
        time.sleep(_LOOK_EVERY_S)
    os._exit(EXIT_ORPHANED)
