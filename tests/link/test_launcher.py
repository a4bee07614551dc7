"""Finding or starting the server: one at most, and a clear word when it doesn't come up."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection, read_connection, write_connection
from uvmap_id.link.errors import ErrorCode, Failure, UVMapError
from uvmap_id.link.launcher import EXIT_ALREADY_RUNNING, Launch, ensure_server, stop_server
from uvmap_id.link.messages import Pong
from uvmap_id.server.main import hold

Command = tuple[str, ...]


def failure_of(command: list[str], timeout_s: float = 20) -> Failure:
    with pytest.raises(UVMapError) as caught:
        ensure_server(command, timeout_s)
    return caught.value.failure


def servers_in(state: Path) -> list[int]:
    """Processes that have this test's state folder in their environment and serve."""
    found = []
    for process in psutil.process_iter():
        try:
            if "serve" in process.cmdline() and process.environ().get("UVMAP_ID_STATE_DIR") == str(state):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_a_server_is_started_and_found_again(state: Path, server_command: Command) -> None:
    started = ensure_server(server_command)
    assert ensure_server(["a command that is not needed"]) == started
    assert servers_in(state) == [started.pid]


def test_the_servers_secret_key_lies_in_its_private_file_alone(server: Connection, state: Path) -> None:
    secret = json.loads((state / "keys" / "server.key").read_text())["secret"].encode()
    holders = [path.name for path in state.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert holders == ["server.key"]
    assert (state / "keys" / "server.key").stat().st_mode & 0o777 == 0o600


def test_no_secret_is_in_a_command_line_or_in_the_environment(server: Connection, state: Path) -> None:
    process = psutil.Process(server.pid)
    shown = "\0".join([*process.cmdline(), *process.environ().values()])
    secret = json.loads((state / "keys" / "server.key").read_text())["secret"]
    assert secret not in shown
    assert server.client_secret not in shown


def test_a_start_up_to_the_handshake_costs_less_than_half_a_second(state: Path, server_command: Command) -> None:
    """The processor's seconds, which other programs don't add to; `benchmarks/link.py` has those of the clock."""
    took = []
    for _ in range(3):
        spent = psutil.Process(ensure_server(server_command).pid).cpu_times()
        took.append(spent.user + spent.system)
        stop_server()
    assert min(took) < 0.5


def test_the_server_loads_no_engine_and_no_numpy(state: Path) -> None:
    program = "import sys, uvmap_id.server.main; print({'numpy', 'torch', 'cv2', 'PIL'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_the_client_that_found_the_server_is_handed_over(state: Path, server_command: Command) -> None:
    """A second handshake would take as long as the first."""
    ensure_server(server_command)
    launch = Launch(server_command, connect=lambda connection: Client.connect(connection, "mine", "window"))
    assert launch.take_client() is None
    while launch.poll() is None:
        time.sleep(0.01)
    client = launch.take_client()
    launch.close()
    assert client is not None
    with client:
        assert client.welcome is not None
        client.ping()
        deadline = time.monotonic() + 5
        while not any(isinstance(event, Pong) for event in client.poll()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert launch.take_client() is None


def test_a_launch_does_not_block(state: Path, server_command: Command) -> None:
    launch = Launch(server_command)
    longest, connection = 0.0, None
    try:
        while connection is None:
            began = time.perf_counter()
            connection = launch.poll()
            longest = max(longest, time.perf_counter() - began)
            time.sleep(0.01)
    finally:
        launch.close()
    assert longest < 0.1
    assert connection.alive


def test_launches_that_race_end_with_one_server(state: Path, server_command: Command) -> None:
    launches = [Launch(server_command) for _ in range(5)]
    found: list[Connection] = []
    deadline = time.monotonic() + 20
    while len(found) < len(launches) and time.monotonic() < deadline:
        found = [connection for connection in (launch.poll() for launch in launches) if connection is not None]
        time.sleep(0.01)
    for launch in launches:
        launch.close()
    assert len(found) == len(launches)
    assert len({connection.boot for connection in found}) == 1
    time.sleep(0.5)
    assert servers_in(state) == [found[0].pid]


def test_a_second_server_says_so_and_ends(server: Connection, state: Path) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "uvmap_id", "serve"], capture_output=True, text=True, timeout=20, check=False
    )
    assert second.returncode == EXIT_ALREADY_RUNNING
    assert "Another backend already runs" in second.stderr
    assert "Traceback" not in second.stderr
    assert read_connection(state) == server


