"""Every word that client and server exchange, and the one way to write and read it.

A message on the wire is `[b"UVM1", JSON header, blob frame, ...]`. The header holds the fields of one
of the dataclasses below, plus `t`, its type. Reading is strict: an unknown type, an unknown, missing
or wrong-typed field, or a blob that differs from its declared size and hash raises `LinkError`.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .errors import Failure, LinkError
from .request import TextureRequest

PROTOCOL = 2
MAGIC = b"UVM1"
HEADER_LIMIT = 64 * 1024
FRAME_LIMIT = 1024 * 1024
BLOB_LIMIT = 128 * 1024 * 1024
PHOTO_LIMIT = 64 * 1024 * 1024
# Its base64 has to fit into a header, with room to spare.
PREVIEW_LIMIT = 40 * 1024

_JOB_ID = re.compile(r"[0-9a-f]{32}")


# --- from the client ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of a connection. Answered by `Welcome`, or by `Refused` for another protocol."""

    protocol: int
    client: str


@dataclass(frozen=True, slots=True)
class Submit:
    """A new job. Sending it twice is harmless: the id is the client's own.

    Its blob holds the files of `request.face_sha256` and `request.more_faces` one after the other; `sizes` are
    their lengths in bytes.
    """

    job: str
    request: TextureRequest
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """Ask for the newest event of a job; answered by that event, or by `Refused` (job_unknown)."""

    job: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """End a job early. Answered by the event that ended it, whichever came first."""

    job: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Is the server serving?"""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the server and its workers. Jobs that have not ended end as cancelled."""


# --- from the server ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Welcome:
    """The handshake's answer: who serves here. `boot` changes with every start of the server."""

    protocol: int
    version: str
    boot: str


@dataclass(frozen=True, slots=True)
class Pong:
    """Answer to `Ping`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A message was not acted on. `job` is empty unless it was about one."""

    code: str
    message: str
    hint: str = ""
    job: str = ""

    @property
    def failure(self) -> Failure:
        """The reason as a value."""
        return Failure(self.code, self.message, self.hint)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job is in the queue and will end in exactly one of `Done`, `Failed`, `Cancelled`."""

    job: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: 0 <= fraction <= 1, never backwards. May be dropped on the way."""

    job: str
    stage: str
    fraction: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What a job's texture looks like so far: a small PNG in base64. No state of the job, and may be dropped."""

    job: str
    png: str

    @property
    def picture(self) -> bytes:
        """The PNG's file; empty where the text is no base64."""
        try:
            return base64.b64decode(self.png, validate=True)
        except ValueError:
            return b""


