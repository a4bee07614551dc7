"""Has the backend look at photos: a child process a photo, polled from the tick, its answer remembered.

The answer's cache by the photo's content is the backend's; here it is remembered by path, size and time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .link.errors import ErrorCode, Failure, UVMapError
from .link.logs import last_words

_POLL_S = 0.1
_TIMEOUT_S = 90.0
_REMEMBERED = 32
_ANSWER_LIMIT = 256 * 1024
_EMBEDDING = ".npy"


@dataclass(frozen=True, slots=True)
class FaceView:
    """What is known of a photo.

    Attributes:
        checking: The backend is looking at it.
        faces: How many faces it shows.
        warnings: Sentences for a person.
        failure: Why no texture can be made of it, or why nobody could look.
        thumbnail: A PNG of the face with its landmarks.
    """

    checking: bool = False
    faces: int = 0
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
    thumbnail: Path | None = None


@dataclass(slots=True)
class _Looking:
    """The child process at work."""

    path: str
    stamp: tuple[int, int]
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    log: Path
    deadline: float


class FaceChecks:
    """Looks at one photo at a time; a newer question takes the place of one that still waits."""

    def __init__(
        self,
        command: Callable[[], Sequence[str]],
        folder: Callable[[], Path],
        absolute: Callable[[str], str] = os.path.abspath,
        clock: Callable[[], float] = time.monotonic,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is started before a photo is asked for.

        Args:
            command: The backend's program and its first arguments; empty where photos are not to be looked at.
            folder: Where the backend keeps answers and thumbnails.
            absolute: Makes an absolute path of what the user typed.
            clock: Seconds that never go backwards.
            wake: Called when `tick` has something to do.
        """
        self._command = command
        self._folder = folder
        self._absolute = absolute
        self._clock = clock
        self._wake = wake
        self._wanted = ""
        self._looking: _Looking | None = None
        self._views: dict[str, FaceView] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self.changes = 0

    @property
    def busy(self) -> bool:
        """True while an answer is awaited."""
        return bool(self._wanted) or self._looking is not None

    def view(self, path: str) -> FaceView | None:
        """What is known of a photo, by the path that the user typed; None while nobody has asked for it."""
        return self._views.get(path)

    def ask(self, path: str) -> None:
        """Have a photo looked at, unless that is known or under way."""
        if not path.strip() or (self._looking is not None and self._looking.path == path):
            return
        known = self._views.get(path)
        if known is not None and not known.checking and self._stamps.get(path) == _stamp(self._file(path)):
            return
        if self._wanted and self._wanted != path:
            self._views.pop(self._wanted, None)
        self._wanted = path
        self._show(path, FaceView(checking=True))
        self._wake()

    def tick(self) -> float | None:
        """Begin or end looking, without waiting. Returns the seconds until the next call, None without a question."""
        if self._looking is not None:
            self._listen(self._looking)
        if self._looking is None and self._wanted:
            path, self._wanted = self._wanted, ""
            self._look_at(path)
        return _POLL_S if self.busy else None

    def close(self) -> None:
        """End the child process and forget everything."""
        self._wanted = ""
        if self._looking is not None:
            self._looking.process.kill()
            self._looking.process.wait()
            self._clean_up(self._looking)
        self._views.clear()
        self._stamps.clear()

    def _file(self, path: str) -> Path:
        return Path(self._absolute(path.strip())).expanduser()

    def _look_at(self, path: str) -> None:
        file = self._file(path)
        stamp = _stamp(file)
        try:
            if stamp is None:
                raise UVMapError(
                    ErrorCode.FACE_FILE_MISSING, f"There is no file {file}.", "Choose a photo of a face, PNG or JPEG."
                )
            command = self._command()
            if file.suffix.lower() == _EMBEDDING or not command:
                self._answer(path, stamp, FaceView())
                return
            self._looking = self._started(path, file, stamp, command)
        except UVMapError as error:
            self._answer(path, stamp, FaceView(failure=error.failure))
        except OSError as error:
            self._answer(path, stamp, FaceView(failure=_unable(str(error))))

    def _started(self, path: str, file: Path, stamp: tuple[int, int], command: Sequence[str]) -> _Looking:
        name, *arguments = command
        program = shutil.which(name)
        if program is None:
            raise UVMapError(
                ErrorCode.BACKEND_NOT_FOUND,
                f'The backend\'s command "{name}" was not found.',
                "Install it with: pip install uvmap-id. In Blender, choose it in the add-on's preferences.",
            )
        output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        descriptor, log = tempfile.mkstemp(prefix="uvmap-id-face-")
        asked = [program, *arguments, "face", str(file), "--json", "--cache", str(self._folder())]
        flags = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
        with os.fdopen(descriptor, "wb") as errors:
            process = subprocess.Popen(
                asked, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, creationflags=flags
            )
        return _Looking(path, stamp, process, output, Path(log), self._clock() + _TIMEOUT_S)

    def _listen(self, looking: _Looking) -> None:
        if looking.process.poll() is None:
            if self._clock() < looking.deadline:
                return
            looking.process.kill()
            looking.process.wait()
            view = FaceView(failure=_unable("it took too long"))
        else:
            looking.output.seek(0)
            view = _view(looking.output.read(_ANSWER_LIMIT)) or FaceView(failure=_said(looking.log))
        self._clean_up(looking)
        self._answer(looking.path, looking.stamp, view)

    def _clean_up(self, looking: _Looking) -> None:
        looking.output.close()
        looking.log.unlink(missing_ok=True)
        self._looking = None

    def _answer(self, path: str, stamp: tuple[int, int] | None, view: FaceView) -> None:
        if stamp is not None:
            self._stamps[path] = stamp
        self._show(path, view)

    def _show(self, path: str, view: FaceView) -> None:
        self._views.pop(path, None)
        self._views[path] = view
        self.changes += 1
        while len(self._views) > _REMEMBERED:
            self._views.pop(next(iter(self._views)))


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except (OSError, ValueError):
        return None
    return (status.st_size, status.st_mtime_ns)


def _view(answer: bytes) -> FaceView | None:
    """What the backend said; None where that is no answer."""
    try:
        said: Any = json.loads(answer)
        code, message, hint = (str(said[name]) for name in ("code", "message", "hint"))
        thumbnail = str(said["thumbnail"])
        return FaceView(
            faces=int(said["faces"]),
            warnings=tuple(map(str, said["warnings"])),
            failure=Failure(code, message, hint) if code else None,
            thumbnail=Path(thumbnail) if thumbnail else None,
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _said(log: Path) -> Failure:
    """Why the backend gave no answer: its own error where there is one."""
    said = last_words(log)
    code, _, message = said.partition(": ")
    if message and code in ErrorCode.__members__.values():
        return Failure(code, message, "")
    return _unable(said or "it ended without an answer")


def _unable(reason: str) -> Failure:
    return Failure(
        ErrorCode.BACKEND_START_FAILED.value,
        f"The backend could not look at the photo: {reason}.",
        "Textures can be made all the same; see that the backend and the extension have the same version.",
    )
