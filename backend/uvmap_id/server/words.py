"""What the server and its worker say to each other: one JSON object a line, over the worker's stdin and stdout.

The end of stdin tells the worker that its server is gone; the end of stdout tells the server the same of its worker.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import dataclass
from typing import Any

from uvmap_id.link.errors import LinkError
from uvmap_id.link.messages import Cancelled, Failed, Preview, Progress
from uvmap_id.link.request import TextureRequest
from uvmap_id.link.wire import build

LINE_LIMIT = 256 * 1024

# The stages that are the worker's own, whatever the engine calls those between them.
STARTING = "Starting"
SAVING = "Saving"


@dataclass(frozen=True, slots=True)
class Run:
    """Do a job: read `photos` in this order, write the texture set into the existing `folder`."""

    job: str
    request: TextureRequest
    photos: tuple[str, ...]
    folder: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End a job early. Ignored when it has ended."""

    job: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has come up and waits for jobs."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """The worker ends with the job that it has, if any, and is to be given no other."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The texture set lies complete in the folder that `Run` named."""

    job: str
    manifest: dict[str, Any]


ServerWord = Run | Stop
WorkerWord = Progress | Preview | Finished | Failed | Cancelled
# What a worker says of itself rather than of a job.
WorkerNote = Ready | Leaving
Word = ServerWord | WorkerWord | WorkerNote

_TYPES: dict[str, type] = {cls.__name__.lower(): cls for cls in typing.get_args(Word)}


def to_line(word: Word) -> bytes:
    """The line that says it, newline included."""
    values = {"t": type(word).__name__.lower(), **dataclasses.asdict(word)}
    return json.dumps(values, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def from_line(line: bytes) -> Word:
    """What a line says. Raises `LinkError` for anything that `to_line` doesn't write."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LinkError("A worker's line is not JSON.") from error
    if not isinstance(values, dict):
        raise LinkError("A worker's line is not a JSON object.")
    cls = _TYPES.get(str(values.pop("t", "")))
    if cls is None:
        raise LinkError("A worker's line is of an unknown type.")
    return build(cls, values)
