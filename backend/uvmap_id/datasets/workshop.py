"""What is already made of a dataset, as it lies on disk: finished items, candidates, and items that killed somebody.

FOLDER/textures/KEY-NN.png          textures that were kept
FOLDER/.uvmap-id/items/KEY.json     a finished item: its textures with their hashes; written last
FOLDER/.uvmap-id/work/KEY/          candidates of an item at work
FOLDER/.uvmap-id/attempts/KEY       a byte for each worker that began the item and did not end it
FOLDER/.uvmap-id/logs/              what the workers said
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from uvmap_id.datasets.folder import TEXTURES
from uvmap_id.link.disk import disk_error, remove, sync_folder, write_synced
from uvmap_id.link.errors import ErrorCode, LinkError, UVMapError
from uvmap_id.link.wire import build

STATE = ".uvmap-id"
PART = ".part"

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Made:
    """A texture that was made.

    Attributes:
        file: Below the dataset's folder; empty for a candidate that was dropped.
        sha256: Of the file.
        index: Which candidate it was.
        prompt: What the person wears.
        seed: That it was made with.
        scores: Of the metrics, by their names.
    """

    file: str
    sha256: str
    index: int
    prompt: str
    seed: int
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished item.

    Attributes:
        key: Of the item.
        photos: Hashes of the photos.
        textures: Those that were kept, the best first.
        dropped: The others; their files are gone.
        embedding: 512 numbers, or none where nobody could be recognised.
        warnings: Sentences for a person.
    """

    key: str
    photos: tuple[str, ...]
    textures: tuple[Made, ...]
    dropped: tuple[Made, ...] = ()
    embedding: tuple[float, ...] = ()
    warnings: tuple[str, ...] = field(default=())


class Workshop:
    """A dataset's folder while it is made. Any number of processes may work in it, each at items of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / STATE

    @property
    def logs(self) -> Path:
        """Where workers write what happens."""
        return self.state / "logs"

    def prepare(self) -> None:
        """Make the folders, and give items that killed workers another chance.

        Raises:
            UVMapError: output_not_writable, disk_full.
        """
        try:
            remove(self.logs)
            remove(self.state / "attempts")
            for name in ("items", "work", "attempts", "logs"):
                (self.state / name).mkdir(parents=True, exist_ok=True)
            (self.folder / TEXTURES).mkdir(exist_ok=True)
            places = (self.folder, self.folder / TEXTURES)
            for left in (*self.state.rglob(f"*{PART}"), *(left for place in places for left in place.glob(f"*{PART}"))):
                remove(left)
            probe = self.state / f"probe-{secrets.token_hex(4)}"
            write_synced(probe, b"probe")
            probe.unlink()
        except OSError as error:
            raise disk_error(error, self.folder) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no second command work in the folder. Raises `UVMapError`: output_not_writable, disk_full."""
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            with FileLock(self.state / "lock", timeout=0):
                yield
        except Timeout as error:
            raise UVMapError(
                ErrorCode.OUTPUT_NOT_WRITABLE,
                f"Another command is at work in {self.folder}.",
                "Wait until it has ended, or choose another folder.",
            ) from error
        except OSError as error:
            raise disk_error(error, self.folder) from error

    def finished(self, key: str, thorough: bool = True) -> Finished | None:
        """An item that is finished and whole: each texture is, byte for byte, the one that was made.

        Args:
            key: Of the item.
            thorough: Read the textures as well, not the record alone.
        """
        found = self._record(self._item(key), Finished)
        if found is None or found.key != key:
            return None
        if not thorough:
            return found
        whole = all(_is_whole(self.folder / made.file, made.sha256) for made in found.textures)
        return found if whole else None

    def remember(self, finished: Finished) -> None:
        """Take an item for finished; its textures lie in their places. Raises `OSError`."""
        sync_folder(self.folder / TEXTURES)
        write_whole(self._item(finished.key), json.dumps(asdict(finished), allow_nan=False).encode())
        remove(self._work(finished.key))

    def texture(self, key: str, index: int) -> str:
        """Where a kept texture of an item belongs, below the folder."""
        return f"{TEXTURES}/{key}-{index:02d}.png"

    def candidate(self, key: str, index: int) -> Made | None:
        """A candidate that was made before; its `file` lies in the item's work folder or in its place."""
        made = self._record(self._work(key) / f"{index:02d}.json", Made)
        if made is None or made.index != index:
            return None
        return made if _is_whole(self.candidate_file(key, index), made.sha256) else None

    def candidate_file(self, key: str, index: int) -> Path:
        """Where a candidate lies until the item is finished."""
        return self._work(key) / f"{index:02d}.png"

    def add_candidate(self, key: str, made: Made, content: bytes) -> None:
        """Keep a candidate until the item is finished. Raises `OSError`."""
        self._work(key).mkdir(parents=True, exist_ok=True)
        write_whole(self.candidate_file(key, made.index), content)
        write_whole(self._work(key) / f"{made.index:02d}.json", json.dumps(asdict(made), allow_nan=False).encode())

    def begin(self, key: str) -> int:
        """Note that somebody begins an item. Returns how many did so before and never ended it. Raises `OSError`."""
        path = self.state / "attempts" / key
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            before = os.fstat(file.fileno()).st_size
            file.write(b"x")
        return before

    def end(self, key: str) -> None:
        """Note that the item was ended, well or not."""
        remove(self.state / "attempts" / key)

    def items(self) -> Iterator[str]:
        """Keys of all items that have a record, whole or not."""
        return (path.stem for path in sorted((self.state / "items").glob("*.json")))

    def forget(self, key: str) -> int:
        """Remove an item with its textures. Returns how many textures went."""
        found = self._record(self._item(key), Finished)
        remove(self._item(key))
        remove(self._work(key))
        files = [self.folder / made.file for made in found.textures] if found else []
        for file in files:
            remove(file)
        return len(files)

    def _item(self, key: str) -> Path:
        return self.state / "items" / f"{key}.json"

    def _work(self, key: str) -> Path:
        return self.state / "work" / key

    def _record(self, path: Path, cls: type[Record]) -> Record | None:
        try:
            return build(cls, json.loads(path.read_bytes()))
        except (OSError, ValueError, RecursionError, AttributeError, TypeError, LinkError):
            # Half a record is none: the item is made again.
            return None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there in full or not at all, in place of one that may be there. Raises `OSError`."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        write_synced(part, content)
        part.replace(path)
    except BaseException:
        remove(part)
        raise


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False
