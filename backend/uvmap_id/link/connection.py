"""The connection file: how a client finds the running server, and the key that lets it in.

The client's key pair in it is new at each start of the server, and the file is its owner's alone. The server's
secret key is in no connection file.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ErrorCode, LinkError, UVMapError
from .keys import KeyPair, is_key
from .messages import PROTOCOL
from .private import NotPrivateError, make_private_folder, read_private, write_private
from .process import is_running
from .wire import build

STATE_DIR_VARIABLE = "UVMAP_ID_STATE_DIR"
FILE_NAME = "connection.json"

_APP = "uvmap-id"
_FILE_LIMIT = 16 * 1024
_LOCAL_ENDPOINT = re.compile(r"tcp://127\.0\.0\.1:[0-9]{1,5}")
_REMOTE_ENDPOINT = re.compile(r"tcp://([a-zA-Z0-9.\-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]):[0-9]{1,5}")
# Servers of earlier protocols wrote no client key.
_FIRST_WITH_CLIENT_KEY = 3


@dataclass(frozen=True, slots=True)
class Connection:
    """One running server, and the key pair to talk to it with.

    Attributes:
        endpoint: Where it listens, "tcp://127.0.0.1:PORT".
        server_key: Its CURVE public key, 40 characters of Z85.
        pid: Its process; 0 where it runs on another machine.
        started: What `process_start` says of that process.
        boot: A name for this start of the server, never used twice.
        protocol: The highest protocol that it speaks.
        version: The version of its package.
        client_key: The client's public key.
        client_secret: The client's secret key.
        source: The connection file that this was read from.
    """

    endpoint: str
    server_key: str
    pid: int
    started: str
    boot: str
    protocol: int
    version: str
    client_key: str = ""
    client_secret: str = field(default="", repr=False)
    source: Path | None = field(default=None, compare=False, repr=False)

    @property
    def local(self) -> bool:
        """True where the server runs on this machine and wrote a connection file."""
        return self.pid > 0

    @property
    def alive(self) -> bool:
        """True while the server's process runs; of one elsewhere nobody knows better. Not whether it answers."""
        return not self.local or is_running(self.pid, self.started)


def remote_connection(endpoint: str, server_key: str, keys: KeyPair) -> Connection:
    """How to reach a server on another machine, or through a tunnel.

    Args:
        endpoint: "tcp://HOST:PORT".
        server_key: The public key that it must have, from `uvmap-id keys show` there.
        keys: The client's, whose public one is authorised there.

    Raises:
        UVMapError: `address_not_allowed` or `key_invalid`.
    """
    if not _REMOTE_ENDPOINT.fullmatch(endpoint):
        raise UVMapError(
            ErrorCode.ADDRESS_NOT_ALLOWED, f"{endpoint[:100]!r} is no address of a backend.", "Write tcp://HOST:PORT."
        )
    if not is_key(server_key):
        raise UVMapError(
            ErrorCode.KEY_INVALID, "The backend's public key is none.", '"uvmap-id keys show" there prints it.'
        )
    return Connection(endpoint, server_key, 0, "", "", PROTOCOL, "", keys.public, keys.secret)


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
    make_private_folder(folder)


def write_connection(connection: Connection, folder: Path) -> None:
    """Write the connection file so that no reader ever sees half of it. Raises `OSError`."""
    values = dataclasses.asdict(connection)
    del values["source"]
    write_private(folder / FILE_NAME, json.dumps(values, indent=2).encode())


def remove_connection(connection: Connection, folder: Path) -> None:
    """Remove the connection file if it still speaks of this server. Raises `OSError`."""
    try:
        current = _parse(folder / FILE_NAME)
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
    connection = _parse((folder or state_dir()) / FILE_NAME)
    if not connection.alive:
        raise _not_running("The backend that ran here has ended.")
    return connection


def _parse(path: Path) -> Connection:
    damaged = _not_running("The backend's connection file is damaged.")
    try:
        values = json.loads(_read(path))
        if not isinstance(values, dict):
            raise damaged
        known = {item.name for item in dataclasses.fields(Connection)} - {"source"}
        connection = build(Connection, {name: value for name, value in values.items() if name in known})
    except (ValueError, RecursionError, LinkError) as error:
        raise damaged from error
    if not _LOCAL_ENDPOINT.fullmatch(connection.endpoint) or not connection.local or not _has_keys(connection):
        raise damaged
    return dataclasses.replace(connection, source=path)


def _has_keys(connection: Connection) -> bool:
    if connection.protocol < _FIRST_WITH_CLIENT_KEY:
        return is_key(connection.server_key)
    return all(map(is_key, (connection.server_key, connection.client_key, connection.client_secret)))


def _read(path: Path) -> bytes:
    try:
        return read_private(path, _FILE_LIMIT)
    except FileNotFoundError:
        raise _not_running("The backend is not running.") from None
    except NotPrivateError:
        raise UVMapError(
            ErrorCode.BACKEND_NOT_RUNNING,
            "The backend's connection file can be read by other users, so it is not trusted.",
            f"Remove {path} and start the backend again.",
        ) from None
    except OSError as error:
        raise _not_running(f"The backend's connection file can't be read: {error.strerror}.") from error


def _not_running(message: str) -> UVMapError:
    return UVMapError(ErrorCode.BACKEND_NOT_RUNNING, message, 'Start it with "uvmap-id serve".')
