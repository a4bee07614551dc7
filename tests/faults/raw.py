"""Clients that don't behave: bare sockets that send what they are told to, and a proxy that sits in between."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import zmq

from uvmap_id.link.connection import Connection
from uvmap_id.link.messages import Message
from uvmap_id.link.wire import decode


class RawClient:
    """A DEALER that sends whatever frames it is given."""

    def __init__(
        self,
        connection: Connection,
        *,
        server_key: str = "",
        keys: tuple[str, str] | None = None,
        plain: bool = False,
        identity: bytes = b"",
        endpoint: str = "",
        high_water: int = 100_000,
    ) -> None:
        """As the connection file says, but for what is given."""
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, high_water)
        self.socket.setsockopt(zmq.RCVHWM, high_water)
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        if identity:
            self.socket.setsockopt(zmq.ROUTING_ID, identity)
        if not plain:
            public, secret = keys or (connection.client_key, connection.client_secret)
            self.socket.curve_publickey = public.encode()
            self.socket.curve_secretkey = secret.encode()
            self.socket.curve_serverkey = (server_key or connection.server_key).encode()
        self.socket.connect(endpoint or connection.endpoint)

    def send(self, frames: Sequence[bytes], timeout_s: float = 5.0) -> bool:
        """Whether it could be handed over; only where the server has let this client in."""
        if not self.socket.poll(round(timeout_s * 1000), zmq.POLLOUT):
            return False
        self.socket.send_multipart(frames)
        return True

    def receive(self, timeout_s: float = 5.0) -> Message | None:
        """The next message; None where none comes."""
        if not self.socket.poll(round(timeout_s * 1000)):
            return None
        return decode(self.socket.recv_multipart())[0]

    def ask(self, frames: Sequence[bytes], timeout_s: float = 5.0) -> Message | None:
        """Send, and the next message."""
        return self.receive(timeout_s) if self.send(frames, timeout_s) else None

    def drain(self, quiet_s: float = 0.3) -> list[Message]:
        """All that comes until nothing comes."""
        found = []
        while (message := self.receive(quiet_s)) is not None:
            found.append(message)
        return found

    def close(self) -> None:
        self.socket.close(0)
        self.context.term()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def port_of(connection: Connection) -> int:
    return int(connection.endpoint.rpartition(":")[2])


class Proxy:
    """A TCP proxy in a thread of its own, which can be slow, and remembers what clients sent."""

    def __init__(self, port: int, bytes_per_s: float = 0.0) -> None:
        """`bytes_per_s`: in each direction; 0 means as fast as it can."""
        self.recorded: list[bytes] = []
        self._rate = bytes_per_s
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._closed = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections that are open."""
        open_now, self._open = self._open, []
        for one in open_now:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # The slow link's own buffer: about 20 ms.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
            self._open += [client, server]
            threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, record: bool) -> None:
        due = time.monotonic()
        with contextlib.suppress(OSError):
            while not self._closed.is_set():
                if not select.select([source], [], [], 0.2)[0]:
                    continue
                data = source.recv(32 * 1024)
                if not data:
                    break
                if record and not self._rate:
                    self.recorded.append(data)
                if self._rate:
                    due = max(due, time.monotonic() - 0.005) + len(data) / self._rate
                    time.sleep(max(0.0, due - time.monotonic()))
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        source.close()


@contextlib.contextmanager
def proxy(connection: Connection, bytes_per_s: float = 0.0) -> Iterator[Proxy]:
    between = Proxy(port_of(connection), bytes_per_s)
    try:
        yield between
    finally:
        between.close()
