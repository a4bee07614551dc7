"""Downloads one file: resumed where it stopped, checked before it gets its name.

What has come so far lies in `NAME.part`, and beside it in `NAME.part.json` what it is a part of. A server is believed
only as far as its words agree with the catalogue and with each other.
"""

from __future__ import annotations

import contextlib
import email.message
import email.utils
import http.client
import math
import re
import shutil
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.part import Origin, Part
from uvmap_id.weights.web import Address, Answer, ask

_CHUNK = 1 << 20
_REPORT_EVERY_S = 0.1
# A server that ends every connection early is put up with while each brings at least this much.
_PROGRESS = 1 << 20
# The rest of the system needs room as well.
_ROOM_TO_LEAVE = 64 << 20
_LONGEST_PAUSE_S = 60.0
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
_WITHOUT_HEAD = frozenset((400, 403, 405, 501))
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file has to be: bytes, and lower-case SHA-256; None and "" where nobody knows."""

    size: int | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, and how often to try again.

    Attributes:
        timeout_s: For connecting, and for each wait for data.
        stall_s: A connection that brought less than `stall_bytes` in this time is given up.
        stall_bytes: See `stall_s`.
        attempts: How many in a row may fail without progress.
        pause_s: After the first failure; doubled after each further one.
    """

    timeout_s: float = 30.0
    stall_s: float = 60.0
    stall_bytes: int = 64 << 10
    attempts: int = 5
    pause_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far a download is.

    Attributes:
        done: Bytes of the file that are here, earlier downloads included.
        total: Bytes of the whole file, or None where nobody knows.
        bytes_per_second: Of this connection.
    """

    done: int
    total: int | None
    bytes_per_second: float


Report = Callable[[Transfer], None]
Result = TypeVar("Result")


class _PassingError(Exception):
    """Something that may be better the next time; `pause_s` is how long the server asks to be left alone."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


@dataclass(frozen=True, slots=True)
class _Whole:
    """A file of which all is here: the SHA-256 that it has to have, or "", and whether it came in pieces."""

    sha256: str
    pieced: bool


def probe(address: Address, expected: Expected, patience: Patience) -> Expected:
    """Ask a server for what is not known yet about a file, without fetching it.

    Returns:
        `expected`, completed as far as the server could tell.

    Raises:
        UVMapError: As `download`.
    """

    def attempt() -> Expected:
        answer = _ask(address, {}, patience, "HEAD", follow=False)
        with contextlib.closing(answer):
            if answer.status in _WITHOUT_HEAD and not address.token:
                return expected
            if 300 <= answer.status < 400:
                return _agreed(expected, answer, None)
            _refuse_status(answer, address)
            return _agreed(expected, answer, _number(answer.headers.get("Content-Length")))

    return _persist(attempt, address, patience, lambda: 0)


def download(address: Address, target: Path, expected: Expected, report: Report, patience: Patience) -> str:
    """Download a file to `target`, going on with `target.part` if it is there.

    Args:
        address: Where the file is.
        target: Where it goes; its folder exists.
        expected: What is known about it.
        report: Called at most ten times a second.
        patience: How long to wait for a bad connection.

    Returns:
        The file's SHA-256.

    Raises:
        UVMapError: `download_failed`: the server can't be reached or does not hand out the file; what has come is
            kept. `download_corrupt`: what came is not the file; it is removed. `disk_full`, `output_not_writable`.
    """
    part = Part(target)

    def attempt() -> _Whole:
        return _fetch(address, part, expected, report, patience)

    try:
        whole = _persist(attempt, address, patience, lambda: part.size)
        digest = part.digest()
        if whole.pieced and digest != (whole.sha256 or digest):
            # A piece may be damaged: once more from the start.
            part.remove()
            whole = _persist(attempt, address, patience, lambda: part.size)
            digest = part.digest()
        if digest != (whole.sha256 or digest):
            part.remove()
            raise _corrupt(address, f"its SHA-256 is {digest}, not {whole.sha256}")
        part.finish()
    except OSError as error:
        raise disk_error(error, target.parent) from error
    return digest


