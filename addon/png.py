"""What a map's file says of itself: the manifest and the small picture that the backend put into it.

Only the chunks before the pixels are read, by the PNG specification (ISO/IEC 15948), and little of each.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .link.errors import ErrorCode, UVMapError
from .link.texture_set import MANIFEST_KEYWORD, MANIFEST_LIMIT, THUMBNAIL_CHUNK

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_LIMIT = MANIFEST_LIMIT


def manifest_of(path: Path) -> dict[str, Any]:
    """The manifest that a map holds, without the files' hashes.

    Raises:
        UVMapError: `image_unreadable`: the file can't be read; `settings_unreadable`: it holds no manifest.
    """
    try:
        for kind, data in _chunks(path):
            if kind == b"iTXt":
                keyword, text = _international_text(data)
                if keyword == MANIFEST_KEYWORD:
                    manifest = json.loads(text)
                    if isinstance(manifest, dict) and isinstance(manifest.get("request"), dict):
                        return manifest
    except (ValueError, RecursionError, struct.error, zlib.error) as error:
        raise _no_manifest(path) from error
    except OSError as error:
        raise UVMapError(
            ErrorCode.IMAGE_UNREADABLE, f"{path} can't be read: {error.strerror}.", "Choose a map of a texture set."
        ) from error
    raise _no_manifest(path)


def thumbnail_of(path: Path) -> bytes:
    """The small picture, a PNG, that a base colour map holds; empty where there is none, whatever the file is."""
    try:
        return next((data for kind, data in _chunks(path) if kind == THUMBNAIL_CHUNK), b"")
    except (OSError, ValueError, struct.error):
        return b""


def _chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each chunk before the pixels. Raises `ValueError` for what is no PNG, or damaged."""
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise ValueError("not a PNG")
        while True:
            length, kind = struct.unpack(">I4s", file.read(8))
            if kind in (b"IDAT", b"IEND"):
                return
            if length > _CHUNK_LIMIT:
                file.seek(length + 4, 1)
                continue
            yield kind, _checked(file, length, kind)


def _checked(file: BinaryIO, length: int, kind: bytes) -> bytes:
    data = file.read(length)
    (expected,) = struct.unpack(">I", file.read(4))
    if zlib.crc32(kind + data) != expected:
        raise ValueError("a damaged chunk")
    return data


def _international_text(data: bytes) -> tuple[str, str]:
    keyword, rest = data.split(b"\0", 1)
    compressed, rest = rest[0], rest[2:]
    _language, _translated, text = rest.split(b"\0", 2)
    if compressed:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(text, MANIFEST_LIMIT)
    return keyword.decode("latin-1"), text.decode()


def _no_manifest(path: Path) -> UVMapError:
    return UVMapError(
        ErrorCode.SETTINGS_UNREADABLE,
        f'"{path.name}" does not say how it was made.',
        "Choose a map that UVMap-ID made; programs that edit images often drop what is written in them.",
    )
