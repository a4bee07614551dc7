"""The connection file: how a client finds the running server, and the secret that lets it in.

The server's public key is what a client needs to be let in, so the file is its owner's alone. The server's
secret key never leaves the server's memory.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import ErrorCode, LinkError, UVMapError
from .process import is_running
from .wire import build

STATE_DIR_VARIABLE = "UVMAP_ID_STATE_DIR"
FILE_NAME = "connection.json"

_APP = "uvmap-id"
_FILE_LIMIT = 16 * 1024
_ENDPOINT = re.compile(r"tcp://127\.0\.0\.1:[0-9]{1,5}")
_CURVE_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


@dataclass(frozen=True, slots=True)
class Connection:
    """One running server.

    Attributes:
        endpoint: Where it listens, "tcp://127.0.0.1:PORT".
        server_key: Its CURVE public key, 40 characters of Z85. Whoever knows it gets in.
        pid: Its process.
        started: What `process_start` says of that process.
        boot: A name for this start of the server, never used twice.
        protocol: The protocol it speaks.
        version: The version of its package.
    """

    endpoint: str
    server_key: str
    pid: int
    started: str
    boot: str
    protocol: int
    version: str

    @property
    def alive(self) -> bool:
        """True while the server's process runs. Says nothing about whether it answers."""
        return is_running(self.pid, self.started)


def state_dir() -> Path:
    """The folder for everything that the server keeps; `UVMAP_ID_STATE_DIR` moves it."""
    chosen = os.environ.get(STATE_DIR_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "win32":
        return _from_variable("LOCALAPPDATA", Path.home() / "AppData" / "Local") / _APP
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / _APP
    return _from_variable("XDG_STATE_HOME", Path.home() / ".local" / "state") / _APP


def _from_variable(name: str, otherwise: Path) -> Path:
    # The XDG rules say that a relative path is to be ignored.
    path = Path(os.environ.get(name, ""))
    return path if path.is_absolute() else otherwise


def make_state_dir(folder: Path) -> None:
    """Create the state folder, or make an existing one private. Raises `OSError`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def write_connection(connection: Connection, folder: Path) -> None:
    """Write the connection file so that no reader ever sees half of it. Raises `OSError`."""
    text = json.dumps(dataclasses.asdict(connection), indent=2).encode()
    temporary = folder / f".{FILE_NAME}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    temporary.replace(folder / FILE_NAME)


def remove_connection(connection: Connection, folder: Path) -> None:
    """Remove the connection file if it still speaks of this server. Raises `OSError`."""
    try:
        current = _parse(_read_private(folder / FILE_NAME))
    except UVMapError:
        return
    if current.boot == connection.boot:
        (folder / FILE_NAME).unlink(missing_ok=True)


def read_connection(folder: Path | None = None) -> Connection:
    """The running server's connection.

    Args:
        folder: The state folder; `state_dir()` unless told.

    Raises:
        UVMapError: `backend_not_running`: there is no such file, it is damaged, other users can read it,
            or it speaks of a process that has ended.
    """
    connection = _parse(_read_private((folder or state_dir()) / FILE_NAME))
    if not connection.alive:
        raise _not_running("The backend that ran here has ended.")
    return connection


def _parse(text: bytes) -> Connection:
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise LinkError("The connection file is not a JSON object.")
        known = {item.name for item in dataclasses.fields(Connection)}
        connection = build(Connection, {name: value for name, value in values.items() if name in known})
    except (ValueError, RecursionError, LinkError) as error:
        raise _not_running("The backend's connection file is damaged.") from error
    if not _ENDPOINT.fullmatch(connection.endpoint) or not _CURVE_KEY.fullmatch(connection.server_key):
        raise _not_running("The backend's connection file is damaged.")
    return connection


def _read_private(path: Path) -> bytes:
    try:
        # A link could lead to a file that someone else wrote.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise _not_running("The backend is not running.") from None
    except OSError as error:
        raise _not_running(f"The backend's connection file can't be read: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as file:
        if not _is_private(os.fstat(descriptor)):
            raise UVMapError(
                ErrorCode.BACKEND_NOT_RUNNING,
                "The backend's connection file can be read by other users, so it is not trusted.",
                f"Remove {path} and start the backend again.",
            )
        return file.read(_FILE_LIMIT)


def _is_private(status: os.stat_result) -> bool:
    if sys.platform == "win32":
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o077


def _not_running(message: str) -> UVMapError:
    return UVMapError(ErrorCode.BACKEND_NOT_RUNNING, message, 'Start it with "uvmap-id serve".')
