"""The report of a cast: one row a character, on disk while the cast is made, so that a crash loses nothing."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from .cast import Row
from .link.errors import ErrorCode, Failure, UVMapError

FORMAT = "uvmap_id.cast/1"
NAME = "cast.json"


class RowState(StrEnum):
    """Where a character is. The last three are final."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        """True for the last three."""
        return self in (RowState.DONE, RowState.FAILED, RowState.STOPPED)


@dataclass(slots=True)
class Line:
    """How far one character is.

    Attributes:
        row: Who.
        state: Where it is.
        request: The hash of its whole request, once its photo was read.
        folder: Where its maps lie.
        found: True where they lay there already.
        failure: Why it failed.
        warnings: What is to be known of its texture.
        seconds: How long it took.
        body: The `session_uid` of its body.
    """

    row: Row
    state: RowState = RowState.WAITING
    request: str = ""
    folder: Path | None = None
    found: bool = False
    failure: Failure | None = None
    warnings: tuple[str, ...] = field(default=())
    seconds: float = 0.0
    body: int = 0


def make_folder(out: Path) -> None:
    """Make the folder of a cast. Raises `UVMapError` (`output_not_writable`)."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _not_writable(out, error) from error


class Report:
    """The file of one cast. It is written often: what was said of rows that have ended is remembered."""

    def __init__(self, lines: list[Line], out: Path) -> None:
        """Nothing is written yet."""
        self._lines, self._out = lines, out
        self._ended: dict[int, str] = {}

    def write(self) -> Path:
        """Write the report, whole or not at all.

        Raises:
            UVMapError: `output_not_writable`.
        """
        counts = Counter(line.state for line in self._lines)
        counted = _json({state.value: counts[state] for state in RowState})
        rows = ",\n".join(map(self._text, self._lines))
        path, part = self._out / NAME, self._out / f".{NAME}.{os.getpid()}.part"
        make_folder(self._out)
        try:
            text = f'{{"format": {_json(FORMAT)},\n"counts": {counted},\n"rows": [\n{rows}\n]}}\n'
            part.write_text(text, encoding="utf-8", errors="replace")
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise _not_writable(self._out, error) from error
        return path

    def _text(self, line: Line) -> str:
        """A row a line: indented JSON takes Python ten times as long."""
        known = self._ended.get(line.row.number)
        if known is not None:
            return known
        text = _json(_described(line, self._out))
        if line.state.ended:
            self._ended[line.row.number] = text
        return text


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _not_writable(out: Path, error: OSError | ValueError) -> UVMapError:
    return UVMapError(
        ErrorCode.OUTPUT_NOT_WRITABLE,
        f"The cast can't be written to {out}: {getattr(error, 'strerror', None) or error}.",
        "Choose a folder that you may write to, or free some space.",
    )


def _described(line: Line, out: Path) -> dict[str, Any]:
    row, request = line.row, line.row.request
    folder = line.folder
    if folder is not None and folder.is_relative_to(out):
        folder = folder.relative_to(out)
    failure = line.failure
    return {
        "row": row.number,
        "name": row.name,
        "state": line.state.value,
        "found": line.found,
        "face": str(row.face),
        "prompt": request.prompt,
        "subject": request.subject,
        "seed": request.seed,
        "engine": request.engine,
        "size": request.size,
        "shape": dict(row.shape),
        "request": line.request,
        "textures": folder.as_posix() if folder is not None else "",
        "seconds": round(line.seconds, 2),
        "warnings": list(line.warnings),
        "error": {"code": failure.code, "message": failure.message, "hint": failure.hint} if failure else None,
    }