def _persist(
    attempt: Callable[[], Result], address: Address, patience: Patience, progress: Callable[[], int]
) -> Result:
    failures, before = 0, progress()
    while True:
        try:
            return attempt()
        except _PassingError as error:
            now = progress()
            failures = 1 if now >= before + _PROGRESS else failures + 1
            before = now
            if failures >= patience.attempts:
                raise UVMapError(
                    ErrorCode.DOWNLOAD_FAILED,
                    f"{address.url} can't be downloaded: {error}.",
                    "Check the connection and the proxy settings, and start again: what has come is kept.",
                ) from error
            time.sleep(min(max(patience.pause_s * 2 ** (failures - 1), error.pause_s), _LONGEST_PAUSE_S))


def _fetch(address: Address, part: Part, expected: Expected, report: Report, patience: Patience) -> _Whole:
    """One attempt, which ends when all of the file is here."""
    offset, headers = _where_to_resume(address, part, expected)
    answer = _ask(address, headers, patience)
    with contextlib.closing(answer):
        if answer.status == 416:
            return _settled(part, expected, answer)
        _refuse_status(answer, address)
        start, total = _span(answer, offset)
        if answer.status == 206 and start != offset:
            part.remove()
            raise _PassingError("the server sent another piece than the one that was asked for")
        agreed = _agreed(expected, answer, total)
        _refuse_page(answer, address)
        _refuse_full_disk(part.path.parent, (agreed.size or 0) - start)
        part.describe(Origin(address.url, _strong(answer.headers.get("ETag")), agreed.size))
        _receive(answer, part, start, agreed.size, report, patience)
    if agreed.size is not None and part.size != agreed.size:
        raise _PassingError(f"it ended after {part.size} of {agreed.size} bytes")
    return _Whole(agreed.sha256, start > 0)


def _where_to_resume(address: Address, part: Part, expected: Expected) -> tuple[int, dict[str, str]]:
    """The byte to go on from, and the headers that ask for it. Without a validator or a hash nobody could tell whether
    the rest belongs to the part.
    """
    origin = part.origin()
    if part.size == 0 or origin is None or origin.url != address.url:
        return 0, {}
    headers = {"Range": f"bytes={part.size}-"}
    if origin.etag:
        headers["If-Range"] = origin.etag
    return (part.size, headers) if origin.etag or expected.sha256 else (0, {})


def _settled(part: Part, expected: Expected, answer: Answer) -> _Whole:
    """What "range not satisfiable" means: the part is whole already, or it is no part of this file."""
    match = re.fullmatch(r"bytes \*/(\d{1,18})", answer.headers.get("Content-Range", ""))
    if match and int(match[1]) == part.size and expected.sha256:
        return _Whole(expected.sha256, True)
    part.remove()
    raise _PassingError("the server does not know the part that is here")


def _receive(answer: Answer, part: Part, start: int, total: int | None, report: Report, patience: Patience) -> None:
    began = window_began = reported = time.monotonic()
    done = window_start = start
    with part.open_at(start) as file:
        while True:
            chunk = _read(answer)
            if not chunk:
                break
            if done == 0 and chunk[:64].lstrip().lower().startswith((b"<!doctype html", b"<html")):
                raise _web_page(answer.body.url or "")
            file.write(chunk)
            done += len(chunk)
            if total is not None and done > total:
                raise _PassingError(f"more than the {total} bytes came that were promised")
            now = time.monotonic()
            if now - reported >= _REPORT_EVERY_S:
                report(Transfer(done, total, (done - start) / (now - began)))
                reported = now
            if now - window_began >= patience.stall_s:
                if done - window_start < patience.stall_bytes:
                    raise _PassingError(f"only {done - window_start} bytes came in {now - window_began:.0f} s")
                window_began, window_start = now, done
    report(Transfer(done, total, (done - start) / max(time.monotonic() - began, 1e-3)))


def _read(answer: Answer) -> bytes:
    try:
        # read() would wait for the whole chunk, and a trickle would go unnoticed.
        return answer.body.read1(_CHUNK)
    except (http.client.HTTPException, OSError) as error:
        raise _PassingError(_reason(error)) from error


