"""Starting a cast: moved by the timer where there are windows, to its end where there are none."""

from __future__ import annotations

import time
from collections.abc import Callable

from . import runtime
from .cast_report import Line
from .casting import Casting
from .current import current
from .link.errors import ErrorCode, UVMapError


def check_free() -> None:
    """Raise `UVMapError` (`queue_full`) while another cast is being made."""
    now = current().cast
    if now is not None and not now.ended:
        raise UVMapError(ErrorCode.QUEUE_FULL, "A cast is being made.", "Stop it first, or wait for its end.")


def begin(casting: Casting) -> None:
    """Have Blender's timer move a cast."""
    check_free()
    current().cast = casting
    runtime.watch()


def _nothing(_line: Line) -> None:
    """For who wants to hear nothing."""


def run(casting: Casting, said: Callable[[Line], None] = _nothing) -> None:
    """Work until a cast has ended: for scripts without windows.

    Args:
        casting: What to do.
        said: Called with each line that has ended.
    """
    check_free()
    current().cast = casting
    shown: set[int] = set()
    while True:
        delay = runtime.tick()
        for line in casting.lines:
            if line.state.ended and line.row.number not in shown:
                shown.add(line.row.number)
                said(line)
        if casting.ended:
            return
        time.sleep(delay or 0.0)
