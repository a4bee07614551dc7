"""The server's files: photos that wait for their job, and folders with finished texture sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uvmap_id.link.disk import disk_error, remove, sync_folder, write_synced

_UNFINISHED = ".part"


class StagedPhotos:
    """Photos of jobs that have not ended. A face is nobody else's business: only the owner can read them."""

    def __init__(self, folder: Path) -> None:
        """Remove what an earlier server left. Raises `UVMapError` where the folder can't be written."""
        self._folder = folder
        remove(folder)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder) from error

    def add(self, job: str, photos: Sequence[bytes]) -> None:
        """Keep a job's photos until it ends. Raises `UVMapError`."""
        folder = self._folder / job
        try:
            folder.mkdir(mode=0o700)
            for number, photo in enumerate(photos):
                write_synced(folder / str(number), photo, 0o600)
        except OSError as error:
            remove(folder)
            raise disk_error(error, self._folder) from error

    def paths(self, job: str, count: int) -> tuple[Path, ...]:
        """Where a job's photos lie, in the order in which they were added."""
        return tuple(self._folder / job / str(number) for number in range(count))

    def discard(self, job: str) -> None:
        """The job has ended."""
        remove(self._folder / job)


class Results:
    """One folder a job: written as `JOB.part`, renamed to `JOB` when the texture set is complete."""

    def __init__(self, folder: Path) -> None:
        """Remove what an earlier server left unfinished. Raises `UVMapError` where the folder can't be written."""
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for leftover in folder.glob(f"*{_UNFINISHED}"):
                remove(leftover)
        except OSError as error:
            raise disk_error(error, folder) from error

    def begin(self, job: str) -> Path:
        """An empty folder for the worker to write to. Raises `UVMapError`."""
        path = self._unfinished(job)
        remove(path)
        try:
            path.mkdir(mode=0o700)
        except OSError as error:
            raise disk_error(error, self._folder) from error
        return path

    def commit(self, job: str) -> Path:
        """Give a complete texture set its final name, and return its folder. Raises `UVMapError`."""
        final = self._folder / job
        try:
            sync_folder(self._unfinished(job))
            self._unfinished(job).replace(final)
            sync_folder(self._folder)
        except OSError as error:
            raise disk_error(error, final) from error
        return final

    def discard(self, job: str) -> None:
        """Remove what a job that didn't finish has written."""
        remove(self._unfinished(job))

    def _unfinished(self, job: str) -> Path:
        return self._folder / f"{job}{_UNFINISHED}"
