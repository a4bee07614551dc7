"""Ending processes for good: a worker with all that it started, and whatever a server that was killed left behind.

A worker is known by a mark in its environment, which everything that it starts inherits. The mark is on disk before
the first worker is started, so no moment exists at which one would be missed. No process is killed for its number:
numbers are used again, and a record can be forged.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process

MARK_VARIABLE = "UVMAP_ID_WORKER"
RECORD_NAME = "workers.json"

_RECORD_LIMIT = 64 * 1024
_MARK = re.compile(r"[0-9a-f]{32}")
# What is being killed may still start others; each round finds fewer.
_ROUNDS = 5
_GONE_S = 1.0
_LOOK_EVERY_S = 0.005

_log = logging.getLogger(__name__)


class Record:
    """The file that tells the next server what marks this one's workers."""

    def __init__(self, folder: Path, mark: str) -> None:
        """Written at once, before there is a worker. Raises `OSError`.

        Args:
            folder: The server's own.
            mark: 32 hex digits; `worker_mark` makes the workers' of it.
        """
        self._path = folder / RECORD_NAME
        temporary = self._path.with_suffix(".part")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps({"mark": mark}).encode())
        temporary.replace(self._path)

    def remove(self) -> None:
        """No worker is left. Raises `OSError`."""
        self._path.unlink(missing_ok=True)


def worker_mark(mark: str, number: int) -> str:
    """What one worker is marked with, of a server whose own mark is `mark`."""
    return f"{mark}-{number}"


def reap(folder: Path) -> int:
    """End what an earlier server of this folder left running. To be called while no other server can run there.

    Returns:
        How many processes were killed.
    """
    mark = _read_record(folder / RECORD_NAME)
    if not mark:
        return 0

    def is_ours(process: Process) -> bool:
        return _mark_of(process).partition("-")[0] == mark

    import psutil

    # A worker may have started something without its environment; that is still in its session, whose number stays
    # taken while anything is in it. No worker is in the session of a server.
    sessions = {_session(process.pid) for process in psutil.process_iter() if is_ours(process)}
    sessions -= {_session(os.getpid()), 0}
    killed = _kill_all(lambda process: is_ours(process) or _session(process.pid) in sessions)
    if killed:
        _log.warning("ended %d processes that an earlier server had left", killed)
    return killed


def kill_family(pid: int, mark: str) -> None:
    """Kill a worker's process and all that it started.

    Args:
        pid: The worker's. It must not have been waited for, so that no other process can have its number.
        mark: The worker's own.
    """
    kill_group(pid)
    _kill_all(lambda process: process.pid != pid and (_session(process.pid) == pid or _mark_of(process) == mark))


def kill_group(pid: int) -> None:
    """Kill a worker's process and its group; see `kill_family` for `pid`."""
    # Refused where nothing but the ended worker itself is left in the group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)


def _kill_all(is_meant: Callable[[Process], bool]) -> int:
    # A server that has nothing to kill starts without it.
    import psutil

    killed: set[int] = set()
    for _ in range(_ROUNDS):
        others = (process for process in psutil.process_iter() if process.pid != os.getpid())
        found = [process for process in others if is_meant(process) and _lives(process)]
        if not found:
            break
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
                killed.add(process.pid)
        deadline = time.monotonic() + _GONE_S
        while any(map(_lives, found)) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)
    return len(killed)


def _lives(process: Process) -> bool:
    """False also for one that has ended and that its parent has not looked after."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _mark_of(process: Process) -> str:
    import psutil

    try:
        return process.environ().get(MARK_VARIABLE, "")
    except (psutil.Error, OSError):
        # Another user's, or gone.
        return ""


def _session(pid: int) -> int:
    """The session that a process is in, 0 where there is no such thing."""
    if sys.platform == "win32":
        return 0
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _read_record(path: Path) -> str:
    """The mark, "" where there is none. A record that is damaged tells nothing: it is no reason not to start."""
    try:
        with path.open("rb") as file:
            mark = json.loads(file.read(_RECORD_LIMIT))["mark"]
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        _log.warning("the record of an earlier server's workers can't be read: %s", type(error).__name__)
        return ""
    return mark if isinstance(mark, str) and _MARK.fullmatch(mark) else ""
