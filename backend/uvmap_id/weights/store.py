"""The folder in which weights lie: what is there, whether it is whole, and which to take for what.

STORE/ID/                   the files and installed.json, which comes last: who finds it may count on the files
STORE/.partial/ID/          what has been downloaded so far
STORE/accepted_licences.json, STORE/first_downloads.json
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from uvmap_id.link.connection import state_dir
from uvmap_id.link.disk import disk_error, remove, sync_folder
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.catalogue import ID, Catalogue, Purpose, load_catalogue, unknown_weights
from uvmap_id.weights.part import SUFFIX
from uvmap_id.weights.record import Record, StoredFile, file_hash, read_record, write_record

DIR_VARIABLE = "UVMAP_ID_WEIGHTS_DIR"

_PARTIAL = ".partial"
_PLAN = "plan.json"
# Which weights to take for textures, best first, by kind: those that know faces before those that don't.
_BEST_TEXTURES = ("uvmap-id-fused", "uvmap-id", "ip-adapter-faceid", "sd15", "texdreamer")
NEEDED_BASE = {"ip-adapter-faceid": "sd15", "texdreamer": "sd2"}
"""The kind of base without which weights of a kind are no use; both as kinds begin."""

Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class InstalledWeights:
    """Weights that can be loaded.

    Attributes:
        id: Their name in the store.
        folder: Where they are: a folder, or a file that is used in place.
        purpose: What they are for.
        kind: What `recognise` says of them, or how that begins; "" for what it doesn't know.
        bytes: Size of all files.
        licence: The id of their licence; "" where nobody knows.
    """

    id: str
    folder: Path
    purpose: str
    kind: str
    bytes: int
    licence: str


class Fault(StrEnum):
    """What is wrong with a file."""

    MISSING = "missing"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not as it was installed."""

    path: Path
    fault: Fault


@dataclass(frozen=True, slots=True)
class Partial:
    """Half a download: bytes that are here, and of how many; None where nobody knows."""

    done: int
    total: int | None


def weights_dir() -> Path:
    """The store's folder: `UVMAP_ID_WEIGHTS_DIR`, otherwise `weights` in the state folder."""
    chosen = os.environ.get(DIR_VARIABLE)
    return Path(chosen).absolute() if chosen else state_dir() / "weights"