@dataclass(frozen=True, slots=True)
class Done:
    """The job's texture set lies complete in `folder` on the server's machine."""

    job: str
    folder: str
    manifest: dict[str, Any] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for a person, such as what was not understood in the prompt."""
        found = self.manifest.get("warnings")
        return tuple(map(str, found)) if isinstance(found, list) else ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The job failed; nothing of it was left behind."""

    job: str
    code: str
    message: str
    hint: str = ""

    @property
    def failure(self) -> Failure:
        """The reason as a value."""
        return Failure(self.code, self.message, self.hint)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The job was cancelled; nothing of it was left behind."""

    job: str


Command = Hello | Submit | Status | Cancel | Ping | Shutdown
JobEvent = Accepted | Progress | Done | Failed | Cancelled
Answer = Welcome | Pong | Refused | Preview | JobEvent
Message = Command | Answer

_TYPES: dict[str, type] = {cls.__name__.lower(): cls for cls in typing.get_args(Message)}


def encode(message: Message, blob: bytes = b"") -> list[bytes]:
    """The frames of a message; the blob is cut into frames of at most `FRAME_LIMIT` bytes."""
    header = {"t": type(message).__name__.lower(), **dataclasses.asdict(message)}
    if blob:
        header["blob"] = {"size": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
    try:
        text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise LinkError("The message holds something that JSON can't say.") from error
    if len(text) > HEADER_LIMIT:
        raise LinkError(f"A header of {len(text)} bytes is over the limit of {HEADER_LIMIT}.")
    return [MAGIC, text, *(blob[start : start + FRAME_LIMIT] for start in range(0, len(blob), FRAME_LIMIT))]


def decode(frames: Sequence[bytes]) -> tuple[Message, bytes]:
    """The message and the blob that `encode` made frames of. Raises `LinkError` for anything else."""
    if len(frames) < 2 or frames[0] != MAGIC:
        raise LinkError("This is not a UVMap-ID message.")
    if len(frames[1]) > HEADER_LIMIT:
        raise LinkError(f"A header of {len(frames[1])} bytes is over the limit of {HEADER_LIMIT}.")
    try:
        header = json.loads(frames[1], parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise LinkError("The header is not JSON.") from error
    if not isinstance(header, dict):
        raise LinkError("The header is not a JSON object.")
    blob = _checked_blob(header.pop("blob", None), frames[2:])
    cls = _TYPES.get(str(header.pop("t", "")))
    if cls is None:
        raise LinkError("The message's type is unknown.")
    return build(cls, header), blob


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")


def _checked_blob(declared: object, frames: Sequence[bytes]) -> bytes:
    if declared is None and not frames:
        return b""
    if not isinstance(declared, dict) or set(declared) != {"size", "sha256"}:
        raise LinkError("The message's blob is not declared.")
    size = sum(map(len, frames))
    if any(len(frame) > FRAME_LIMIT for frame in frames) or declared["size"] != size:
        raise LinkError("The message's blob is not as long as declared.")
    if size > BLOB_LIMIT:
        raise LinkError(f"A blob of {size} bytes is over the limit of {BLOB_LIMIT}.")
    blob = b"".join(frames)
    if hashlib.sha256(blob).hexdigest() != declared["sha256"]:
        raise LinkError("The message's blob was damaged on the way.")
    return blob


Built = TypeVar("Built")


def build(cls: type[Built], values: Mapping[str, Any]) -> Built:
    """A dataclass from decoded JSON, its fields checked against their annotations. Raises `LinkError`."""
    hints = typing.get_type_hints(cls)
    fields = {item.name: item for item in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
    unknown = set(values) - set(fields)
    if unknown:
        raise LinkError(f"{cls.__name__} has no field {sorted(unknown)[0][:40]!r}.")
    required = {name for name, item in fields.items() if _is_required(item)}
    missing = required - set(values)
    if missing:
        raise LinkError(f"{cls.__name__} lacks {sorted(missing)[0]!r}.")
    return cls(**{name: _checked(hints[name], value, f"{cls.__name__}.{name}") for name, value in values.items()})


def _is_required(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _checked(expected: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(expected) and isinstance(expected, type):
        if isinstance(value, dict):
            return build(expected, value)
    else:
        plain = typing.get_origin(expected) or expected
        if plain is tuple and isinstance(value, list):
            item = typing.get_args(expected)[0]
            return tuple(_checked(item, each, f"{where}[]") for each in value)
        accepted: Any = (int, float) if plain is float else plain
        # bool is an int to Python, not to a reader of the protocol.
        if isinstance(value, accepted) and (plain is bool or not isinstance(value, bool)):
            return _as_float(value, where) if plain is float else value
    name = expected.__name__ if isinstance(expected, type | types.GenericAlias) else str(expected)
    raise LinkError(f"{where} is not of type {name}.")


def _as_float(value: float, where: str) -> float:
    """So that 1 and 1.0 are one request, with one hash and one manifest."""
    try:
        return float(value)
    except OverflowError:
        raise LinkError(f"{where} is too large a number.") from None


def is_job_id(text: str) -> bool:
    """True for the 32 lower-case hex digits that a client chooses for a job."""
    return _JOB_ID.fullmatch(text) is not None
