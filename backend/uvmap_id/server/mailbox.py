"""What threads have to say, brought to a socket that the server can poll beside its others."""

from __future__ import annotations

import contextlib
import queue
import threading

import zmq

# Previews are the longest lines; together they stay well below the server's memory.
_WAITING = 64
_LOOK_UP_S = 0.1


class Mailbox:
    """Bounded: who posts faster than the server reads has to wait.

    The threads that read pipes have no sockets of their own, because one that hangs in a read could never close it,
    and the whole context would wait for it at the end.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """The socket is the server's to poll, `receive` reads it."""
        self.socket = context.socket(zmq.PULL)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, _WAITING)
        endpoint = f"inproc://workers-{id(self)}"
        self.socket.bind(endpoint)
        self._waiting: queue.Queue[tuple[int, bytes]] = queue.Queue(_WAITING)
        self._closed = threading.Event()
        self._carrier = threading.Thread(target=self._carry, args=(context, endpoint), name="mailbox", daemon=True)
        self._carrier.start()

    def post(self, sender: int, text: bytes) -> None:
        """To be called in any thread; waits while too much waits. Nothing once the mailbox is closed."""
        while not self._closed.is_set():
            try:
                self._waiting.put((sender, text), timeout=_LOOK_UP_S)
            except queue.Full:
                continue
            return

    def receive(self) -> tuple[int, bytes] | None:
        """The next that was posted, or None where there is none."""
        try:
            sender, text = self.socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        return int(sender), text

    def close(self) -> None:
        """What was not received is lost."""
        self._closed.set()
        # Where it is full, the carrier does not wait for more.
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait((0, b""))
        self._carrier.join()
        self.socket.close(0)

    def _carry(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        with context.socket(zmq.PUSH) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.SNDHWM, _WAITING)
            socket.setsockopt(zmq.SNDTIMEO, int(_LOOK_UP_S * 1000))
            socket.connect(endpoint)
            while not self._closed.is_set():
                sender, text = self._waiting.get()
                self._send(socket, [b"%d" % sender, text])

    def _send(self, socket: zmq.Socket[bytes], frames: list[bytes]) -> None:
        while not self._closed.is_set():
            try:
                socket.send_multipart(frames)
            except zmq.Again:
                continue
            return
