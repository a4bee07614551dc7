"""The server's life: the lock, what an earlier one left, the connection file, the loop, and a clean end."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import secrets
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import zmq
from filelock import FileLock, Timeout

from uvmap_id import __version__
from uvmap_id.link.connection import Connection, make_state_dir, read_connection, remove_connection, write_connection
from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.keys import SERVER_KEY, KeyPair, new_key_pair, own_keys
from uvmap_id.link.messages import PROTOCOL, Welcome
from uvmap_id.link.process import process_start

from .pool import WORKER_COMMAND, Pool, PoolOptions
from .results import Results
from .retention import Retention, RetentionOptions
from .runner import Runner
from .service import Service
from .socket import ANY_LOOPBACK_PORT, Router, allow_many_connections
from .staging import Staging
from .store import Store, StoreOptions
from .zap import AllowList

DATABASE_NAME = "jobs.db"
WORKERS_FOLDER = "workers"

_LOCK_LINGERS_S, _LOCK_STEP_S = 1.0, 0.02
# How late a signal or a deadline may be noticed while no message comes.
_TICK_S = 0.25
_MESSAGES_A_ROUND = 100
_HOUSEKEEPING_S = 5.0
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
        idle_minutes: End after so many minutes without a message or a job that could run; None stays for good.
        bind: Where to listen besides for clients elsewhere, "tcp://HOST:PORT".
        workers: At most so many jobs at once.
        worker_command: Starts a worker.
        cancel_grace_s: A worker that ignores a cancel so long is killed.
        retention: How long what was fetched is kept.
        store: Limits of the queue and the disk.
        pool: The rest of how workers are run.
    """

    state: Path
    idle_minutes: float | None = None
    bind: str = ANY_LOOPBACK_PORT
    workers: int = 1
    worker_command: Sequence[str] = WORKER_COMMAND
    cancel_grace_s: float = 5.0
    retention: RetentionOptions = field(default_factory=RetentionOptions)
    store: StoreOptions = field(default_factory=StoreOptions)
    pool: PoolOptions = field(default_factory=PoolOptions)


def serve(options: ServerOptions) -> None:
    """Serve until a signal, a `Shutdown` message or the idle time ends it. To be called in the main thread.

    Raises:
        AlreadyRunningError: Another server holds the state folder.
        UVMapError: The state folder can't be written, or the address can't be had.
    """
    try:
        make_state_dir(options.state)
        lock = hold(options.state)
    except OSError as error:
        raise disk_error(error, options.state) from error
    with lock:
        try:
            _Server(options).run()
        except OSError as error:
            raise disk_error(error, options.state) from error
    _log.info("ended")


def hold(state: Path) -> FileLock:
    """The lock of a state folder, held. Raises `AlreadyRunningError` or `OSError`."""
    lock = FileLock(state / "server.lock", mode=0o600)
    deadline = time.monotonic() + _LOCK_LINGERS_S
    while True:
        # Else it is held by one that begins or ends, or by a worker that was being forked when its server was killed.
        over = _is_served(state) or time.monotonic() > deadline
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=0)
            return lock
        if over:
            raise AlreadyRunningError(
                ErrorCode.BACKEND_START_FAILED,
                f"Another backend already runs in {state}.",
                'Use it, or end it with "uvmap-id stop".',
            )
        time.sleep(_LOCK_STEP_S)


def _is_served(state: Path) -> bool:
    try:
        read_connection(state)
    except UVMapError:
        return False
    return True


