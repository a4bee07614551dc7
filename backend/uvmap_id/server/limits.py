"""How long a worker may be silent, and how soon the next one may be started after it died."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from .words import SAVING

_REMEMBERED = 101
_NUMBER = re.compile(r"[0-9]")


@dataclass(frozen=True, slots=True)
class StageLimits:
    """Seconds that a worker may go without a report, by what it is doing.

    Attributes:
        load_s: Until a stage has shown its rhythm: importing, loading weights, compiling, and work that reports once.
        step_s: Between two reports of one stage, at least.
        step_factor: Times the median of that stage's own intervals, where that is longer.
        save_s: Writing the texture set.
    """

    load_s: float = 300.0
    step_s: float = 60.0
    step_factor: float = 20.0
    save_s: float = 60.0


class Pace:
    """By when the next report of one job is due. Times are of one monotonic clock, in seconds."""

    def __init__(self, limits: StageLimits, now: float) -> None:
        """The job is given to a worker now."""
        self._limits = limits
        self._stage = ""
        self._intervals: deque[float] = deque(maxlen=_REMEMBERED)
        self._heard_at = now

    @property
    def due(self) -> float:
        """A worker that has not reported by then is taken for stalled."""
        return self._heard_at + self._limit()

    def report(self, stage: str, now: float) -> None:
        """A report came. Stages that differ in their numbers alone, such as "step 3 of 50", are one."""
        stage = _NUMBER.split(stage, maxsplit=1)[0]
        if stage == self._stage:
            self._intervals.append(now - self._heard_at)
        else:
            self._stage = stage
            self._intervals.clear()
        self._heard_at = now

    def forgive(self, seconds: float) -> None:
        """So long nobody could have heard a report."""
        self._heard_at += seconds

    def _limit(self) -> float:
        limits = self._limits
        if self._stage == SAVING:
            return limits.save_s
        if not self._intervals:
            return limits.load_s
        return max(limits.step_s, limits.step_factor * _median(self._intervals))


def _median(values: deque[float]) -> float:
    # The standard library's takes as long to import as all of this package.
    return sorted(values)[len(values) // 2]


@dataclass(frozen=True, slots=True)
class RestartLimits:
    """When workers that die are not replaced at once.

    Attributes:
        first_s: The pause after the first that died without having proved itself; each next one is twice as long.
        longest_s: No pause is longer.
        attempts: After so many in a row none is started any more.
        stable_s: A worker that has lived so long has proved itself, and so has one that has ended a job.
    """

    first_s: float = 1.0
    longest_s: float = 60.0
    attempts: int = 5
    stable_s: float = 10.0


class Restarts:
    """Counts workers that died without having proved themselves."""

    def __init__(self, limits: RestartLimits) -> None:
        """None has died yet."""
        self.failures = 0
        self._limits = limits
        self._not_before = 0.0

    @property
    def exhausted(self) -> bool:
        """True where it is of no use to start another."""
        return self.failures >= self._limits.attempts

    def wait(self, now: float) -> float:
        """Seconds until another may be started."""
        return max(0.0, self._not_before - now) if self.failures else 0.0

    def reset(self) -> None:
        """One has proved itself, or a person says that the cause is mended."""
        self.failures = 0

    def failed(self, now: float) -> None:
        """One died that had not proved itself."""
        pause = min(self._limits.longest_s, self._limits.first_s * 2**self.failures)
        self.failures += 1
        self._not_before = now + pause
