"""How fast a long work goes on, and how long it will take: for people, on a terminal or in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from uvmap_id.datasets.producing import Tally

_LINE_EVERY_S = 15.0

Update = Callable[[int, int, str], None]


class Pace:
    """Counts items from when the first was made: what was there already says nothing about the time that is left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None

    def per_minute(self, made: int) -> float:
        """Items that were made in a minute, so far; 0 where there is nothing to tell from."""
        if self._began is None:
            self._began = self._clock()
        passed = self._clock() - self._began
        return 60 * made / passed if made and passed > 0 else 0.0


def sentence(tally: Tally, pace: Pace, what: str) -> str:
    """How it goes, in words."""
    parts = [f"{tally.done} of {tally.total} {what}"]
    rate = pace.per_minute(tally.made + tally.failed)
    if rate:
        parts.append(f"{rate:.3g} a minute")
        parts.append(f"{_duration(60 * (tally.total - tally.done) / rate)} left")
    if tally.failed:
        parts.append(f"{tally.failed} failed")
    return ", ".join(parts)


@contextlib.contextmanager
def shown(lines: bool = True) -> Iterator[Update]:
    """What shows done, total and a sentence: a bar where stderr is a terminal, else, if wanted, a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines() if lines else _nothing
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, text: bar.update(task, completed=done, total=total, description=text)


class _Lines:
    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def __call__(self, done: int, total: int, text: str) -> None:
        if time.monotonic() - self._said_at >= _LINE_EVERY_S or done == total:
            self._said_at = time.monotonic()
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def _nothing(done: int, total: int, text: str) -> None:
    """Nobody looks."""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
