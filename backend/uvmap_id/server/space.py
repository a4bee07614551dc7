"""Room on the disk: a floor below which nothing new is taken on, and a ballast that is thrown off in need."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

BALLAST_BYTES = 16 * 2**20
FLOOR_BYTES = 512 * 2**20

# Where a quota is full, the disk itself seems to have room: then only trying again can tell.
_TRY_AGAIN_S = 30.0
_PIECE = 2**20

_log = logging.getLogger(__name__)


class DiskSpace:
    """Watches the disk that a folder lies on.

    The ballast is a file that only takes up room. When the disk is full it is removed, so that the ends of jobs
    can still be written; it is made anew as soon as there is room.
    """

    def __init__(
        self,
        ballast: Path,
        ballast_bytes: int = BALLAST_BYTES,
        floor_bytes: int = FLOOR_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the ballast where there is room for it.

        Args:
            ballast: Its file.
            ballast_bytes: Its size; 0 does without.
            floor_bytes: With less free than this the disk counts as full.
            clock: Seconds that never run backwards.
        """
        self.full = False
        self._ballast = ballast
        self._ballast_bytes = ballast_bytes
        self._floor_bytes = floor_bytes
        self._clock = clock
        self._try_again_at: float | None = None
        self.look()

    @property
    def free_bytes(self) -> int:
        """What is free for us on the disk; 0 where it doesn't tell."""
        try:
            return shutil.disk_usage(self._ballast.parent).free
        except OSError:
            return 0

    def look(self) -> bool:
        """See how full the disk is, and take on ballast where there is room. Returns whether it is full."""
        low = self.free_bytes < self._floor_bytes
        waiting = self._try_again_at is not None and self._clock() < self._try_again_at
        if low or waiting:
            self.full = True
        else:
            self.full, self._try_again_at = False, None
            self._take_ballast()
        return self.full

    def found_full(self) -> None:
        """Something could not be written. Counts as full until there is room and a while has passed."""
        self.full = True
        self._try_again_at = self._clock() + _TRY_AGAIN_S

    def throw_ballast(self) -> bool:
        """Remove the ballast. Returns whether there was any."""
        try:
            self._ballast.unlink()
        except OSError:
            return False
        _log.warning("the disk is full: the ballast is thrown off")
        return True

    def _take_ballast(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._ballast.stat().st_size == self._ballast_bytes:
                return
        if self._ballast_bytes == 0 or self.free_bytes < self._floor_bytes + self._ballast_bytes:
            return
        try:
            self._fill_ballast()
        except OSError:
            with contextlib.suppress(OSError):
                self._ballast.unlink()

    def _fill_ballast(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(self._ballast, flags, 0o600), "wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, self._ballast_bytes)
                return
            # Zeros may be stored as nothing at all.
            for start in range(0, self._ballast_bytes, _PIECE):
                file.write(os.urandom(min(_PIECE, self._ballast_bytes - start)))
