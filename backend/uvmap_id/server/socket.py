"""The server's socket: where it listens, who sent what, and the frames in and out."""

from __future__ import annotations

import ipaddress
import logging
import re
import sys

import zmq

from uvmap_id.link.errors import ErrorCode, LinkError, UVMapError
from uvmap_id.link.keys import KeyPair
from uvmap_id.link.messages import Answer, Refused
from uvmap_id.link.options import contents, set_common_options
from uvmap_id.link.wire import Blob, encode

from .zap import DOMAIN, LOCAL_OWNER, Doorkeeper, OwnerOf

ANY_LOOPBACK_PORT = "tcp://127.0.0.1:*"

_BIND = re.compile(r"tcp://(?P<host>\[[^\]\s]+\]|[^:\s/\[\]]+):(?P<port>[0-9]{1,5}|\*)")
_LAST_WORDS_MS = 200
_OPEN_FILES = 16_384

_log = logging.getLogger(__name__)


def checked_bind(bind: str, authorized: bool) -> str:
    """The address to listen at, as libzmq wants it.

    Args:
        bind: "tcp://HOST:PORT", where the host may be an address, "localhost", an interface's name or "*".
        authorized: Whether there are keys authorised for other machines.

    Raises:
        UVMapError: `address_not_allowed`: it is no such address, or others could reach it and no key is authorised.
    """
    found = _BIND.fullmatch(bind)
    if found is None or (found["port"] != "*" and int(found["port"]) > 65535):
        raise UVMapError(
            ErrorCode.ADDRESS_NOT_ALLOWED,
            f"{bind[:100]!r} is no address to listen at.",
            "Write tcp://HOST:PORT, for example tcp://127.0.0.1:7400.",
        )
    host = "127.0.0.1" if found["host"] == "localhost" else found["host"]
    if not authorized and not is_loopback(host):
        raise UVMapError(
            ErrorCode.ADDRESS_NOT_ALLOWED,
            f"{host} can be reached from other machines, but no client's key is authorised.",
            "Authorise one: --authorize CLIENT.pub. Or stay on 127.0.0.1 and use an ssh tunnel.",
        )
    return f"tcp://{host}:{found['port']}"


def is_loopback(host: str) -> bool:
    """True for a numeric address that only this machine can reach. Names are taken for reachable from elsewhere."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def allow_many_connections() -> None:
    """Raise this process's limit of open files, so that a thousand idle connections don't keep out the next."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            _log.warning("the limit of %d open files stays: %s", soft, error)


class Router:
    """The ROUTER that clients talk to, always with CURVE, and the doorkeeper that decides who they are.

    Attributes:
        endpoint: Where clients on this machine connect to; always on 127.0.0.1.
        remote_endpoint: Where it listens besides, for others; empty where it doesn't.
        public_key: The server's, which its clients must know.
        sockets: What the server's loop has to poll for reading. Call `serve_zap` as soon as one is readable.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        keys: KeyPair,
        allowed: OwnerOf,
        bind: str = ANY_LOOPBACK_PORT,
        authorized: bool = False,
    ) -> None:
        """Bind.

        Args:
            context: Its only router; there is one ZAP handler a context.
            keys: The server's.
            allowed: The owner of a client's public key, None for a stranger; see `AllowList`.
            bind: See `checked_bind`.
            authorized: Whether there are keys authorised for other machines.

        Raises:
            UVMapError: `address_not_allowed`, or `backend_start_failed` where the address can't be had.
        """
        bind = checked_bind(bind, authorized)
        self.public_key = keys.public
        self._allowed = allowed
        # Before the socket: without a handler in place, libzmq lets nobody in, but it should not even try.
        self._doorkeeper = Doorkeeper(context, allowed)
        self._socket = context.socket(zmq.ROUTER)
        try:
            _set_options(self._socket, keys, ipv6="[" in bind or bind.startswith("tcp://*"))
            self.endpoint, self.remote_endpoint = self._bind(bind)
        except (zmq.ZMQError, UVMapError):
            self.close()
            raise
        self.sockets = (self._socket, self._doorkeeper.socket)

    def serve_zap(self) -> None:
        """Let in, or keep out, whoever has connected. Never blocks. While it is not called, nobody gets in."""
        self._doorkeeper.serve()

    def receive(self) -> tuple[bytes, str, list[Blob]] | None:
        """The next message: its client, that client's owner as the handshake proved it, and the frames.

        None when there is nothing to read. What a revoked client still sends is refused here.
        """
        while True:
            try:
                client, *frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return None
            owner = _owner_of(frames[0]) if frames else ""
            if owner and self._still_allowed(owner):
                return client.bytes, owner, contents(frames)
            self.send(client.bytes, not_authorised())

    def send(self, client: bytes, answer: Answer, blob: bytes = b"") -> bool:
        """Send without waiting; whether it was taken. What can't be sent is dropped: clients ask again."""
        try:
            self._socket.send_multipart([client, *encode(answer, blob)], zmq.NOBLOCK)
        except LinkError as error:
            # The worker's words are shorter than this, unless it is broken.
            _log.error("dropped %s: %s", type(answer).__name__, error.failure.message)
        except zmq.Again:
            _log.info("dropped %s: the client doesn't read", type(answer).__name__)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            _log.info("dropped %s: the client is gone", type(answer).__name__)
        else:
            return True
        return False

    def close(self) -> None:
        """Close the sockets; what was just sent gets a moment to leave."""
        self._socket.close(linger=_LAST_WORDS_MS)
        self._doorkeeper.close()

    def _bind(self, bind: str) -> tuple[str, str]:
        """Whoever is on this machine finds the server at 127.0.0.1, wherever else it listens."""
        try:
            self._socket.bind(bind)
            listening = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
            if bind.startswith("tcp://127.0.0.1:"):
                return listening, ""
            self._socket.bind(ANY_LOOPBACK_PORT)
            return self._socket.getsockopt_string(zmq.LAST_ENDPOINT), listening
        except zmq.ZMQError as error:
            raise UVMapError(
                ErrorCode.BACKEND_START_FAILED,
                f"The backend can't listen at {bind}: {error.strerror}.",
                "Choose another address or port with --bind.",
            ) from error

    def _still_allowed(self, owner: str) -> bool:
        return owner == LOCAL_OWNER or self._allowed(owner) == owner


def not_authorised() -> Refused:
    """What a client hears whose key was revoked while it was connected."""
    return Refused(
        ErrorCode.BACKEND_REFUSED.value,
        "The backend refused this client: its key is not authorised.",
        'On the backend\'s machine, run "uvmap-id keys authorize CLIENT.pub".',
    )


def _owner_of(frame: zmq.Frame) -> str:
    """Who sent a frame, in the doorkeeper's word and not in the client's; empty where there is none."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


def _set_options(socket: zmq.Socket[bytes], keys: KeyPair, ipv6: bool) -> None:
    set_common_options(socket)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    if ipv6:
        socket.setsockopt(zmq.IPV6, 1)
    socket.curve_server = True
    socket.curve_publickey = keys.public.encode()
    socket.curve_secretkey = keys.secret.encode()
    # Without a domain that is enforced, a missing handler would let everybody in.
    socket.setsockopt_string(zmq.ZAP_DOMAIN, DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
