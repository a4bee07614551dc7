"""Running pip: a pinned one of our own, with the user's registry settings, and what its complaints mean."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...link.errors import ErrorCode, UVMapError
from .job import Run
from .locks import Requirement, digest, read_lock, write_lock

_TOOLS = "setup-tools"
_QUIET = ("--disable-pip-version-check", "--no-input", "--no-color", "--retries", "3", "--timeout", "20")
_RAW = re.compile(r"Progress (\d+) of (\d+)")
_FETCHING = re.compile(r"\s*(?:Downloading|Using cached|Processing) (\S+)")
_SAMPLE_S = 1.0
_SMOOTH = 0.3

_NO_ROOM = ("No space left on device", "Errno 28", "not enough space on the disk", "WinError 112")
_WRONG_HASH = ("DO NOT MATCH THE HASHES",)
_BROKEN = ("is invalid", "BadZipFile", "is not a supported wheel", "Invalid wheel", "has an invalid wheel")
_REFUSED = ("Permission denied", "Read-only file system", "Errno 13", "Errno 30", "WinError 5")
_NETWORK = ("Could not find a version", "No matching distribution", "ConnectionError", "NewConnectionError")
_NETWORK += ("Read timed out", "Max retries exceeded", "ProxyError", "SSLError", "HTTPError", "IncompleteRead")
_NETWORK += (
    "Connection broken",
    "Connection refused",
    "Could not fetch URL",
    "Temporary failure",
    "NetworkConnectionError",
)


class Meter:
    """Adds up what pip downloads: how far all of it is, how fast it comes, and how long it takes yet."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: total: bytes that are to come, about; clock: seconds that never go backwards."""
        self._total = total
        self._clock = clock
        self._whole = 0
        self._current = 0
        self._file = 0
        self._sampled = (clock(), 0)
        self.speed = 0.0

    @property
    def done(self) -> int:
        """Bytes that have come."""
        return self._whole + self._current

    @property
    def fraction(self) -> float:
        """0 to 1; the total is an estimate, so this stays just below 1 until told otherwise."""
        return min(0.99, self.done / self._total) if self._total else 0.0

    @property
    def left(self) -> float | None:
        """Seconds, or None where nobody knows yet."""
        return max(0.0, self._total - self.done) / self.speed if self.speed > 0 else None

    def read(self, line: str) -> None:
        """Take a line of pip's into account."""
        found = _RAW.search(line)
        if found is None:
            return
        done, total = int(found.group(1)), int(found.group(2))
        if total != self._file or done < self._current:
            self._whole += self._current
            self._file = total
        self._current = done
        self._sample()

    def settle(self, here: int) -> None:
        """Between two calls of pip: what is really here. Files that were here already count, but not for the speed."""
        known = here - self.done
        self._whole, self._current, self._file = here, 0, 0
        if self.speed == 0:
            self._sampled = (self._clock(), here)
        elif known > 0:
            self._sample()

    def _sample(self) -> None:
        now, (then, before) = self._clock(), self._sampled
        if now - then < _SAMPLE_S:
            return
        latest = (self.done - before) / (now - then)
        self.speed = latest if self.speed == 0 else self.speed + _SMOOTH * (latest - self.speed)
        self._sampled = (now, self.done)