def _ask(
    address: Address, headers: dict[str, str], patience: Patience, method: str = "GET", follow: bool = True
) -> Answer:
    try:
        return ask(address, headers, patience.timeout_s, method, follow)
    except (http.client.HTTPException, OSError) as error:
        raise _PassingError(_reason(error)) from error


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "the server does not answer"
    if isinstance(cause, http.client.IncompleteRead):
        return "the connection broke"
    return str(cause) or type(cause).__name__


def _span(answer: Answer, offset: int) -> tuple[int, int | None]:
    """Where in the file the answer begins, and how long the file is."""
    length = _number(answer.headers.get("Content-Length"))
    if answer.status != 206:
        return 0, length
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if match is None:
        return -1, None
    start, end = int(match[1]), int(match[2])
    total = end + 1 if match[3] == "*" else int(match[3])
    whole = end + 1 == total and (length is None or length == total - start)
    return (start if whole and offset else -1), total


def _agreed(expected: Expected, answer: Answer, total: int | None) -> Expected:
    """What the catalogue, the hub's announcement and the last server say together."""
    announced = _number(answer.announced.get("X-Linked-Size"))
    etag = answer.announced.get("X-Linked-ETag", "").strip('"').lower()
    sizes = [size for size in (expected.size, announced, total) if size is not None]
    if len(set(sizes)) > 1:
        raise _corrupt_url(answer.body.url or "", f"it should have {sizes[0]} bytes and has {sizes[-1]}")
    sha256 = expected.sha256 or (etag if _SHA256.fullmatch(etag) else "")
    return Expected(sizes[0] if sizes else None, sha256)


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


def _strong(etag: str | None) -> str:
    return etag if etag and re.fullmatch(r'"[\x21\x23-\x7e]*"', etag) else ""


def _refuse_status(answer: Answer, address: Address) -> None:
    status = answer.status
    if status in (200, 206):
        return
    if status in _PASSING:
        raise _PassingError(f"the server answers with status {status}", _pause(answer.headers))
    if status in (401, 403):
        raise UVMapError(
            ErrorCode.DOWNLOAD_FAILED,
            f"The server does not hand out {address.url} (status {status}).",
            "Some weights have to be asked for on their page first; then set HF_TOKEN to a token of your account.",
        )
    reason = "There is no file" if status in (404, 410) else f"The server answers with status {status}"
    raise UVMapError(ErrorCode.DOWNLOAD_FAILED, f"{reason} at {address.url}.", "Look for a newer version of uvmap-id.")


def _pause(headers: email.message.Message) -> float:
    """Seconds that a server asks to be left alone for: a number or a date in `Retry-After`."""
    text = headers.get("Retry-After", "")
    seconds = _number(text)
    if seconds is not None:
        return float(seconds)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _refuse_page(answer: Answer, address: Address) -> None:
    if answer.headers.get_content_type() == "text/html" and "Content-Type" in answer.headers:
        raise _web_page(address.url)
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise UVMapError(
            ErrorCode.DOWNLOAD_FAILED, f"The server sends {address.url} in a form that was not asked for.", ""
        )


def _web_page(url: str) -> UVMapError:
    return UVMapError(
        ErrorCode.DOWNLOAD_FAILED,
        f"The server sent a web page instead of the file {url}.",
        "Check whether your network asks you to sign in first, then try again.",
    )


def _refuse_full_disk(folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder).free
    if wanted + _ROOM_TO_LEAVE > free:
        raise no_room(folder, wanted, free)


def no_room(folder: Path, wanted: int, free: int) -> UVMapError:
    """The failure for a disk with too little room."""
    return UVMapError(
        ErrorCode.DISK_FULL,
        f"{math.ceil(wanted / 1e6):,} MB are needed, and the disk that holds {folder} has {free // 10**6:,} MB free.",
        "Free some space, or set UVMAP_ID_WEIGHTS_DIR to a folder on another disk.",
    )


def _corrupt(address: Address, why: str) -> UVMapError:
    return _corrupt_url(address.url, why)


def _corrupt_url(url: str, why: str) -> UVMapError:
    return UVMapError(
        ErrorCode.DOWNLOAD_CORRUPT,
        f"What came from {url} is not the file: {why}.",
        "Try again later, without a proxy if you can; nothing of it was kept.",
    )
