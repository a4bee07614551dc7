"""The server's log: one JSON object a line, bounded in size, its owner's alone, and without a word of a person.

A log outlives the jobs that it speaks of, so it must not hold prompts, photos' names or where they lie. What a
program says is fixed when it is written; what is filled in is not. So a text that is filled in is logged only if
it is plainly harmless, such as an id, a code of ours or a number, and an exception only by its type and its place.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path, PurePath
from types import TracebackType

from uvmap_id.link.errors import ErrorCode

from .states import PAUSED_BY_CRASHES, PAUSED_BY_DISK, PAUSED_BY_USER, JobState

LOG_BYTES = 1024 * 1024
LOG_FILES = 3

_FRAMES = 8
_LINE_LIMIT = 2000
# An id or a hash; an address; a version; a signal.
_HARMLESS = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{64}|tcp://[0-9a-f.*:\[\]]{1,60}|[0-9]{1,6}(\.[0-9]{1,6}){1,3}|SIG[A-Z0-9]{2,8}"
)
_OUR_WORDS = frozenset((*ErrorCode, *JobState, PAUSED_BY_CRASHES, PAUSED_BY_DISK, PAUSED_BY_USER))


class JsonLinesFormatter(logging.Formatter):
    """Makes a line of a record: time, level, logger, event (the unfilled message), what was filled in, exception."""

    def __init__(self, folder: Path | None = None, words: Sequence[str] = ()) -> None:
        """Paths inside of `folder` are logged relative to it, other texts only when harmless or one of `words`."""
        super().__init__()
        self._folder = folder
        self._words = _OUR_WORDS | frozenset(words)

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, without a newline."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self._event(record),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["at"] = _frames(record.exc_info[2])
        text = json.dumps(line, ensure_ascii=True, separators=(",", ":"))
        if len(text) > _LINE_LIMIT:
            line = {name: line[name] for name in ("time", "level", "logger")} | {"event": "(too long)"}
            text = json.dumps(line, separators=(",", ":"))
        return text

    def _event(self, record: logging.LogRecord) -> str:
        template = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        arguments = record.args
        try:
            if isinstance(arguments, dict):
                return template % {name: self._shown(value) for name, value in arguments.items()}
            return template % tuple(map(self._shown, arguments)) if arguments else template
        except (TypeError, ValueError, KeyError):
            return template

    def _shown(self, value: object) -> object:
        """What is logged of a value that was filled in."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, BaseException):
            return type(value).__name__
        if isinstance(value, type):
            return value.__name__
        if isinstance(value, PurePath):
            return self._shown_path(value)
        if isinstance(value, str) and (value in self._words or _HARMLESS.fullmatch(value)):
            return str(value)
        return f"({len(value)} characters)" if isinstance(value, str) else f"({type(value).__name__})"

    def _shown_path(self, path: PurePath) -> str:
        # Names of files come from people; those inside of the state folder don't.
        if self._folder is not None and path.is_relative_to(self._folder):
            return path.relative_to(self._folder).as_posix()
        return "(a path)"


class JsonLinesHandler(RotatingFileHandler):
    """Appends lines to a file that only its owner can read; a full one becomes `NAME.1`, and so on.

    What can't be written, because the disk is full for instance, is counted and left out: a log must not be what
    ends a server.
    """

    def __init__(
        self, path: Path, max_bytes: int = LOG_BYTES, files: int = LOG_FILES, words: Sequence[str] = ()
    ) -> None:
        """Open the log. Raises `OSError`.

        Args:
            path: The file; its folder is the one that paths may be shown of.
            max_bytes: Size at which a new one is begun.
            files: How many old ones are kept.
            words: Texts that are harmless, beyond those that look it.
        """
        self.lost = 0
        super().__init__(path, maxBytes=max_bytes, backupCount=files, encoding="utf-8")
        self.setFormatter(JsonLinesFormatter(path.parent, words))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and before it how many could not be written."""
        if self.lost:
            lost, self.lost = self.lost, 0
            note = logging.LogRecord(__name__, logging.WARNING, "", 0, "%d lines could not be written", (lost,), None)
            super().emit(note)
            if self.lost:
                self.lost = lost
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's names
        """Count a line that could not be written."""
        self.lost += 1

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        return os.fdopen(os.open(self.baseFilename, flags, 0o600), "a", encoding="utf-8")


def _frames(trace: TracebackType | None) -> list[str]:
    """Where an exception came from: file, line and function, without the text of the lines."""
    frames = traceback.extract_tb(trace)[-_FRAMES:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