class Pip:
    """The pip in our own folder."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._tools = run.root / "tools"
        self._temporary = run.root / "tmp"

    def bring(self) -> None:
        """Fetch the pinned pip with whatever pip there is; this is also the test of the network.

        Raises:
            UVMapError: `python_not_found` where there is no pip to begin with, or what `call` raises.
        """
        self._bring("pip")

    def bring_uv(self) -> Path:
        """Fetch uv, and return its path. Raises what `bring` raises."""
        self._bring("uv")
        return self._tools / "uv" / "bin" / ("uv.exe" if os.name == "nt" else "uv")

    def call(
        self,
        python: Path,
        action: str,
        arguments: Sequence[str],
        meter: Meter | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        """Let pip do something in an environment.

        Args:
            python: The environment's Python.
            action: "install" or "download".
            arguments: Of that action.
            meter: Follows the downloads.
            on_wait: Called now and then.

        Raises:
            UVMapError: `download_failed`, `download_corrupt`, `disk_full`, `output_not_writable`, `setup_failed`,
                `cancelled`.
        """
        self._execute([str(python), str(self._tools / "pip" / "pip")], action, arguments, meter, on_wait)

    def _bring(self, name: str) -> None:
        wanted = [each for each in read_lock(Path(self._run.job.requirements, f"{_TOOLS}.txt")) if each.name == name]
        target, stamp = self._tools / name, self._tools / f"{name}.stamp"
        fingerprint = digest(*(each.text for each in wanted))
        with contextlib.suppress(OSError):
            if stamp.read_text(encoding="utf-8") == fingerprint and target.is_dir():
                return
        shutil.rmtree(target, ignore_errors=True)
        self._tools.mkdir(exist_ok=True)
        first = self._first_pip() if name == "pip" else [sys.executable, str(self._tools / "pip" / "pip")]
        partial = self._tools / f"{name}.part"
        try:
            with self._requirements(wanted) as path:
                self._execute(first, "install", [*locked(path), "--no-cache-dir", "--target", str(partial)])
            partial.replace(target)
            stamp.write_text(fingerprint, encoding="utf-8")
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _first_pip(self) -> list[str]:
        """A pip to begin with: the one that Python's ensurepip carries, or an installed one."""
        bundled = importlib.util.find_spec("ensurepip")
        for place in (bundled.submodule_search_locations or []) if bundled is not None else []:
            for wheel in sorted(Path(place, "_bundled").glob("pip-*.whl")):
                return [sys.executable, f"{wheel}{os.sep}pip"]
        if importlib.util.find_spec("pip") is not None:
            return [sys.executable, "-m", "pip"]
        raise UVMapError(
            ErrorCode.PYTHON_NOT_FOUND,
            "The Python that runs this has no pip, so that nothing can be fetched.",
            "Use Blender from https://www.blender.org/download/, or install the backend by hand.",
        )

    @contextlib.contextmanager
    def _requirements(self, requirements: list[Requirement]) -> Iterator[Path]:
        self._temporary.mkdir(exist_ok=True)
        path = self._temporary / "requirements.txt"
        write_lock(path, requirements)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _execute(
        self,
        pip: list[str],
        action: str,
        arguments: Sequence[str],
        meter: Meter | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        # On the same disk as the rest, and gone afterwards: the system's folder may be small.
        scratch = self._temporary / "pip"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        variables = {
            "TMPDIR": str(scratch),
            "TEMP": str(scratch),
            "TMP": str(scratch),
            "PIP_NO_WARN_SCRIPT_LOCATION": "1",
        }
        raw = ("--progress-bar", "raw") if meter is not None else ()
        try:
            code, said = self._run.process(
                [*pip, action, *_QUIET, *raw, *arguments],
                meter.read if meter is not None else None,
                variables,
                on_wait,
            )
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if code != 0:
            raise understood(said)


def locked(path: Path) -> list[str]:
    """Pip's arguments for a file of locked requirements: exactly these, none without its hash, and no compiling."""
    return ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(path)]


def understood(said: Sequence[str]) -> UVMapError:
    """What pip's last lines mean for a person."""
    text = "\n".join(said)
    if any(words in text for words in _NO_ROOM):
        return no_room()
    if any(words in text for words in _WRONG_HASH):
        return UVMapError(
            ErrorCode.DOWNLOAD_CORRUPT,
            "A downloaded package is not the one that was locked: its hash differs.",
            "Try again; if it stays so, what answers for the package index is not to be trusted.",
        )
    if any(words in text for words in _NETWORK):
        return UVMapError(
            ErrorCode.DOWNLOAD_FAILED,
            f"The packages could not be downloaded: {_complaint(said)}",
            "See that this computer reaches the internet, and set up again: it goes on where it stopped. "
            "A proxy or a mirror is taken from pip's own settings.",
        )
    if any(words in text for words in _BROKEN):
        return UVMapError(
            ErrorCode.DOWNLOAD_CORRUPT,
            f"A package is damaged: {_complaint(said)}",
            "Try again; choose Repair otherwise.",
        )
    if any(words in text for words in _REFUSED):
        return UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"Something could not be written: {_complaint(said)}",
            "Close programs that use the backend, look at the folder's permissions, and try again.",
        )
    return UVMapError(
        ErrorCode.SETUP_FAILED,
        f"pip failed: {_complaint(said)}",
        "The file setup.log in the set-up's folder says more.",
    )


def no_room(wanted_mb: float = 0, free_mb: float = 0) -> UVMapError:
    """The one sentence for a full disk."""
    numbers = f" {wanted_mb / 1024:.1f} GB are needed, and {free_mb / 1024:.1f} GB are free." if wanted_mb else ""
    return UVMapError(
        ErrorCode.DISK_FULL,
        f"There is not enough room on the disk.{numbers}",
        "Free some space, or choose a folder on another disk in the preferences.",
    )


def _complaint(said: Sequence[str]) -> str:
    errors = [line.strip() for line in said if "ERROR:" in line or "Error:" in line] or list(said)
    return (errors[-1].removeprefix("ERROR:").strip() if errors else "it ended without a word")[:240]
