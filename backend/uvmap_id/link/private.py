"""Files that are their owner's alone: keys, and the connection file."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from .disk import sync_folder, write_synced

_LIMIT = 64 * 1024


class NotPrivateError(Exception):
    """Other users can read or write a file that should be its owner's alone."""


def make_private_folder(folder: Path) -> None:
    """Create a folder that only its owner can enter, or make an existing one so. Raises `OSError`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, so that no reader ever sees half of it. Raises `OSError`.

    A symbolic link in its place is replaced, never followed.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_synced(temporary, content, 0o600)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_private(path: Path, limit: int = _LIMIT) -> bytes:
    """The beginning of a file that only its owner can read or write, at most `limit` bytes.

    Raises:
        OSError: It can't be read, or it is a symbolic link, which could lead to what someone else wrote.
        NotPrivateError: Others can read or write it.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not _is_private(os.fstat(file.fileno())):
            raise NotPrivateError
        return file.read(limit)


def _is_private(status: os.stat_result) -> bool:
    if sys.platform == "win32":
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o077
