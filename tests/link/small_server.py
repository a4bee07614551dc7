"""The server's real socket and doorkeeper in a thread, with a service that only says who it thinks is there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from uvmap_id.link.connection import Connection
from uvmap_id.link.errors import LinkError, UVMapError
from uvmap_id.link.keys import KeyPair, new_key_pair
from uvmap_id.link.messages import PROTOCOL, Hello, Pong, Refused, Welcome
from uvmap_id.link.process import process_start
from uvmap_id.link.wire import Blob, decode
from uvmap_id.server.handshake import agreed
from uvmap_id.server.socket import ANY_LOOPBACK_PORT, Router
from uvmap_id.server.zap import AllowList


class SmallServer:
    """Answers `Hello`, and any other message by a `Pong` whose `boot` is the owner.

    Set `let_in` to False to leave the doorkeeper's questions unanswered, `doorkeeper_gone` to True to do away with it.
    """

    def __init__(self, state: Path, bind: str = ANY_LOOPBACK_PORT, authorized: bool = False) -> None:
        self.let_in = True
        self.doorkeeper_gone = False
        self.heard: list[tuple[str, list[Blob]]] = []
        self.keys = new_key_pair()
        self.local = new_key_pair()
        self.allowed = AllowList(self.local.public, state)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.router = Router(self._context, self.keys, self.allowed, bind, authorized)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()

    def connection(self, pid: int = 0, keys: KeyPair | None = None, server_key: str = "") -> Connection:
        """How to reach it: as a remote server unless a pid is given."""
        keys = keys or self.local
        started = process_start(pid) or "" if pid else ""
        server_key = server_key or self.keys.public
        return Connection(
            self.router.endpoint, server_key, pid, started, "boot", PROTOCOL, "1", keys.public, keys.secret
        )

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
        self.router.close()
        self._context.destroy(0)

    def _loop(self) -> None:
        poller = zmq.Poller()
        for socket in self.router.sockets:
            poller.register(socket, zmq.POLLIN)
        while not self._stopped.is_set():
            poller.poll(20)
            if self.doorkeeper_gone and self.router.sockets[1] in poller:
                poller.unregister(self.router.sockets[1])
                self.router.sockets[1].close(0)
            elif self.let_in and not self.doorkeeper_gone:
                self.router.serve_zap()
            while (received := self.router.receive()) is not None:
                self._answer(*received)

    def _answer(self, client: bytes, owner: str, frames: list[Blob]) -> None:
        self.heard.append((owner, frames))
        try:
            message, _ = decode(frames)
            welcome = Welcome(PROTOCOL, "1", "boot")
            answer = agreed(message, welcome) if isinstance(message, Hello) else Pong(boot=owner)
        except LinkError:
            answer = Pong(boot=owner)
        except UVMapError as error:
            answer = Refused(error.failure.code, error.failure.message, error.failure.hint)
        self.router.send(client, answer)


@contextmanager
def small_server(state: Path, bind: str = ANY_LOOPBACK_PORT, authorized: bool = False) -> Iterator[SmallServer]:
    server = SmallServer(state, bind, authorized)
    try:
        yield server
    finally:
        server.close()
