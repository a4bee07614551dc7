"""Whether the system ran out of memory."""

from __future__ import annotations

from pathlib import Path

_COUNTERS = Path("/proc/vmstat")
_COUNTER = "oom_kill "


def oom_kills() -> int:
    """How many processes the kernel has ended for want of memory since it started; 0 where it doesn't say."""
    try:
        lines = _COUNTERS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.removeprefix(_COUNTER)) for line in lines if line.startswith(_COUNTER))
