"""The part of a file that has come so far, and what it is a part of."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from uvmap_id.link.disk import sync_folder

SUFFIX = ".part"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a part is a part of, as far as the server said so.

    Attributes:
        url: Where it came from.
        etag: The server's strong validator, or "".
        size: Bytes of the whole file, or None.
    """

    url: str
    etag: str = ""
    size: int | None = None


class Part:
    """`NAME.part` and `NAME.part.json` beside the file that they become."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + SUFFIX)
        self._note = target.with_name(f"{target.name}{SUFFIX}.json")

    @property
    def size(self) -> int:
        """Bytes that are here."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def origin(self) -> Origin | None:
        """What this is a part of, or None where nobody can tell."""
        try:
            values = json.loads(self._note.read_bytes())
            origin = Origin(**values)
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        proper = isinstance(origin.url, str) and isinstance(origin.etag, str)
        return origin if proper and (origin.size is None or isinstance(origin.size, int)) else None

    def describe(self, origin: Origin) -> None:
        """Note what this is a part of. Raises `OSError`."""
        temporary = self._note.with_name(f".{self._note.name}")
        temporary.write_text(json.dumps(dataclasses.asdict(origin)), encoding="utf-8")
        temporary.replace(self._note)

    @contextlib.contextmanager
    def open_at(self, start: int) -> Iterator[BinaryIO]:
        """Open for writing from byte `start` on; what lay behind it is gone. Raises `OSError`."""
        with self.path.open("r+b" if self.path.exists() else "wb") as file:
            file.truncate(start)
            file.seek(start)
            yield file

    def digest(self) -> str:
        """SHA-256 of what is here. Raises `OSError`."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def remove(self) -> None:
        """Start over. Raises `OSError`."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its name, once the disk has all of it. Raises `OSError`."""
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)
        self._note.unlink(missing_ok=True)
        sync_folder(self.target.parent)
