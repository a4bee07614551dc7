"""Finding the running server, or starting one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .client import Client, error_of
from .connection import STATE_DIR_VARIABLE, Connection, make_state_dir, read_connection, state_dir
from .errors import ErrorCode, UVMapError
from .logs import last_words, open_log
from .messages import OLDEST_PROTOCOL

COMMAND = "uvmap-id"
IDLE_MINUTES = 30
LOG_NAME = "server.log"
EXIT_ALREADY_RUNNING = 75

_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0
_RETRY_S = 0.3
_STEP_S = 0.005


class Launch:
    """Brings a server up without blocking: call `poll` until it returns the connection, then `close`.

    A server that already runs is used. When several launches race, the servers settle among themselves which
    one stays, and each launch ends with that one.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        timeout_s: float = _TIMEOUT_S,
        connect: Callable[[Connection], Client] | None = None,
    ) -> None:
        """Nothing is started before the first `poll`.

        Args:
            command: The program and its first arguments, e.g. `["/opt/env/bin/uvmap-id"]`; "serve" is added.
                None looks for `uvmap-id` on PATH.
            timeout_s: Give up after so many seconds.
            connect: Makes the client that finds out whether a server answers, for who wants to have it afterwards.
        """
        self._connect = connect
        self._command = list(command or [COMMAND])
        self._folder = state_dir()
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._probe: Client | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._start_at = 0.0

    @property
    def log(self) -> Path:
        """Where the started server's messages go."""
        return self._folder / LOG_NAME

    def poll(self) -> Connection | None:
        """The connection of a server that answers, or None while there is none yet.

        Raises:
            UVMapError: `backend_not_found`, `backend_start_failed`, `backend_incompatible`, or
                `output_not_writable` where the state folder can't be made.
        """
        connection = self._answering()
        if connection is not None:
            return connection
        if self._probe is None:
            self._keep_starting()
        if time.monotonic() > self._deadline:
            raise self._start_failed(f"The backend has not answered within {self._timeout_s:.0f} seconds.")
        return None

    def take_client(self) -> Client | None:
        """The client that `connect` made and the server has answered, once: from now on the caller's to close."""
        if self._connect is None or self._probe is None or self._probe.welcome is None:
            return None
        client, self._probe = self._probe, None
        return client

    def close(self) -> None:
        """Stop looking. A server that was started goes on."""
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    def _answering(self) -> Connection | None:
        if self._probe is None:
            try:
                connection = read_connection(self._folder)
                make = self._connect
                self._probe = make(connection) if make is not None else Client.connect(connection, "launcher")
            except UVMapError as error:
                if error.failure.code != ErrorCode.BACKEND_NOT_RUNNING:
                    raise
                return None
        self._probe.poll()
        if self._probe.welcome is not None:
            return self._probe.connection
        failure = self._probe.failure
        if failure is not None or self._probe.server_gone:
            self.close()
        if failure is not None and failure.code in (ErrorCode.BACKEND_INCOMPATIBLE, ErrorCode.BACKEND_REFUSED):
            raise error_of(failure)
        return None

    def _keep_starting(self) -> None:
        if self._process is None:
            if time.monotonic() >= self._start_at:
                self._start()
            return
        code = self._process.poll()
        if code is None:
            return
        if code != EXIT_ALREADY_RUNNING:
            raise self._start_failed(self._gist() or f"The backend ended at once with exit code {code}.")
        # The other server is about to write its connection file, or about to end: look again, then try again.
        self._process = None
        self._start_at = time.monotonic() + _RETRY_S

    def _start(self) -> None:
        program = shutil.which(self._command[0])
        if program is None:
            raise UVMapError(
                ErrorCode.BACKEND_NOT_FOUND,
                f'The backend\'s command "{self._command[0]}" was not found.',
                "Install it with: pip install uvmap-id. In Blender, choose it in the add-on's preferences.",
            )
        arguments = [program, *self._command[1:], "serve", "--idle-minutes", str(IDLE_MINUTES)]
        try:
            make_state_dir(self._folder)
            with open_log(self.log) as log:
                self._log_start = log.seek(0, os.SEEK_END)
                self._process = _start_detached(arguments, log.fileno(), self._folder)
        except OSError as error:
            raise UVMapError(
                ErrorCode.BACKEND_START_FAILED,
                f"The backend can't be started: {error}.",
                f"See that {program} can be run and that {self._folder} can be written.",
            ) from error

    def _gist(self) -> str:
        said = last_words(self.log, self._log_start)
        return f"The backend did not start: {said}" if said else ""

    def _start_failed(self, message: str) -> UVMapError:
        return UVMapError(ErrorCode.BACKEND_START_FAILED, message, f"Its log says more: {self.log}")


def ensure_server(command: Sequence[str] | None = None, timeout_s: float = _TIMEOUT_S) -> Connection:
    """Block until a server answers, starting one if need be. `Launch` says what can go wrong."""
    launch = Launch(command, timeout_s)
    try:
        while True:
            connection = launch.poll()
            if connection is not None:
                return connection
            time.sleep(_STEP_S)
    finally:
        launch.close()


def _start_detached(arguments: list[str], log: int, folder: Path) -> subprocess.Popen[bytes]:
    """A process that neither the terminal's Ctrl-C nor the end of its starter reaches."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={**os.environ, STATE_DIR_VARIABLE: str(folder)},
        start_new_session=sys.platform != "win32",
        creationflags=flags,
    )


def stop_server(timeout_s: float = _STOP_TIMEOUT_S) -> Connection:
    """Block until the running server has ended: ask it first, then signal it. Returns what it was.

    Raises:
        UVMapError: `backend_not_running`, or `backend_lost` where it doesn't end.
    """
    connection = read_connection()
    if connection.protocol >= OLDEST_PROTOCOL:
        with Client.connect(connection, "stop") as client:
            client.shutdown()
            if _has_ended(connection, timeout_s, client):
                return connection
    # It hangs, or is of another version and doesn't understand us.
    with contextlib.suppress(ProcessLookupError):
        os.kill(connection.pid, signal.SIGTERM)
    if not _has_ended(connection, timeout_s):
        raise UVMapError(
            ErrorCode.BACKEND_LOST,
            f"The backend, process {connection.pid}, does not end.",
            f"End process {connection.pid} yourself.",
        )
    return connection


def _has_ended(connection: Connection, timeout_s: float, client: Client | None = None) -> bool:
    deadline = time.monotonic() + timeout_s
    while connection.alive:
        if time.monotonic() > deadline:
            return False
        if client is not None:
            client.poll()
            if client.failure is not None:
                return False
        time.sleep(_STEP_S)
    return True