@pytest.mark.skipif(sys.platform == "win32", reason="a lock ends with its holder there")
def test_a_lock_that_outlives_a_killed_server_is_waited_for(state: Path) -> None:
    """As a worker holds it that was being forked when its server was killed."""
    state.mkdir(mode=0o700, exist_ok=True)
    lock = state / "server.lock"
    holder = "import fcntl, sys; it = open(sys.argv[1], 'w'); fcntl.flock(it, 2); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        killing = threading.Timer(0.3, held.kill)
        killing.start()
        with hold(state):
            assert killing.finished.is_set()
        killing.join()


@pytest.mark.parametrize("command", ["/nowhere/uvmap-id", "no-such-command-anywhere"])
def test_a_command_that_is_not_there_is_named(state: Path, command: str) -> None:
    failure = failure_of([command])
    assert failure.code == ErrorCode.BACKEND_NOT_FOUND
    assert command in failure.message
    assert failure.hint


def test_a_backend_that_breaks_at_once_is_explained(state: Path) -> None:
    began = time.monotonic()
    failure = failure_of([sys.executable, "-c", "import a_module_that_is_missing"])
    assert failure.code == ErrorCode.BACKEND_START_FAILED
    assert "No module named 'a_module_that_is_missing'" in failure.message
    assert "Traceback" not in failure.message
    assert str(state / "server.log") in failure.hint
    assert time.monotonic() - began < 5


def test_a_backend_that_ends_without_a_word_is_reported(state: Path) -> None:
    failure = failure_of([sys.executable, "-c", "raise SystemExit(5)"])
    assert failure.code == ErrorCode.BACKEND_START_FAILED
    assert "exit code 5" in failure.message


def test_a_backend_that_never_answers_is_given_up(state: Path) -> None:
    failure = failure_of([sys.executable, "-c", "import time; time.sleep(3)"], timeout_s=0.5)
    assert failure.code == ErrorCode.BACKEND_START_FAILED
    assert "answered within" in failure.message


def test_a_state_folder_that_cannot_be_made_is_reported(
    tmp_path: Path, server_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("UVMAP_ID_STATE_DIR", str(tmp_path / "file" / "state"))
    failure = failure_of(list(server_command))
    assert failure.code == ErrorCode.BACKEND_START_FAILED
    assert str(tmp_path / "file" / "state") in str(failure)


def test_a_server_is_started_in_place_of_a_killed_one(
    server: Connection, state: Path, server_command: Command, eventually: Callable[..., None]
) -> None:
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not server.alive)
    assert (state / "connection.json").exists()
    fresh = ensure_server(server_command)
    assert fresh.boot != server.boot
    assert fresh.client_key != server.client_key
    # The server's own key lasts: who pinned it still knows it.
    assert fresh.server_key == server.server_key
    with Client.connect(server) as late:
        assert late.wait_until_welcome().boot == fresh.boot


def test_a_damaged_connection_file_is_replaced(state: Path, server_command: Command) -> None:
    state.mkdir(mode=0o700)
    (state / "connection.json").write_text('{"endpoint": "tcp://127.0')
    assert ensure_server(server_command) == read_connection(state)


def test_stopping_ends_the_server_and_tells_which(server: Connection, state: Path) -> None:
    assert stop_server() == server
    assert not server.alive
    assert not (state / "connection.json").exists()
    with pytest.raises(UVMapError) as caught:
        stop_server()
    assert caught.value.failure.code == ErrorCode.BACKEND_NOT_RUNNING


def test_a_server_of_another_protocol_is_stopped_too(server: Connection, state: Path) -> None:
    write_connection(dataclasses.replace(server, protocol=99), state)
    stop_server()
    assert not server.alive
