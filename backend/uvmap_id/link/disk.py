"""Writing files so that nobody ever finds half of one, and saying in words why it didn't work."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

from .errors import ErrorCode, UVMapError

_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}


def disk_error(error: OSError, place: Path) -> UVMapError:
    """The failure that a person understands for an error of writing to `place`."""
    if error.errno in _FULL:
        return UVMapError(
            ErrorCode.DISK_FULL, f"The disk that holds {place} is full.", "Free some space and try again."
        )
    reason = error.strerror or str(error)
    return UVMapError(
        ErrorCode.OUTPUT_NOT_WRITABLE,
        f"{place} can't be written: {reason}.",
        "Choose a folder that you may write to.",
    )


def write_synced(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file that does not exist yet, and wait until the disk has it. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the disk knows of the names in a folder. Raises `OSError`."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it is there. What can't be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # The next start of the server tries again.
        return
