"""Fetches weights of the catalogue into the store."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uvmap_id.link.disk import disk_error, remove
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights import licences
from uvmap_id.weights.archive import unpack
from uvmap_id.weights.catalogue import Entry, RemoteFile
from uvmap_id.weights.download import Expected, Patience, Transfer, download, no_room, probe
from uvmap_id.weights.part import Part
from uvmap_id.weights.record import Record, describe, file_hash
from uvmap_id.weights.store import Notice, WeightsStore
from uvmap_id.weights.web import address_of

FIRST_DOWNLOADS = "first_downloads.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the download of some weights is.

    Attributes:
        file: The file that is on its way.
        done: Bytes of all files that are here.
        total: Bytes of all files, or None where nobody knows.
        bytes_per_second: Of the present connection.
    """

    file: str
    done: int
    total: int | None
    bytes_per_second: float


Report = Callable[[Progress], None]


def fetch(
    store: WeightsStore, weights_id: str, report: Report, notice: Notice, patience: Patience | None = None
) -> Path:
    """Download weights, or go on with it; nothing is done for weights that are installed and whole.

    Args:
        store: Where they go.
        weights_id: A name in the store's catalogue.
        report: Called while bytes come.
        notice: Called with a sentence that the user should read.
        patience: How long to wait for a bad connection.

    Returns:
        The weights' folder.

    Raises:
        UVMapError: `weights_unknown`, `weights_missing` (a person has to fetch them), `licence_not_accepted`,
            `download_failed`, `download_corrupt`, `disk_full`, `output_not_writable`.
    """
    entry = store.catalogue.get(weights_id)
    if entry.manual:
        raise UVMapError(
            ErrorCode.WEIGHTS_MISSING,
            f"{entry.title} can't be fetched by a program. {entry.steps}",
            f"The page: {entry.page} . Then: uvmap-id weights import PATH --as {entry.id}",
        )
    licences.demand(store.folder, entry)
    with store.lock(entry.id, notice):
        if store.recorded(entry.id) and not store.verify(entry.id):
            return store.path(entry.id)
        try:
            return _Fetching(store, entry, report, notice, patience or Patience()).run()
        except OSError as error:
            raise disk_error(error, store.folder) from error


class _Fetching:
    """One download of one entry, with the store's lock held."""

    def __init__(self, store: WeightsStore, entry: Entry, report: Report, notice: Notice, patience: Patience) -> None:
        self._store = store
        self._entry = entry
        self._report = report
        self._notice = notice
        self._patience = patience
        self._staging = store.staging(entry.id)
        self._hashes = _FirstDownloads(store.folder)

    def run(self) -> Path:
        self._staging.mkdir(parents=True, exist_ok=True)
        plan = [(file, self._ask_about(file)) for file in self._entry.files]
        sizes = [expected.size for _, expected in plan]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        self._store.plan(self._staging, total)
        self._refuse_full_disk(plan)
        before = 0
        for file, expected in plan:
            before += self._bring(file, expected, before, total)
        for file in self._entry.files:
            self._unpack(file)
        return self._store.publish(self._staging, self._record())

    def _ask_about(self, file: RemoteFile) -> Expected:
        expected = Expected(file.size, file.sha256)
        if expected.size is None or not expected.sha256:
            expected = probe(address_of(file), expected, self._patience)
        return Expected(expected.size, expected.sha256 or self._hashes.get(file))

    def _refuse_full_disk(self, plan: list[tuple[RemoteFile, Expected]]) -> None:
        wanted = 0
        for file, expected in plan:
            target = self._staging / file.path
            here = target.stat().st_size if target.exists() else Part(target).size
            # An archive lies beside what is unpacked from it.
            wanted += max(0, (expected.size or 0) - here) + (expected.size or 0 if file.unpack else 0)
        free = shutil.disk_usage(self._staging).free
        if wanted > free:
            raise no_room(self._store.folder, wanted, free)

    def _bring(self, file: RemoteFile, expected: Expected, before: int, total: int | None) -> int:
        """Download a file if it isn't here. Returns its size."""
        target = self._staging / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and expected.sha256 and file_hash(target) == expected.sha256:
            return target.stat().st_size

        def on_transfer(transfer: Transfer) -> None:
            self._report(Progress(file.path, before + transfer.done, total, transfer.bytes_per_second))

        digest = download(address_of(file), target, expected, on_transfer, self._patience)
        if not expected.sha256:
            self._hashes.add(file, digest)
            self._notice(
                f"{file.path}: its hash is not known beforehand. This download is trusted, and later ones are compared."
            )
        return target.stat().st_size

    def _unpack(self, file: RemoteFile) -> None:
        if not file.unpack:
            return
        archive = self._staging / file.path
        try:
            unpack(archive, self._staging, file.unpack)
        except UVMapError as error:
            if error.failure.code in (ErrorCode.WEIGHTS_INVALID, ErrorCode.WEIGHTS_INCOMPLETE):
                remove(archive)
                raise UVMapError(ErrorCode.DOWNLOAD_CORRUPT, error.failure.message, "Try again later.") from error
            raise
        archive.unlink()

    def _record(self) -> Record:
        entry, first = self._entry, self._entry.files[0]
        return Record(
            id=entry.id,
            purpose=entry.purpose.value,
            kind=entry.kind,
            source=f"https://huggingface.co/{first.repository}" if first.repository else first.url,
            revision=first.revision,
            licence=entry.licence.id,
            files=describe(self._staging, entry.installed_paths, now()),
        )


class _FirstDownloads:
    """The hashes of files whose hash nobody announced, as they came the first time."""

    def __init__(self, store: Path) -> None:
        self._path = store / FIRST_DOWNLOADS

    def get(self, file: RemoteFile) -> str:
        """The hash of the first download, or ""."""
        known = self._read().get(_name(file))
        return known if isinstance(known, str) else ""

    def add(self, file: RemoteFile, sha256: str) -> None:
        """Note a first download. Raises `OSError`."""
        text = json.dumps({**self._read(), _name(file): sha256}, indent=2) + "\n"
        temporary = self._path.with_name(f".{FIRST_DOWNLOADS}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._path)

    def _read(self) -> dict[str, object]:
        try:
            known = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}


def _name(file: RemoteFile) -> str:
    return f"{file.repository}@{file.revision}/{file.path}" if file.repository else file.url


def now() -> str:
    """The time, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