class WeightsStore:
    """The weights in one folder, which need not exist yet."""

    def __init__(self, folder: Path | None = None, catalogue: Catalogue | None = None) -> None:
        self.folder = folder if folder is not None else weights_dir()
        self.catalogue = catalogue if catalogue is not None else load_catalogue()

    def installed(self) -> list[InstalledWeights]:
        """All weights whose files are here with the right sizes; hashes are `verify`'s business."""
        found = []
        for folder in self._folders():
            record = read_record(folder)
            if record is not None and not self._faults(folder, record, thorough=False):
                found.append(_as_installed(folder, record))
        return found

    def ids(self) -> list[str]:
        """The names of all weights that were installed, whole or not."""
        return [folder.name for folder in self._folders() if read_record(folder)]

    def path(self, weights_id: str) -> Path:
        """Where weights are: a folder, or a file that was linked in place.

        Raises:
            UVMapError: `weights_unknown`, `weights_missing`, or `weights_incomplete` for half a download and for
                weights of which files are missing or have another size.
        """
        folder, record = self._recorded(weights_id)
        if damaged := self._faults(folder, record, thorough=False):
            raise _incomplete(weights_id, damaged)
        return record.root(folder)

    def default(self, purpose: str) -> str | None:
        """The weights to take for a purpose, or None.

        For "texture", in this order: the fused format, UVMap-ID's release, an IP-Adapter-FaceID whose base is here as
        well (its purpose is "adapter"), SMPLitex and its like, TexDreamer with its base.
        """
        installed = self.installed()
        if purpose != Purpose.TEXTURE:
            return next((weights.id for weights in installed if weights.purpose == purpose), None)
        bases = [weights.kind for weights in installed if weights.purpose in (Purpose.BASE, Purpose.TEXTURE)]
        for kind in _BEST_TEXTURES:
            for weights in installed:
                fits = weights.purpose in (Purpose.TEXTURE, Purpose.ADAPTER) and weights.kind.startswith(kind)
                if fits and any(base.startswith(NEEDED_BASE.get(kind, "")) for base in bases or [""]):
                    return weights.id
        return None

    def partial(self, weights_id: str) -> Partial | None:
        """How much of a download is here, or None where none was begun."""
        folder = self.staging(weights_id)
        files = [path for path in folder.rglob("*") if path.is_file() and not _is_note(path)]
        if not files:
            return None
        return Partial(sum(path.stat().st_size for path in files), _planned(folder))

    def verify(self, weights_id: str) -> list[Damage]:
        """Hash every file again.

        Returns:
            The files that are missing or not as they were installed.

        Raises:
            UVMapError: `weights_unknown`, `weights_missing`, `weights_incomplete`.
        """
        return self._faults(*self._recorded(weights_id), thorough=True)

    def remove(self, weights_id: str) -> None:
        """Remove weights and what has been downloaded of them. Files that were linked stay where they are.

        Raises:
            UVMapError: `weights_unknown`, `weights_missing`, `output_not_writable`.
        """
        folder, staging = self.folder / weights_id, self.staging(weights_id)
        if not ID.fullmatch(weights_id) or not (folder.exists() or staging.exists()):
            raise self._absent(weights_id)
        with self.lock(weights_id, lambda _: None):
            remove(staging)
            if folder.exists():
                self._discard(folder)

    def recorded(self, weights_id: str) -> Record | None:
        """What is noted about weights, whole or not."""
        return read_record(self.folder / weights_id)

    def staging(self, weights_id: str) -> Path:
        """Where a download lies until it is whole."""
        return self.folder / _PARTIAL / weights_id

    def plan(self, staging: Path, total: int | None) -> None:
        """Note how many bytes a download will have. Raises `OSError`."""
        (staging / _PLAN).write_text(json.dumps({"total": total}), encoding="utf-8")

    def publish(self, staging: Path, record: Record) -> Path:
        """Move a folder with all files to its place, in place of one that may be there.

        Raises:
            UVMapError: `output_not_writable`, `disk_full`; what was there before is still there.
        """
        final = self.folder / record.id
        try:
            (staging / _PLAN).unlink(missing_ok=True)
            write_record(staging, record)
            if final.exists():
                self._discard(final)
            staging.replace(final)
            sync_folder(self.folder)
        except OSError as error:
            raise disk_error(error, final) from error
        return final

    @contextlib.contextmanager
    def lock(self, weights_id: str, notice: Notice) -> Iterator[None]:
        """Keep other processes away from some weights; wait for one that is at them already.

        Raises:
            UVMapError: `output_not_writable`, `disk_full`.
        """
        # `doctor` looks at the store even where this package is what is missing.
        import filelock

        try:
            (self.folder / _PARTIAL).mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / _PARTIAL / f"{weights_id}.lock")
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                notice(f"Another process is busy with {weights_id}; waiting for it.")
                lock.acquire()
        except OSError as error:
            raise disk_error(error, self.folder) from error
        try:
            yield
        finally:
            lock.release()

    def _discard(self, folder: Path) -> None:
        # Renamed first: nobody may find half a folder with its record in it.
        old = self.folder / _PARTIAL / f"old-{secrets.token_hex(4)}"
        try:
            folder.replace(old)
        except OSError as error:
            raise disk_error(error, folder) from error
        remove(old)

    def _folders(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if ID.fullmatch(path.name) and path.is_dir())
        except OSError:
            return []

    def _recorded(self, weights_id: str) -> tuple[Path, Record]:
        folder = self.folder / weights_id
        record = read_record(folder) if ID.fullmatch(weights_id) else None
        if record is None:
            raise self._absent(weights_id)
        return folder, record

    def _absent(self, weights_id: str) -> UVMapError:
        entry = self.catalogue.find(weights_id)
        if entry is None:
            ids = [known.id for known in self.catalogue.entries]
            return unknown_weights(weights_id, [*ids, *(folder.name for folder in self._folders())])
        if self.partial(weights_id):
            return UVMapError(
                ErrorCode.WEIGHTS_INCOMPLETE,
                f"{entry.title} has been downloaded in part only.",
                f"Go on with: uvmap-id weights get {weights_id}",
            )
        hint = (
            f"uvmap-id weights import PATH --as {weights_id}" if entry.manual else f"uvmap-id weights get {weights_id}"
        )
        return UVMapError(ErrorCode.WEIGHTS_MISSING, f"{entry.title} is not installed.", f"Get it: {hint}")

    def _faults(self, folder: Path, record: Record, thorough: bool) -> list[Damage]:
        faults = (
            (record.path(folder, file), _fault(record.path(folder, file), file, thorough)) for file in record.files
        )
        return [Damage(path, fault) for path, fault in faults if fault is not None]


def _fault(path: Path, file: StoredFile, thorough: bool) -> Fault | None:
    try:
        if not path.is_file():
            return Fault.MISSING
        same = path.stat().st_size == file.size and (not thorough or file_hash(path) == file.sha256)
    except OSError:
        # A disk that can't be read any more.
        return Fault.CHANGED
    return None if same else Fault.CHANGED


def _as_installed(folder: Path, record: Record) -> InstalledWeights:
    return InstalledWeights(record.id, record.root(folder), record.purpose, record.kind, record.size, record.licence)


def _is_note(path: Path) -> bool:
    return path.name == _PLAN or path.name.endswith(f"{SUFFIX}.json")


def _planned(folder: Path) -> int | None:
    try:
        total = json.loads((folder / _PLAN).read_bytes())["total"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return total if isinstance(total, int) and total > 0 else None


def _incomplete(weights_id: str, damaged: list[Damage]) -> UVMapError:
    first = damaged[0]
    return UVMapError(
        ErrorCode.WEIGHTS_INCOMPLETE,
        f"{weights_id} is damaged: {first.path.name} is {first.fault.value}.",
        f"Get it again: uvmap-id weights get {weights_id}",
    )