class _Server:
    """All parts of one server, from its start to its end."""

    def __init__(self, options: ServerOptions) -> None:
        """Open everything; nobody can connect yet. Raises `UVMapError` or `OSError`."""
        self._stop = _StopSignal()
        self._options = options
        state = options.state
        with contextlib.ExitStack() as opened:
            self._store = Store(state / DATABASE_NAME, options.store)
            opened.callback(self._store.close)
            self._staging = Staging(state / "photos", lambda: bool(self._store.watch_space()))
            self._results = Results(state / "results")
            self._recover()
            self._retention = Retention(self._store, self._results, self._staging, options.retention)
            self._retention.start()
            allow_many_connections()
            self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            opened.callback(self._context.destroy, 0)
            self._local_keys = new_key_pair()
            allowed = AllowList(self._local_keys.public, state)
            server_keys = own_keys(state, SERVER_KEY)
            self._router = Router(self._context, server_keys, allowed, options.bind, bool(allowed.authorized))
            opened.callback(self._router.close)
            pool_options = dataclasses.replace(
                options.pool,
                command=options.worker_command,
                count=options.workers,
                cancel_grace_s=options.cancel_grace_s,
            )
            (state / WORKERS_FOLDER).mkdir(mode=0o700, exist_ok=True)
            self._pool = Pool(self._context, state / WORKERS_FOLDER, pool_options)
            opened.callback(self._pool.close)
            self._welcome = Welcome(PROTOCOL, __version__, secrets.token_hex(16), options.workers)
            self._service = Service(
                self._router, self._store, self._staging, self._results, self._retention, self._welcome
            )
            self._runner = Runner(
                self._store, self._pool, self._results, self._staging, self._retention, self._service.tell
            )
            self._service.runner = self._runner
            self._opened = opened.pop_all()

    def run(self) -> None:
        """Serve until something ends it, and leave nothing behind but what is durable."""
        with self._opened:
            connection = _describe(self._router, self._welcome.boot, self._local_keys)
            write_connection(connection, self._options.state)
            _log.info("serving at %s, process %d", connection.endpoint, connection.pid)
            try:
                self._loop()
            finally:
                self._runner.put_back()
                remove_connection(connection, self._options.state)
                time.sleep(_FAREWELL_S)

    def _recover(self) -> None:
        if self._store.set_aside is not None:
            _log.error("the database was damaged and is set aside as %s", self._store.set_aside)
        changed = self._store.recover(self._results.done)
        if changed:
            _log.info("%d jobs of an earlier server go on", len(changed))

    def _loop(self) -> None:
        poller = zmq.Poller()
        for socket in (*self._router.sockets, self._pool.socket):
            poller.register(socket, zmq.POLLIN)
        last_busy = tidied = time.monotonic()
        pause = _TICK_S
        while not self._stop.came and not self._service.shutdown_asked:
            heard = poller.poll(max(1, round(1000 * pause)))
            now = time.monotonic()
            if heard or self._busy():
                last_busy = now
            pause = self._round()
            if now - tidied >= _HOUSEKEEPING_S:
                tidied = now
                self._store.watch_space()
                self._retention.sweep()
            minutes = self._options.idle_minutes
            if minutes is not None and now - last_busy > minutes * 60:
                _log.info("ending after %g idle minutes", minutes)
                return

    def _busy(self) -> bool:
        return self._runner.running > 0 or (self._store.counts().queued > 0 and not self._store.paused)

    def _round(self) -> float:
        """Do what there is to do; the longest pause until there may be more."""
        self._router.serve_zap()
        for word in self._pool.receive():
            self._runner.handle(word)
        # Bounded, so that a client that never stops talking can't keep the workers waiting.
        for _ in range(_MESSAGES_A_ROUND):
            received = self._router.receive()
            if received is None:
                break
            self._service.handle(*received)
        due = self._pool.supervise()
        self._runner.start_next()
        return _TICK_S if due is None else min(due, _TICK_S)


class _StopSignal:
    """Notes that the process was asked to end; the loop looks at it in its own time."""

    def __init__(self) -> None:
        self.came = False
        signal.signal(signal.SIGINT, self._note)
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True


def _describe(router: Router, boot: str, keys: KeyPair) -> Connection:
    pid = os.getpid()
    started = process_start(pid) or ""
    return Connection(
        router.endpoint, router.public_key, pid, started, boot, PROTOCOL, __version__, keys.public, keys.secret
    )
