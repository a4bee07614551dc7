"""Log files of processes that nobody watches, and what to tell a person of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_SIZE_LIMIT = 1024 * 1024
_TAIL = 8 * 1024
_SENTENCE_LIMIT = 300


def open_log(path: Path) -> BinaryIO:
    """A log opened for appending, readable by its owner alone; one that has grown too long starts anew."""
    too_long = path.exists() and path.stat().st_size > _SIZE_LIMIT
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if too_long else 0)
    return os.fdopen(os.open(path, flags, 0o600), "ab")


def last_words(path: Path, start: int = 0) -> str:
    """The line that says best what went wrong, among those written from byte `start` on; "" if there is none.

    Our own errors are printed as "error: ..."; otherwise it is the last line, where Python names the exception.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(start, path.stat().st_size - _TAIL))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    ours = [line for line in said if line.startswith("error:")]
    best = (ours or said or [""])[-1]
    return best.removeprefix("error:").strip()[:_SENTENCE_LIMIT]
