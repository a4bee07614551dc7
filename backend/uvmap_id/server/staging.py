"""Photos and embeddings that came from clients and wait for their jobs. A face is nobody else's business."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from uvmap_id.link.disk import disk_error, remove, sync_folder
from uvmap_id.link.errors import ErrorCode, LinkError, UVMapError
from uvmap_id.link.messages import PHOTO_LIMIT
from uvmap_id.link.wire import Blob

if TYPE_CHECKING:
    from hashlib import _Hash

OWNER_BYTES = 2**30
OWNER_FILES = 4096
UNUSED_S = 3600.0

_UNFINISHED = ".part"
# So that the last piece of a large file doesn't have to wait for all of it.
_SYNC_EVERY = 8 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")

_Name = tuple[str, str]


@dataclass(slots=True)
class _Upload:
    """A file that is not complete yet; the hash is that of the `received` bytes."""

    path: Path
    size: int
    touched: float
    received: int = 0
    synced: int = 0
    digest: _Hash = field(default_factory=hashlib.sha256)


@dataclass(slots=True)
class _Blob:
    """A complete file. `wanted` until a job takes it: somebody is about to submit one."""

    path: Path
    size: int
    touched: float
    wanted: bool


class Staging:
    """One file a hash, in a folder an owner: owners share nothing, or one could find out what another has.

    Files come in pieces, in any number of connections. Each belongs to the jobs that name it, and goes with the last
    of them; one that no job ever names goes after an hour, and with the server.
    """

    def __init__(
        self,
        folder: Path,
        is_full: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        owner_bytes: int = OWNER_BYTES,
    ) -> None:
        """Find what an earlier server left. Raises `UVMapError` where the folder can't be written.

        Args:
            folder: Private to this class.
            is_full: Whether the disk is too full for anything new.
            clock: Seconds that never run backwards.
            owner_bytes: How much an owner may upload without submitting a job for it.
        """
        self._folder = folder
        self._is_full = is_full
        self._clock = clock
        self._owner_bytes = owner_bytes
        self._uploads: dict[_Name, _Upload] = {}
        self._blobs: dict[_Name, _Blob] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            for path in folder.glob("*/*"):
                self._adopt(path)
        except OSError as error:
            raise disk_error(error, folder) from error

    def received(self, sha256: str, owner: str) -> int:
        """How many bytes of a file are here, from its beginning. Whoever asks is expected to submit a job for it."""
        name = _name(sha256, owner)
        blob, upload = self._blobs.get(name), self._uploads.get(name)
        if blob is not None:
            blob.touched, blob.wanted = self._clock(), True
            return blob.size
        return upload.received if upload else 0

    def put(self, sha256: str, size: int, offset: int, chunk: Blob, owner: str) -> int:
        """Take a piece of a file. One that was there before, or comes too early, changes nothing.

        Args:
            sha256: Of the whole file, 64 hex digits.
            size: Of the whole file.
            offset: Where the piece begins.
            chunk: The piece.
            owner: Whose file it is.

        Returns:
            How many bytes are here, from the file's beginning: where to go on.

        Raises:
            UVMapError: `blob_invalid`: the pieces don't make the file that was announced; all of them are gone.
                `face_file_too_large`, `queue_full`: there is too much of it. `disk_full`, `output_not_writable`.
        """
        name = _name(sha256, owner)
        if name in self._blobs:
            return self.received(sha256, owner)
        upload = self._uploads.get(name)
        if size < 1 or offset < 0 or offset + len(chunk) > size or (upload is not None and upload.size != size):
            raise _invalid("The photo's piece does not fit into the photo.")
        if upload is None:
            upload = self._begin(name, size)
        if offset != upload.received or not chunk:
            return upload.received
        try:
            self._append(upload, chunk)
            if upload.received == upload.size:
                self._complete(name, upload)
        except OSError as error:
            self._drop(name)
            raise disk_error(error, self._folder) from error
        return upload.received

    def path(self, sha256: str, owner: str) -> Path:
        """A complete file, which from now on stays only as long as a job needs it.

        Raises:
            UVMapError: `photo_missing`.
        """
        blob = self._blobs.get(_name(sha256, owner))
        if blob is None or not blob.path.is_file():
            raise UVMapError(
                ErrorCode.PHOTO_MISSING, "The backend does not have the photo of this job.", "Submit the job again."
            )
        blob.wanted = False
        return blob.path

    def sweep(self, needed: Collection[tuple[str, str]]) -> int:
        """Remove what no job needs, and what came more than an hour ago for a job that was never submitted.

        Args:
            needed: Owners and hashes of the files that jobs need.

        Returns:
            How many files went.
        """
        now = self._clock()
        keep = {(_owner_folder(owner), sha256) for owner, sha256 in needed} if self._blobs else set()
        gone = [
            name
            for name, blob in self._blobs.items()
            if name not in keep and not (blob.wanted and now - blob.touched < UNUSED_S)
        ]
        gone += [name for name, upload in self._uploads.items() if now - upload.touched >= UNUSED_S]
        for name in gone:
            self._drop(name)
        return len(gone)

    def purge(self, owner: str | None, needed: Collection[tuple[str, str]]) -> int:
        """Remove at once all of an owner's files, or everybody's, that no job needs. Returns how many went."""
        folder = None if owner is None else _owner_folder(owner)
        for blob in self._blobs.values():
            blob.wanted &= folder not in (None, blob.path.parent.name)
        uploads = [name for name in self._uploads if folder in (None, name[0])]
        for name in uploads:
            self._drop(name)
        return len(uploads) + self.sweep(needed)

    def _adopt(self, path: Path) -> None:
        """Note a file of an earlier server; it goes with the first sweep unless a job needs it."""
        if not _SHA256.fullmatch(path.name) or path.is_symlink():
            remove(path)
            return
        self._blobs[path.parent.name, path.name] = _Blob(path, path.stat().st_size, self._clock(), wanted=False)

    def _begin(self, name: _Name, size: int) -> _Upload:
        if size > PHOTO_LIMIT:
            raise UVMapError(
                ErrorCode.FACE_FILE_TOO_LARGE,
                f"A photo of {size / 2**20:.0f} MiB is over the limit of {PHOTO_LIMIT // 2**20} MiB.",
                "Save it as a JPEG or scale it down.",
            )
        waiting = [upload.size for other, upload in self._uploads.items() if other[0] == name[0]]
        waiting += [blob.size for other, blob in self._blobs.items() if blob.wanted and other[0] == name[0]]
        if sum(waiting) + size > self._owner_bytes or len(waiting) >= OWNER_FILES:
            raise UVMapError(
                ErrorCode.QUEUE_FULL,
                "Too many photos were sent for which no job was submitted.",
                "Submit jobs for them, or wait an hour.",
            )
        if self._is_full():
            raise UVMapError(
                ErrorCode.DISK_FULL,
                f"The disk that holds {self._folder} is as good as full.",
                "Free some space and try again.",
            )
        path = self._folder / name[0] / name[1]
        upload = _Upload(path.with_name(path.name + _UNFINISHED), size, self._clock())
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            os.close(_open(upload.path, os.O_CREAT | os.O_TRUNC))
        except OSError as error:
            raise disk_error(error, self._folder) from error
        self._uploads[name] = upload
        return upload

    def _append(self, upload: _Upload, chunk: Blob) -> None:
        descriptor = _open(upload.path, os.O_APPEND)
        try:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            upload.received += len(chunk)
            if upload.received == upload.size or upload.received - upload.synced >= _SYNC_EVERY:
                os.fsync(descriptor)
                upload.synced = upload.received
        finally:
            os.close(descriptor)
        upload.digest.update(chunk)
        upload.touched = self._clock()

    def _complete(self, name: _Name, upload: _Upload) -> None:
        if upload.digest.hexdigest() != name[1]:
            self._drop(name)
            raise _invalid("The photo was damaged on the way.")
        final = upload.path.with_name(name[1])
        upload.path.replace(final)
        sync_folder(final.parent)
        del self._uploads[name]
        self._blobs[name] = _Blob(final, upload.size, self._clock(), wanted=True)

    def _drop(self, name: _Name) -> None:
        upload, blob = self._uploads.pop(name, None), self._blobs.pop(name, None)
        for found in (upload, blob):
            if found is not None:
                remove(found.path)


def _owner_folder(owner: str) -> str:
    """A folder's name for any owner, whatever signs its name holds."""
    return hashlib.sha256(owner.encode()).hexdigest()[:32]


def _name(sha256: str, owner: str) -> _Name:
    if not _SHA256.fullmatch(sha256):
        raise LinkError("The photo's name is not a SHA-256.")
    return _owner_folder(owner), sha256


def _open(path: Path, flags: int) -> int:
    return os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | flags, 0o600)


def _invalid(message: str) -> UVMapError:
    return UVMapError(ErrorCode.BLOB_INVALID, message, "Submit the job again.")
