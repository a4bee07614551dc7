"""On Windows, a job object ends a worker with all that it started; elsewhere there is no such thing."""

from __future__ import annotations

import subprocess
import sys

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _EXTENDED_LIMIT_INFORMATION = 9
    _LIMIT_KILL_ON_JOB_CLOSE = 0x2000
    _EXIT_KILLED = 1

    class _BasicLimits(ctypes.Structure):
        _fields_ = (
            ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
            ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = (
            ("BasicLimitInformation", _BasicLimits),
            ("IoInfo", ctypes.c_ulonglong * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    class JobObject:
        """Holds a process and its children. The kernel ends them when the handle closes, so also with the server.

        Best effort: a process that may not be put into a job, as inside of some sandboxes, goes on without.
        """

        def __init__(self, process: subprocess.Popen[bytes]) -> None:
            """Put a process that has just been started into a job of its own."""
            self._kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            self._kernel.CreateJobObjectW.restype = wintypes.HANDLE
            self._kernel.CreateJobObjectW.argtypes = (wintypes.LPVOID, wintypes.LPCWSTR)
            self._kernel.SetInformationJobObject.argtypes = (
                wintypes.HANDLE,
                ctypes.c_int,
                wintypes.LPVOID,
                wintypes.DWORD,
            )
            self._kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
            self._kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
            self._kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
            self._handle = self._kernel.CreateJobObjectW(None, None)
            limits = _ExtendedLimits()
            limits.BasicLimitInformation.LimitFlags = _LIMIT_KILL_ON_JOB_CLOSE
            self._kernel.SetInformationJobObject(
                self._handle, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
            )
            self._kernel.AssignProcessToJobObject(self._handle, int(process._handle))  # pyright: ignore

        def terminate(self) -> None:
            """End all of them."""
            if self._handle:
                self._kernel.TerminateJobObject(self._handle, _EXIT_KILLED)

        def close(self) -> None:
            """End what is left of them, and forget the job."""
            handle, self._handle = self._handle, None
            if handle:
                self._kernel.CloseHandle(handle)

else:

    class JobObject:
        """Nothing: a process group does the same."""

        def __init__(self, process: subprocess.Popen[bytes]) -> None:
            """Nothing."""

        def terminate(self) -> None:
            """Nothing."""

        def close(self) -> None:
            """Nothing."""
