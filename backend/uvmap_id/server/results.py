"""Folders with finished texture sets: complete or not there, and never served when they were altered."""

from __future__ import annotations

import hashlib
import json
import os
from io import BufferedReader
from pathlib import Path

from uvmap_id.link.disk import disk_error, remove, sync_folder, write_synced
from uvmap_id.link.errors import ErrorCode, LinkError, UVMapError
from uvmap_id.link.messages import FRAME_LIMIT, Done, ResultFile
from uvmap_id.link.texture_set import read_manifest
from uvmap_id.link.wire import build

_UNFINISHED = ".part"
_INDEX = "index.json"
_INDEX_LIMIT = 256 * 1024
_GONE = ".gone"
_VERIFIED_KEPT = 10_000


class Results:
    """One folder a job: written as `JOB.part`, renamed to `JOB` when the texture set is complete.

    An index inside of the folder holds the size and the hash of each file, and nothing is served that differs.
    """

    def __init__(self, folder: Path) -> None:
        """Remove what an earlier server left unfinished. Raises `UVMapError` where the folder can't be written."""
        self._folder = folder
        # Files that had that hash when they had that inode, size and time of change.
        self._verified: dict[Path, tuple[str, int, int, int]] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for leftover in (*folder.glob(f"*{_UNFINISHED}"), *folder.glob(f"*{_GONE}")):
                remove(leftover)
        except OSError as error:
            raise disk_error(error, folder) from error

    def begin(self, job: str) -> Path:
        """An empty folder for the worker to write to. Raises `UVMapError`."""
        path = self._unfinished(job)
        # An earlier run may have got as far as its result, but not to its end.
        self.discard(job)
        try:
            path.mkdir(mode=0o700)
        except OSError as error:
            raise disk_error(error, self._folder) from error
        return path

    def commit(self, job: str) -> Path:
        """Give a complete texture set its index and its final name, and return its folder.

        The hashes are those of the manifest, which the worker made before it wrote the files.

        Raises:
            UVMapError: `result_damaged`: a file that the manifest names is not there. `disk_full`,
                `output_not_writable`.
        """
        part, final = self._unfinished(job), self.folder(job)
        try:
            index = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in _survey(part)]
            write_synced(part / _INDEX, json.dumps(index).encode(), 0o600)
            sync_folder(part)
            part.replace(final)
            sync_folder(self._folder)
        except OSError as error:
            raise disk_error(error, final) from error
        return final

    def folder(self, job: str) -> Path:
        """Where a job's result lies when there is one."""
        return self._folder / job

    def jobs(self) -> dict[str, float]:
        """The jobs that have a result, and when it was made, in seconds since 1970."""
        try:
            return {
                path.name: path.stat().st_mtime
                for path in self._folder.iterdir()
                if path.suffix not in (_UNFINISHED, _GONE) and path.is_dir()
            }
        except OSError as error:
            raise disk_error(error, self._folder) from error

    def files(self, job: str) -> tuple[ResultFile, ...]:
        """The files of a result, which are as long as they should be. Raises `UVMapError` (result_damaged)."""
        files = self._index(job)
        for file in files:
            try:
                size = (self.folder(job) / file.name).lstat().st_size
            except OSError as error:
                raise _damaged() from error
            if size != file.size:
                raise _damaged()
        return files

    def done(self, job: str) -> Done | None:
        """How the job ended, told from its result alone; None where there is no undamaged one."""
        folder = self.folder(job)
        try:
            return Done(job, str(folder), read_manifest(folder), self.files(job))
        except (OSError, UVMapError):
            return None

    def read(self, job: str, name: str, offset: int) -> tuple[ResultFile, bytes]:
        """A piece of a file, at most `FRAME_LIMIT` bytes; before its first piece all of the file is checked.

        Raises:
            UVMapError: `result_damaged`: it was altered, cut off or deleted. `message_invalid`: there is no such
                file or place in it.
        """
        file = next((file for file in self._index(job) if file.name == name), None)
        if file is None or not 0 <= offset <= file.size:
            raise LinkError("The result has no such file, or no such place in it.")
        try:
            with _open(self.folder(job) / name) as content:
                self._verify(self.folder(job) / name, file, content)
                content.seek(offset)
                return file, content.read(FRAME_LIMIT)
        except OSError as error:
            raise _damaged() from error

    def check(self, job: str) -> None:
        """See that each file is what it was when the job ended. Raises `UVMapError` (result_damaged)."""
        for file in self._index(job):
            self.read(job, file.name, 0)

    def discard(self, job: str) -> None:
        """Remove what a job that is not done has written."""
        remove(self._unfinished(job))
        self.remove(job)

    def remove(self, job: str) -> None:
        """Remove a result. It is gone at once, even if its files go only with the next start of the server."""
        gone = self._folder / f"{job}{_GONE}"
        try:
            self.folder(job).replace(gone)
        except FileNotFoundError:
            return
        except OSError:
            # It can still be removed bit by bit.
            gone = self.folder(job)
        remove(gone)

    def _index(self, job: str) -> tuple[ResultFile, ...]:
        try:
            with _open(self.folder(job) / _INDEX) as file:
                listed = json.loads(file.read(_INDEX_LIMIT))
            files = tuple(build(ResultFile, item) for item in listed)
        except (OSError, ValueError, TypeError, RecursionError, LinkError) as error:
            raise _damaged() from error
        if any(Path(file.name).name != file.name for file in files):
            raise _damaged()
        return files

    def _verify(self, path: Path, file: ResultFile, content: BufferedReader) -> None:
        status = os.fstat(content.fileno())
        seen = (file.sha256, status.st_ino, status.st_size, status.st_mtime_ns)
        if self._verified.get(path) == seen:
            return
        if status.st_size != file.size or _sha256(content) != file.sha256:
            raise _damaged()
        if len(self._verified) >= _VERIFIED_KEPT:
            self._verified.clear()
        self._verified[path] = seen

    def _unfinished(self, job: str) -> Path:
        return self._folder / f"{job}{_UNFINISHED}"


def _survey(part: Path) -> list[ResultFile]:
    """The files of a complete texture set. Raises `OSError` and `UVMapError`."""
    known = _hashes_of_manifest(part)
    files = []
    for path in sorted(part.iterdir()):
        size = path.lstat().st_size
        digest = known.get(path.name) or hashlib.sha256(path.read_bytes()).hexdigest()
        files.append(ResultFile(path.name, size, digest))
    if set(known) - {file.name for file in files}:
        raise _damaged()
    return files


def _hashes_of_manifest(part: Path) -> dict[str, str]:
    try:
        maps = read_manifest(part)["maps"]
        return {str(each["file"]): str(each["sha256"]) for each in maps.values()}
    except FileNotFoundError:
        return {}
    except (UVMapError, KeyError, TypeError, AttributeError) as error:
        raise _damaged() from error


def _open(path: Path) -> BufferedReader:
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.fdopen(os.open(path, flags), "rb")


def _sha256(content: BufferedReader) -> str:
    return hashlib.file_digest(content, "sha256").hexdigest()


def _damaged() -> UVMapError:
    return UVMapError(
        ErrorCode.RESULT_DAMAGED,
        "The job's result was altered, cut off or deleted on the disk.",
        "Have the job done again.",
    )
