"""The client's socket: frames in and out without waiting, and what becomes of the connection meanwhile."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

import zmq
from zmq.utils.monitor import recv_monitor_message

from .connection import Connection
from .errors import ErrorCode, Failure
from .options import contents, set_common_options
from .wire import Blob

# A server that doesn't hold the expected key hangs up at once; one that is only slow does so after 5 s.
_HUNG_UP_S = 3.0
_HANG_UPS = 3
_REOPEN_S = 0.5
_EVENTS = (
    zmq.EVENT_CONNECTED
    | zmq.EVENT_CONNECT_DELAYED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class Channel:
    """One socket to one server at a time. libzmq connects it anew as often as need be.

    Attributes:
        connection: The server that it leads to.
        up: True while the server has let this client in.
        refusal: Why the server will not let this client in; None while it may.
    """

    def __init__(self, connection: Connection) -> None:
        """Connect without waiting. Raises `zmq.ZMQError` for an endpoint that is none."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        # An id of our own survives a reconnect. libzmq keeps those with a leading zero byte for itself.
        self._identity = b"c" + secrets.token_bytes(15)
        self._poller = zmq.Poller()
        self._open(connection)

    def switch(self, connection: Connection) -> None:
        """Talk to another server from now on; what was not sent yet is dropped."""
        self._close_sockets()
        self._open(connection)

    def notice(self) -> bool:
        """Take note of what has become of the connection. True where it has come up since the last call."""
        came_up = False
        while True:
            try:
                event = recv_monitor_message(self._monitor, zmq.NOBLOCK)["event"]
            except zmq.Again:
                break
            came_up = self._note(event, time.monotonic()) or came_up
        if not self.up and self._hung_up_at is not None and time.monotonic() - self._hung_up_at > _REOPEN_S:
            # After some errors libzmq doesn't try again.
            self._reopen()
        return came_up and self.up

    def send(self, frames: Sequence[bytes]) -> bool:
        """Hand a message over; False where there is no room for it at the moment."""
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self) -> list[Blob] | None:
        """The next message's frames; None when there is none."""
        try:
            return contents(self._socket.recv_multipart(zmq.NOBLOCK, copy=False))
        except zmq.Again:
            return None

    def wait(self, timeout_s: float) -> None:
        """Block until there is something to do, or the time is over."""
        self._poller.poll(int(1000 * timeout_s))

    def close(self) -> None:
        """Let go of everything at once."""
        self._close_sockets()
        self._context.term()

    def _open(self, connection: Connection) -> None:
        self.connection = connection
        self.up = False
        self.refusal: Failure | None = None
        self._hang_ups = 0
        self._connected_at = 0.0
        self._hung_up_at: float | None = None
        self._open_sockets()

    def _reopen(self) -> None:
        self._hung_up_at = None
        self._close_sockets()
        self._open_sockets()

    def _open_sockets(self) -> None:
        self._socket = _open_socket(self._context, self.connection, self._identity)
        self._monitor = self._socket.get_monitor_socket(_EVENTS)
        self._socket.connect(self.connection.endpoint)
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)

    def _close_sockets(self) -> None:
        self._poller.unregister(self._socket)
        self._poller.unregister(self._monitor)
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)

    def _note(self, event: int, now: float) -> bool:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.up, self._hang_ups, self._hung_up_at = True, 0, None
            return True
        if event == zmq.EVENT_CONNECTED:
            self._connected_at = now
        if event in (zmq.EVENT_CONNECTED, zmq.EVENT_CONNECT_DELAYED):
            self._hung_up_at = None
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self.refusal = _not_authorised(self.connection)
        elif event == zmq.EVENT_DISCONNECTED:
            if not self.up and now - self._connected_at < _HUNG_UP_S:
                self._hang_ups += 1
                if self._hang_ups >= _HANG_UPS and self.refusal is None:
                    self.refusal = _another_key(self.connection)
            self.up, self._hung_up_at = False, now
        return False


def _not_authorised(connection: Connection) -> Failure:
    if connection.local:
        hint = 'End the backend with "uvmap-id stop" and try again.'
    else:
        hint = "On the backend's machine, run \"uvmap-id keys authorize\" with this client's public key."
    return Failure(
        ErrorCode.BACKEND_REFUSED.value, "The backend refused this client: this client's key is not authorised.", hint
    )


def _another_key(connection: Connection) -> Failure:
    if connection.local:
        hint = 'End the backend with "uvmap-id stop" and try again.'
    else:
        hint = 'Compare the address, and the key with what "uvmap-id keys show" prints on the backend\'s machine.'
    return Failure(
        ErrorCode.BACKEND_REFUSED.value,
        f"What answers at {connection.endpoint} is not the expected backend, or it has another key.",
        hint,
    )


def _open_socket(context: zmq.Context[zmq.Socket[bytes]], connection: Connection, identity: bytes) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    set_common_options(socket)
    # Otherwise commands wait for a server that died and are delivered to the next one.
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.ROUTING_ID, identity)
    if "[" in connection.endpoint:
        socket.setsockopt(zmq.IPV6, 1)
    socket.curve_publickey = connection.client_key.encode()
    socket.curve_secretkey = connection.client_secret.encode()
    socket.curve_serverkey = connection.server_key.encode()
    return socket
