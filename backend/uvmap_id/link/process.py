"""Is a process still the one that was meant? A pid alone can't say: pids are used again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_STATE_FIELD, _START_FIELD = 0, 19


def process_start(pid: int) -> str | None:
    """What tells a running process from a later one with the same pid: its time of start.

    Returns:
        The time of start in the platform's own unit, "" where the platform doesn't tell it cheaply,
        None where no such process runs.
    """
    if pid <= 0:
        return None
    if sys.platform == "win32":
        return _start_from_windows(pid)
    if Path("/proc/self/stat").exists():
        return _start_from_proc(pid)
    return _start_unknown(pid)


def is_running(pid: int, started: str) -> bool:
    """True while the process that `process_start` described as `started` runs."""
    return process_start(pid) == started


def _start_from_proc(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The program's name stands in brackets and may itself hold blanks and brackets.
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE_FIELD] in "ZX" else fields[_START_FIELD]


def _start_unknown(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _QUERY_LIMITED_INFORMATION = 0x1000
    _STILL_ACTIVE = 259

    def _start_from_windows(pid: int) -> str | None:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = wintypes.HANDLE
        handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
        if not handle:
            return None
        try:
            code = wintypes.DWORD()
            times = [wintypes.FILETIME() for _ in range(4)]
            kernel.GetExitCodeProcess(wintypes.HANDLE(handle), ctypes.byref(code))
            kernel.GetProcessTimes(wintypes.HANDLE(handle), *map(ctypes.byref, times))
        finally:
            kernel.CloseHandle(wintypes.HANDLE(handle))
        if code.value != _STILL_ACTIVE:
            return None
        return str(times[0].dwHighDateTime << 32 | times[0].dwLowDateTime)
