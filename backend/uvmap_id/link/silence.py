"""For how long a server has been silent that owes a sign of life."""

from __future__ import annotations

# A caller that didn't call for a minute, or a machine that slept, says nothing about the server.
_LONGEST_TICK_S = 1.0


class Silence:
    """Counts only the time in which somebody listened."""

    def __init__(self, now: float) -> None:
        """A sign of life is expected from the beginning."""
        self.away_s = 0.0
        self._expecting = True
        self._ticked = now

    def tick(self, now: float) -> None:
        """The caller listens now."""
        passed, self._ticked = now - self._ticked, now
        if self._expecting:
            self.away_s += min(passed, _LONGEST_TICK_S)

    def expect(self) -> None:
        """The server owes a sign of life from now on, if it did not already."""
        self._expecting = True

    def heard(self) -> None:
        """There was one."""
        self._expecting, self.away_s = False, 0.0
