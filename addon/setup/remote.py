"""A backend that runs elsewhere: does it answer?"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable

from ..link.client import Client, error_of
from ..link.connection import Connection, make_state_dir, remote_connection, state_dir
from ..link.disk import disk_error
from ..link.errors import ErrorCode, UVMapError
from ..link.exchange import LOST_S
from ..link.keys import CLIENT_KEY, KeyPair, own_keys

_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")


def connection_to(host: str, port: int, key: str) -> Connection:
    """The connection to a backend elsewhere.

    Args:
        host: Its name or address.
        port: Where it listens.
        key: Its public key, 40 characters of Z85.

    Raises:
        UVMapError: `setting_out_of_range`: one of them can't be right.
    """
    if not _HOST.fullmatch(host.strip()):
        raise _wrong("host", "Type its name or address, such as 192.168.1.20.")
    if not 0 < port < 65536:
        raise _wrong("port", "Type a number from 1 to 65535.")
    if not _KEY.fullmatch(key.strip()):
        raise _wrong("public key", "Copy all 40 characters that the backend shows there.")
    name = host.strip()
    address = f"[{name}]" if ":" in name else name
    return remote_connection(f"tcp://{address}:{port}", key.strip(), _client_keys())


def own_public_key() -> str:
    """The line by which a backend elsewhere lets this computer in: its public key and its name.

    Raises:
        UVMapError: There are no keys, and none can be made.
    """
    return f"{_client_keys().public} {platform.node() or 'blender'}"


def _client_keys() -> KeyPair:
    try:
        make_state_dir(state_dir())
        return own_keys(state_dir(), CLIENT_KEY)
    except OSError as error:
        raise disk_error(error, state_dir()) from error


class RemoteTest:
    """A test under way: call `poll` until it returns the backend's version, then `close`."""

    def __init__(self, host: str, port: int, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin it. Raises what `connection_to` raises."""
        self._client = Client.connect(connection_to(host, port, key), "blender")
        self._clock = clock
        self._deadline = clock() + LOST_S

    def poll(self) -> str | None:
        """The version of the backend that answered; None while none has.

        Raises:
            UVMapError: `backend_lost`: nothing answers, or not with that key; `backend_incompatible`.
        """
        self._client.poll()
        if self._client.welcome is not None:
            return self._client.welcome.version
        telling = (ErrorCode.BACKEND_INCOMPATIBLE, ErrorCode.BACKEND_REFUSED)
        if self._client.failure is not None and self._client.failure.code in telling:
            raise error_of(self._client.failure)
        if self._client.failure is not None or self._clock() > self._deadline:
            raise UVMapError(
                ErrorCode.BACKEND_LOST,
                "No backend answers there with that key.",
                "See that it runs, that its firewall lets the port through, and that the key is its public key.",
            )
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def test(host: str, port: int, key: str) -> RemoteTest:
    """Begin to test a backend that runs elsewhere. Raises what `connection_to` raises."""
    return RemoteTest(host, port, key)


def _wrong(what: str, hint: str) -> UVMapError:
    return UVMapError(ErrorCode.SETTING_OUT_OF_RANGE, f"The backend's {what} can't be right.", hint)
