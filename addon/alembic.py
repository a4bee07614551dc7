"""Alembic files, looked through before Blender's importer gets them: one that ends early would end Blender, too."""

from __future__ import annotations

import struct
from pathlib import Path

from .obj import unreadable

# "Ogawa", a byte that says that the file was finished, two bytes of version, the place of the root.
_HEAD = struct.Struct("<5sBHQ")
_NUMBER = struct.Struct("<Q")
_FINISHED = 0xFF
_IS_DATA = 1 << 63
_MOST_PLACES = 5_000_000


def check_alembic(path: Path) -> None:
    """Follow all places that an Alembic file names, as its container format Ogawa has them.

    A group is a count and the places of its children; a child is another group, or data: a size and bytes.

    Raises:
        UVMapError: `body_unreadable`: it is no finished Ogawa file, or one of the places leads out of it.
    """
    try:
        content = path.read_bytes()
        name, finished, _, root = _HEAD.unpack_from(content)
        if name != b"Ogawa" or finished != _FINISHED:
            raise ValueError("no finished Ogawa file")
        _follow(content, root)
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    except (struct.error, ValueError) as error:
        raise unreadable(path, "it is no Alembic file, or a damaged one") from error


def _follow(content: bytes, root: int) -> None:
    """Raises `struct.error` or `ValueError` where a place leads out of the file."""
    places, seen = [root], {0, _IS_DATA}
    while places:
        place = places.pop()
        if place in seen:
            continue
        seen.add(place)
        start = place & ~_IS_DATA
        (size,) = _NUMBER.unpack_from(content, start)
        length = size if place & _IS_DATA else size * _NUMBER.size
        if start + _NUMBER.size + length > len(content) or len(seen) > _MOST_PLACES:
            raise ValueError("a place leads out of the file")
        if not place & _IS_DATA:
            places.extend(struct.unpack_from(f"<{size}Q", content, start + _NUMBER.size))
