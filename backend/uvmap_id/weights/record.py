"""`installed.json`: what lies in a folder of weights, and where it came from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from uvmap_id.link.disk import sync_folder
from uvmap_id.weights.catalogue import is_inside

FILE_NAME = "installed.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file: its path inside the folder with slashes, its bytes, its SHA-256 and when it came, ISO 8601."""

    path: str
    size: int
    sha256: str
    date: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is known about installed weights.

    Attributes:
        id: Their name in the store.
        purpose: A `Purpose`.
        kind: What `recognise` says of them, or how that begins; "" for what it doesn't know.
        source: Where they came from: an address, or a path of the user's.
        revision: Of the source, where it has one.
        licence: The id of their licence; "" where nobody knows.
        linked: The file or folder, where they are used in place; "" for files in the store.
        files: All of them.
    """

    id: str
    purpose: str
    kind: str = ""
    source: str = ""
    revision: str = ""
    licence: str = ""
    linked: str = ""
    files: tuple[StoredFile, ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def root(self, folder: Path) -> Path:
        """The folder or file that the weights are; `folder` is where this record lies."""
        return Path(self.linked) if self.linked else folder

    def path(self, folder: Path, file: StoredFile) -> Path:
        """Where one of the files is."""
        root = self.root(folder)
        return root.parent / file.path if self.linked and root.is_file() else root / file.path


def read_record(folder: Path) -> Record | None:
    """The record of a folder, or None where there is none that makes sense."""
    try:
        values = json.loads((folder / FILE_NAME).read_bytes())
        values.pop("format")
        record = Record(**{**values, "files": tuple(StoredFile(**file) for file in values["files"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    texts = [getattr(record, item.name) for item in dataclasses.fields(record) if item.name != "files"]
    proper = all(isinstance(text, str) for text in texts) and all(map(_is_proper, record.files))
    return record if proper and record.files and record.id == folder.name else None


def write_record(folder: Path, record: Record) -> None:
    """Write the record into a folder, and wait until the disk has it. Raises `OSError`."""
    text = json.dumps({"format": _FORMAT, **dataclasses.asdict(record)}, indent=2) + "\n"
    temporary = folder / f".{FILE_NAME}"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE_NAME)
    sync_folder(folder)


def describe(root: Path, paths: Iterable[str], date: str) -> tuple[StoredFile, ...]:
    """Measure files in a folder. Raises `OSError`."""
    return tuple(StoredFile(path, (root / path).stat().st_size, file_hash(root / path), date) for path in paths)


def file_hash(path: Path) -> str:
    """SHA-256 of a file. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_proper(file: StoredFile) -> bool:
    texts = (file.path, file.sha256, file.date)
    return all(isinstance(text, str) for text in texts) and isinstance(file.size, int) and is_inside(file.path)
