"""The server's socket: who may talk, and the frames in and out."""

from __future__ import annotations

import logging

import zmq

from uvmap_id.link.errors import LinkError
from uvmap_id.link.messages import Answer
from uvmap_id.link.options import set_common_options
from uvmap_id.link.wire import encode

_LAST_WORDS_MS = 200

_log = logging.getLogger(__name__)


class Router:
    """A ROUTER on a free loopback port. Its key pair is new each time, so old connection files let nobody in."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Bind. Raises `zmq.ZMQError` where no port can be had."""
        public, secret = zmq.curve_keypair()
        self.public_key = public.decode("ascii")
        self.socket = context.socket(zmq.ROUTER)
        set_common_options(self.socket)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.socket.curve_server = True
        self.socket.curve_secretkey = secret
        self.socket.bind("tcp://127.0.0.1:*")
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def receive(self) -> tuple[bytes, list[bytes]] | None:
        """The next client and the frames it sent; None when there is nothing to read."""
        try:
            client, *frames = self.socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        return client, frames

    def send(self, client: bytes, answer: Answer) -> None:
        """Send without waiting. What can't be sent is dropped: clients ask again."""
        try:
            self.socket.send_multipart([client, *encode(answer)], zmq.NOBLOCK)
        except LinkError as error:
            # The worker's words are shorter than this, unless it is broken.
            _log.error("dropped %s: %s", type(answer).__name__, error.failure.message)
        except zmq.Again:
            _log.info("dropped %s: the client doesn't read", type(answer).__name__)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            _log.info("dropped %s: the client is gone", type(answer).__name__)

    def close(self) -> None:
        """Close the socket; what was just sent gets a moment to leave."""
        self.socket.close(linger=_LAST_WORDS_MS)
