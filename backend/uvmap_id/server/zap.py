"""Who is let in: the answers to libzmq's questions about each new connection (ZAP, RFC 27), and the list behind them.

It runs in the server's own loop. A thread of its own could die and leave the door as it is.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable
from pathlib import Path

import zmq
from zmq.utils import z85

from uvmap_id.link.errors import UVMapError
from uvmap_id.link.keys import AuthorizedKeys

DOMAIN = "uvmap-id"
LOCAL_OWNER = "local"

_ADDRESS = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_ACCEPTED, _DENIED = b"200", b"400"
_REQUESTS_A_ROUND = 500
_REREAD_S = 1.0

_log = logging.getLogger(__name__)

OwnerOf = Callable[[str], str | None]


class AllowList:
    """The owner that each client key stands for: the connection file's key, and those authorised for other machines.

    The file of authorised keys is read anew when it changes, so that a revoked key is out within a second.
    """

    def __init__(self, local_key: str, state: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """For the client key of the connection file, and the keys authorised in that state folder."""
        self._local_key = local_key
        self._keys = AuthorizedKeys(state)
        self._clock = clock
        self._authorized: frozenset[str] = frozenset()
        self._seen: tuple[int, int, int] | None = None
        self._look_at = 0.0

    def __call__(self, key: str) -> str | None:
        """The owner whose client has this public key; None for a stranger's."""
        if key == self._local_key:
            return LOCAL_OWNER
        return key if key in self.authorized else None

    @property
    def authorized(self) -> frozenset[str]:
        """The keys authorised for other machines; none where their file can't be trusted."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + _REREAD_S
            self._read_if_changed()
        return self._authorized

    def _read_if_changed(self) -> None:
        try:
            status = self._keys.path.lstat()
            seen = (status.st_mtime_ns, status.st_ino, status.st_ctime_ns)
        except OSError:
            seen = None
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._authorized = frozenset(self._keys.read())
        except UVMapError as error:
            self._authorized = frozenset()
            _log.error("nobody is let in from elsewhere: %s", error.failure)


class Doorkeeper:
    """The ZAP handler of one context. While nobody calls `serve`, nobody gets in."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], owner_of: OwnerOf) -> None:
        """Bind. Raises `zmq.ZMQError` where the context has a handler already."""
        self._owner_of = owner_of
        # A REP would hang on to a question that can't be answered.
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(_ADDRESS)

    def serve(self) -> None:
        """Answer what libzmq has asked so far. Never blocks."""
        for _ in range(_REQUESTS_A_ROUND):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._answer(frames)

    def close(self) -> None:
        """From now on nobody gets in."""
        self.socket.close(0)

    def _answer(self, frames: list[bytes]) -> None:
        # libzmq's own words: envelope, empty, version, request, domain, address, identity, mechanism, credentials.
        if len(frames) < 8 or frames[2] != _VERSION:
            _log.error("dropped a question about a connection that is none")
            return
        envelope, request, domain, address, mechanism = frames[0], frames[3], frames[4], frames[5], frames[7]
        owner = None
        if domain == DOMAIN.encode() and mechanism == b"CURVE" and len(frames) == 9 and len(frames[8]) == 32:
            owner = self._owner(z85.encode(frames[8]).decode("ascii"), address.decode("ascii", errors="replace"))
        status, text = (_ACCEPTED, b"OK") if owner is not None else (_DENIED, b"not authorised")
        answer = [envelope, b"", _VERSION, request, status, text, (owner or "").encode(), b""]
        try:
            self.socket.send_multipart(answer, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            _log.info("a connection was gone before it was let in: %s", error)

    def _owner(self, key: str, address: str) -> str | None:
        owner = self._owner_of(key)
        if owner == LOCAL_OWNER and not _is_loopback(address):
            # Whoever has this key from the file is on this machine, or should not have it.
            owner = None
        if owner is None:
            _log.warning("refused a client from %s: its key is not authorised", address[:60])
        return owner


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
