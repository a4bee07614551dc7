"""The server's life: the lock, the connection file, the loop, and a clean end."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import zmq
from filelock import FileLock, Timeout

from uvmap_id import __version__
from uvmap_id.link.connection import Connection, make_state_dir, remove_connection, write_connection
from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import PROTOCOL, Welcome
from uvmap_id.link.process import process_start

from .results import Results, StagedPhotos
from .service import Service
from .socket import Router
from .supervisor import WORKER_COMMAND, Supervisor

WORKER_LOG_NAME = "worker.log"

# How late a signal or a deadline may be noticed while no message comes.
_TICK_MS = 250
_MESSAGES_A_ROUND = 100
# A client drops what it has not read when its connection ends, and it looks ten times a second.
_FAREWELL_S = 0.2

_log = logging.getLogger(__name__)


class AlreadyRunningError(UVMapError):
    """Another server holds the state folder."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to serve.

    Attributes:
        state: The state folder; made if need be.
        idle_minutes: End after so many minutes without a job or a message; None stays for good.
        worker_command: Starts a worker.
        cancel_grace_s: A worker that ignores a cancel so long is killed.
    """

    state: Path
    idle_minutes: float | None = None
    worker_command: Sequence[str] = WORKER_COMMAND
    cancel_grace_s: float = 5.0


def serve(options: ServerOptions) -> None:
    """Serve until a signal, a `Shutdown` message or the idle time ends it. To be called in the main thread.

    Raises:
        AlreadyRunningError: Another server holds the state folder.
        UVMapError: The state folder can't be written.
    """
    try:
        make_state_dir(options.state)
        lock = FileLock(options.state / "server.lock", mode=0o600)
        lock.acquire(timeout=0)
    except Timeout:
        raise AlreadyRunningError(
            ErrorCode.BACKEND_START_FAILED,
            f"Another backend already runs in {options.state}.",
            'Use it, or end it with "uvmap-id stop".',
        ) from None
    except OSError as error:
        raise disk_error(error, options.state) from error
    with lock:
        _serve_alone(options)


def _serve_alone(options: ServerOptions) -> None:
    stop = _StopSignal()
    boot = secrets.token_hex(16)
    photos = StagedPhotos(options.state / "photos")
    results = Results(options.state / "results")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = Router(context)
    supervisor = Supervisor(context, options.state / WORKER_LOG_NAME, options.worker_command, options.cancel_grace_s)
    service = Service(router, supervisor, results, photos, Welcome(PROTOCOL, __version__, boot))
    connection = _describe(router, boot)
    try:
        write_connection(connection, options.state)
        _log.info("serving at %s, process %d", connection.endpoint, connection.pid)
        _loop(service, router, supervisor, stop, options.idle_minutes)
        remove_connection(connection, options.state)
    except OSError as error:
        raise disk_error(error, options.state) from error
    finally:
        if service.end_all():
            time.sleep(_FAREWELL_S)
        supervisor.close()
        router.close()
        context.term()
    _log.info("ended")


class _StopSignal:
    """Notes that the process was asked to end; the loop looks at it in its own time."""

    def __init__(self) -> None:
        self.came = False
        signal.signal(signal.SIGINT, self._note)
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True


def _describe(router: Router, boot: str) -> Connection:
    pid = os.getpid()
    return Connection(router.endpoint, router.public_key, pid, process_start(pid) or "", boot, PROTOCOL, __version__)


def _loop(
    service: Service, router: Router, supervisor: Supervisor, stop: _StopSignal, idle_minutes: float | None
) -> None:
    poller = zmq.Poller()
    poller.register(router.socket, zmq.POLLIN)
    poller.register(supervisor.socket, zmq.POLLIN)
    last_busy = time.monotonic()
    while not stop.came and not service.shutdown_asked:
        if poller.poll(_TICK_MS) or not service.idle:
            last_busy = time.monotonic()
        _round(service, router, supervisor)
        if idle_minutes is not None and time.monotonic() - last_busy > idle_minutes * 60:
            _log.info("ending after %g idle minutes", idle_minutes)
            return


def _round(service: Service, router: Router, supervisor: Supervisor) -> None:
    for word in supervisor.receive():
        service.handle_worker(word)
    # Bounded, so that a client that never stops talking can't keep the worker waiting.
    for _ in range(_MESSAGES_A_ROUND):
        received = router.receive()
        if received is None:
            break
        service.handle(*received)
    supervisor.kill_overdue()
    service.start_next()
