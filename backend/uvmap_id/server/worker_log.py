"""What a worker says on stderr: kept short, without what the job says of a person, and the last lines at hand."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from uvmap_id.link.request import DiffusionSettings

from .words import Run

_BLOCK = 64 * 1024
_TAIL_BYTES = 128 * 1024
_FILE_LIMIT = 1024 * 1024
_LINE_LIMIT = 8 * 1024
# A worker that floods its log may fill neither the disk nor the server's time; what goes beyond is left out.
_BYTES_A_SECOND = 256 * 1024
_BURST = 1024 * 1024

_WORD = re.compile(r"\w{5,}")
_SHORTEST_PHRASE = 3
_HIDDEN = "[hidden]"


class Redaction:
    """Takes out of a text what a job says of a person: its phrases, and each of their words of five letters or more.

    By words too, because libraries quote a prompt in their own way: in part, in lower case, cut elsewhere.
    """

    def __init__(self, phrases: Iterable[str] = ()) -> None:
        """`phrases` are a prompt, a path and the like; none hides nothing."""
        said = [form for phrase in phrases for form in (phrase, phrase.encode("unicode_escape").decode("ascii"))]
        self._words = {word.lower() for phrase in said for word in _WORD.findall(phrase)}
        long = sorted({phrase for phrase in said if len(phrase) >= _SHORTEST_PHRASE}, key=len, reverse=True)
        self._phrases = re.compile("|".join(map(re.escape, long)), re.IGNORECASE) if long else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        if self._phrases is None:
            return text
        text = self._phrases.sub(_HIDDEN, text)
        return _WORD.sub(lambda match: _HIDDEN if match[0].lower() in self._words else match[0], text)


class WorkerLog:
    """One worker's stderr, read in a thread of the caller's by `pump`."""

    def __init__(self, path: Path) -> None:
        """Appends to the file, readable by its owner alone; what has grown too long is kept once, beside it."""
        self.path = path
        self._lock = threading.Lock()
        self._tail = bytearray()
        self._before = self._now = Redaction()
        self._file: IO[bytes] | None = self._open()
        self._budget = float(_BURST)
        self._refilled_at = time.monotonic()
        self._rest = b""
        self._left_out = 0

    def hide(self, phrases: Iterable[str]) -> None:
        """From now on the worker may say this, which nobody is to read. Holds until the call after the next."""
        with self._lock:
            # What is said of the last job may still be on its way.
            self._tail = bytearray(self._cleaned(bytes(self._tail)))
            self._before, self._now = self._now, Redaction(phrases)

    def tail(self, lines: int) -> tuple[str, ...]:
        """The last lines."""
        with self._lock:
            text = self._cleaned(bytes(self._tail)).decode(errors="replace")
        return tuple(line[:_LINE_LIMIT] for line in text.splitlines()[-lines:])

    def pump(self, stream: IO[bytes]) -> None:
        """Read until the stream ends. Never fails: a log that can't be written is not kept."""
        with contextlib.suppress(OSError), stream:
            while block := os.read(stream.fileno(), _BLOCK):
                self._take(block)
        self.close()

    def close(self) -> None:
        """Nothing more is written; the last lines are still at hand."""
        with self._lock:
            self._write(self._rest)
            self._rest = b""
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._file.close()
                self._file = None

    def _take(self, block: bytes) -> None:
        with self._lock:
            self._tail += block
            del self._tail[:-_TAIL_BYTES]
            if not self._affordable(len(block)):
                self._left_out += len(block)
                return
            if self._left_out:
                self._write(self._rest + b"\n")
                self._write(b"[%d bytes left out]\n" % self._left_out)
                self._left_out = 0
                self._rest, block = b"", block.partition(b"\n")[2]
            whole, newline, self._rest = (self._rest + block).rpartition(b"\n")
            self._write(whole + newline)
            if len(self._rest) > _LINE_LIMIT:
                # At a blank, so that no word is cut in two and gets by.
                whole, _, self._rest = self._rest.rpartition(b" ")
                self._write(whole + b"\n")
                self._rest = self._rest[:_LINE_LIMIT]

    def _affordable(self, size: int) -> bool:
        now = time.monotonic()
        self._budget = min(_BURST, self._budget + (now - self._refilled_at) * _BYTES_A_SECOND)
        self._refilled_at = now
        if self._budget < size:
            return False
        self._budget -= size
        return True

    def _write(self, text: bytes) -> None:
        if not text or self._file is None:
            return
        try:
            if self._file.tell() > _FILE_LIMIT:
                self._file.close()
                self._file = self._open()
            if self._file is not None:
                self._file.write(self._cleaned(text))
                self._file.flush()
        except OSError:
            # A full disk; the worker must not wait for it.
            self._file = None

    def _cleaned(self, text: bytes) -> bytes:
        return self._now(self._before(text.decode(errors="replace"))).encode()

    def _open(self) -> IO[bytes] | None:
        try:
            with contextlib.suppress(FileNotFoundError):
                if self.path.stat().st_size > _FILE_LIMIT:
                    self.path.replace(self.path.with_suffix(".old.log"))
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            file = os.fdopen(descriptor, "ab")
            file.seek(0, os.SEEK_END)
        except OSError:
            return None
        return file


def personal_texts(run: Run) -> list[str]:
    """What a job says of a person, which no log is to hold."""
    request, defaults = run.request, DiffusionSettings()
    texts = {request.diffusion.negative_prompt, request.diffusion.template}
    texts -= {defaults.negative_prompt, defaults.template}
    photos = [*run.photos, *(Path(photo).name for photo in run.photos)]
    return [request.prompt, request.subject, *texts, *request.files, *photos]
