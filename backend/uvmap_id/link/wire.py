"""The one way to write and to read a message.

A message on the wire is `[b"UVM1", JSON header]`, or `[b"UVM1", JSON header, blob]` where it carries bytes. The
header holds the message's fields, plus `t`, its type. Reading is strict: an unknown type, a missing or wrong-typed
field, a name that stands twice, or a blob that differs from its declared size and hash raises `LinkError`. Pieces of
files have no hash of their own: CURVE authenticates each frame, and the whole file is checked against its hash. An
unknown field of a command is refused as well, but for `Hello`; answers may grow, and older clients skip what they
don't know.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from .errors import LinkError
from .messages import FRAME_LIMIT, HEADER_LIMIT, Answer, Chunk, Hello, Message, PutBlob

MAGIC = b"UVM1"

# A received blob stays where the socket has put it.
Blob: TypeAlias = bytes | memoryview

_TYPES: dict[str, type] = {cls.__name__.lower(): cls for cls in typing.get_args(Message)}
_GROWING = frozenset((Hello, *typing.get_args(Answer)))
_PIECES = (Chunk, PutBlob)


def encode(message: Message, blob: bytes = b"") -> list[bytes]:
    """The frames of a message with at most one blob of at most `FRAME_LIMIT` bytes. Raises `LinkError`."""
    header = {"t": type(message).__name__.lower(), **dataclasses.asdict(message)}
    if blob:
        if len(blob) > FRAME_LIMIT:
            raise LinkError(f"A blob of {len(blob)} bytes is over the limit of {FRAME_LIMIT}.")
        hashed = {} if isinstance(message, _PIECES) else {"sha256": hashlib.sha256(blob).hexdigest()}
        header["blob"] = {"size": len(blob), **hashed}
    try:
        text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise LinkError("The message holds something that JSON can't say.") from error
    if len(text) > HEADER_LIMIT:
        raise LinkError(f"A header of {len(text)} bytes is over the limit of {HEADER_LIMIT}.")
    return [MAGIC, text, blob] if blob else [MAGIC, text]


def decode(frames: Sequence[Blob]) -> tuple[Message, Blob]:
    """The message and the blob that `encode` made frames of. Raises `LinkError` for anything else."""
    if len(frames) not in (2, 3) or frames[0] != MAGIC:
        raise LinkError("This is not a UVMap-ID message.")
    if len(frames[1]) > HEADER_LIMIT:
        raise LinkError(f"A header of {len(frames[1])} bytes is over the limit of {HEADER_LIMIT}.")
    header = read_json(bytes(frames[1]))
    if not isinstance(header, dict):
        raise LinkError("The header is not a JSON object.")
    declared, cls = header.pop("blob", None), _TYPES.get(str(header.pop("t", "")))
    if cls is None:
        raise LinkError("The message's type is unknown.")
    blob = _checked_blob(declared, frames[2] if len(frames) == 3 else b"", hashed=cls not in _PIECES)
    return build(cls, header, growing=cls in _GROWING), blob


def read_json(text: bytes) -> object:
    """JSON without NaN, infinities and names that stand twice. Raises `LinkError`."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise LinkError("The header is not JSON.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("A name stands twice.")
    return values


def _checked_blob(declared: object, blob: Blob, hashed: bool) -> Blob:
    if declared is None and not blob:
        return b""
    if not isinstance(declared, dict) or set(declared) != ({"size", "sha256"} if hashed else {"size"}):
        raise LinkError("The message's blob is not declared.")
    if len(blob) > FRAME_LIMIT or declared["size"] != len(blob):
        raise LinkError("The message's blob is not as long as declared.")
    if hashed and hashlib.sha256(blob).hexdigest() != declared["sha256"]:
        raise LinkError("The message's blob was damaged on the way.")
    return blob


Built = TypeVar("Built")


def build(cls: type[Built], values: Mapping[str, Any], growing: bool = False) -> Built:
    """A dataclass from decoded JSON, its fields checked against their annotations. Raises `LinkError`.

    Args:
        cls: What to make.
        values: Its fields.
        growing: Skip fields that it doesn't have instead of refusing them.
    """
    hints = _hints(cls)
    fields = {item.name: item for item in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
    unknown = set(values) - set(fields)
    if growing:
        values = {name: value for name, value in values.items() if name in fields}
    elif unknown:
        raise LinkError(f"{cls.__name__} has no field {sorted(unknown)[0][:40]!r}.")
    required = {name for name, item in fields.items() if _is_required(item)}
    missing = required - set(values)
    if missing:
        raise LinkError(f"{cls.__name__} lacks {sorted(missing)[0]!r}.")
    checked = {n: _checked(hints[n], value, f"{cls.__name__}.{n}", growing) for n, value in values.items()}
    return cls(**checked)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _is_required(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _checked(expected: Any, value: Any, where: str, growing: bool) -> Any:
    if dataclasses.is_dataclass(expected) and isinstance(expected, type):
        if isinstance(value, dict):
            return build(expected, value, growing)
    else:
        plain = typing.get_origin(expected) or expected
        if plain is tuple and isinstance(value, list):
            item = typing.get_args(expected)[0]
            return tuple(_checked(item, each, f"{where}[]", growing) for each in value)
        accepted: Any = (int, float) if plain is float else plain
        # bool is an int to Python, not to a reader of the protocol.
        if isinstance(value, accepted) and (plain is bool or not isinstance(value, bool)):
            _check_storable(value, where)
            return _as_float(value, where) if plain is float else value
    name = expected.__name__ if isinstance(expected, type | types.GenericAlias) else str(expected)
    raise LinkError(f"{where} is not of type {name}.")


def _check_storable(value: object, where: str) -> None:
    """JSON may say what neither UTF-8 nor SQLite can: half a surrogate pair, and integers of any length."""
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise LinkError(f"{where} is not Unicode.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise LinkError(f"{where} is too large a number.")


def _as_float(value: float, where: str) -> float:
    """So that 1 and 1.0 are one request, with one hash and one manifest."""
    try:
        return float(value)
    except OverflowError:
        raise LinkError(f"{where} is too large a number.") from None
