"""The folder of a synthetic dataset while it grows: who is finished is known by what lies there, not by a counter."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from uvmap_id.datasets.folder import PHOTOS, TEXTURES, Row
from uvmap_id.datasets.synthetic.maker import Person, Wish, parameters
from uvmap_id.link.disk import disk_error, remove, sync_folder, write_synced
from uvmap_id.link.errors import ErrorCode, UVMapError

NOTES = ".synthesis"
IDENTITIES = "identities.json"
FORMAT = 1
"""Raised where the same wish gives other pictures than before."""
_WISH = "wish.json"
_PART = ".part"


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A finished person.

    Attributes:
        rows: One for each texture.
        parameters: What the person was drawn from.
    """

    rows: tuple[Row, ...]
    parameters: dict[str, Any]


class Shelf:
    """Puts people into a dataset's folder, each whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, wish: Wish) -> None:
        """Begin a dataset, or go on with one of the same wish.

        Raises:
            UVMapError: output_not_writable where the folder holds something else; disk_full.
        """
        wanted = {"format": FORMAT, **dataclasses.asdict(wish)}
        notes = self.folder / NOTES / _WISH
        try:
            found = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
            if notes.is_file():
                self._check(json.loads(notes.read_text(encoding="utf-8")), wanted)
                return
            if any(path.name != NOTES for path in found):
                raise UVMapError(
                    ErrorCode.OUTPUT_NOT_WRITABLE,
                    f"{self.folder} holds something else than a dataset of synthetic people.",
                    "Choose an empty or new folder.",
                )
            for name in (TEXTURES, PHOTOS, NOTES):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, self.folder) from error
        except ValueError as error:
            raise UVMapError(
                ErrorCode.DATASET_UNREADABLE, f"{notes} is damaged.", "Remove the folder, or choose another."
            ) from error
        self.write(f"{NOTES}/{_WISH}", _json(wanted))

    def _check(self, found: object, wanted: dict[str, Any]) -> None:
        if not isinstance(found, dict):
            raise ValueError("no object")
        different = [name for name, value in wanted.items() if found.get(name) != value]
        if different:
            said = ", ".join(f"{name.replace('_', '-')} {found.get(name)}" for name in different)
            raise UVMapError(
                ErrorCode.SETTING_OUT_OF_RANGE,
                f"{self.folder} was begun with other settings: {said}.",
                "Use the same settings, only --identities may grow, or choose another folder.",
            )

    def finished(self, number: int) -> Entry | None:
        """What is known of a person whose files all lie there, unchanged; None for everybody else."""
        try:
            note = json.loads(self._note(number).read_text(encoding="utf-8"))
            for name, digest in note["files"].items():
                if hashlib.sha256((self.folder / name).read_bytes()).hexdigest() != digest:
                    return None
            rows = tuple(Row(**{**row, "embedding": tuple(row["embedding"])}) for row in note["rows"])
            return Entry(rows, dict(note["parameters"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # A note that is absent or damaged says that the person has to be made again.
            return None

    def put(self, person: Person) -> None:
        """Write a person's files, and the note about them last.

        Raises:
            UVMapError: output_not_writable, disk_full.
        """
        for name, content in person.files.items():
            self.write(name, content)
        note = {
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in person.files.items()},
            "rows": [dataclasses.asdict(row) for row in person.rows],
            "parameters": parameters(person.identity),
        }
        self.write(f"{NOTES}/{self._note(person.identity.number).name}", _json(note))

    def write(self, name: str, content: bytes) -> None:
        """Write a file below the folder, whole or not at all. Raises `UVMapError` (output_not_writable, disk_full)."""
        path = self.folder / name
        part = path.with_name(f".{path.name}.{os.getpid()}{_PART}")
        try:
            remove(part)
            write_synced(part, content)
            part.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            remove(part)
            raise disk_error(error, path) from error

    def sweep(self) -> None:
        """Remove what a run that was killed left half written."""
        for name in (TEXTURES, PHOTOS, NOTES, "."):
            for path in (self.folder / name).glob(f".*{_PART}"):
                remove(path)

    def _note(self, number: int) -> Path:
        return self.folder / NOTES / f"{number:06d}.json"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
