"""What the sockets of client and server have in common: options, and how frames are read."""

from __future__ import annotations

from collections.abc import Sequence

import zmq

from .messages import HEADER_LIMIT
from .wire import Blob

_SOCKET_FRAME_LIMIT = 2 * 1024 * 1024
_QUEUED_MESSAGES = 200


def set_common_options(socket: zmq.Socket[bytes]) -> None:
    """Bounds on time and memory, the same at both ends. They count only when set before bind or connect."""
    # Without this, closing waits for a dead peer: Blender would hang on quit.
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, _SOCKET_FRAME_LIMIT)
    socket.setsockopt(zmq.SNDHWM, _QUEUED_MESSAGES)
    socket.setsockopt(zmq.RCVHWM, _QUEUED_MESSAGES)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 5_000)
    # No heartbeats: on one machine the kernel says when a peer is gone, and libzmq 4.3.5 aborts the whole process,
    # Blender too, when one is due on a broken connection whose messages nobody has read.
    socket.setsockopt(zmq.HEARTBEAT_IVL, 0)
    # A peer whose machine vanished is found out by the kernel, after two minutes.
    for option, value in ((zmq.TCP_KEEPALIVE, 1), (zmq.TCP_KEEPALIVE_IDLE, 60), (zmq.TCP_KEEPALIVE_INTVL, 15)):
        socket.setsockopt(option, value)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 4)


def contents(frames: Sequence[zmq.Frame]) -> list[Blob]:
    """What is in frames. Large ones are not copied: they live as long as somebody looks at them."""
    return [frame.bytes if len(frame) <= HEADER_LIMIT else frame.buffer for frame in frames]
