"""Whoever must not get in does not, and disturbs nobody: files that lie, wrong keys, plain text, rubbish."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from raw import RawClient, port_of, proxy
from rig import FULL, Rig

from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection, read_connection
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import Hello, List, Ping, Pong, Submit
from uvmap_id.link.process import process_start
from uvmap_id.link.wire import encode

MakeRig = Callable[..., Rig]

RUBBISH_CONNECTIONS = 2000 if FULL else 400
TIMES = 10 if FULL else 1
GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\1"


RUBBISH: dict[int, Callable[[], bytes]] = {
    1: lambda: GREETING + secrets.token_bytes(52),
    2: lambda: secrets.token_bytes(1024),
    3: lambda: b"GET / HTTP/1.1\r\n\r\n",
}


def pong_within(client: RawClient, limit_s: float) -> float:
    """How long a valid client waits for an answer."""
    began = time.perf_counter()
    assert isinstance(client.ask(encode(Ping())), Pong)
    taken = time.perf_counter() - began
    assert taken < limit_s
    return taken


STRANGERS: dict[str, Callable[[Connection], dict[str, Any]]] = {
    "wrong server key": lambda _: {"server_key": zmq.curve_keypair()[0].decode()},
    "unlisted client key": lambda _: {"keys": tuple(key.decode() for key in zmq.curve_keypair())},
    "plain-text client": lambda _: {"plain": True},
    "public key of another with a secret of its own": lambda connection: {
        "keys": (connection.client_key, zmq.curve_keypair()[1].decode())
    },
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_is_never_answered(make_rig: MakeRig, name: str) -> None:
    rig = make_rig(f"stranger: {name}")
    connection = rig.start()
    request = rig.request()
    tries = [encode(Ping()), encode(Hello(3, "stranger")), encode(List(0)), encode(Submit("a" * 32, request))]
    with RawClient(connection) as friend:
        for frames in tries * TIMES:
            with RawClient(connection, **STRANGERS[name](connection)) as stranger:
                rig.entry.hostile += 1
                rig.entry.strangers += stranger.ask(frames, 0.3) is not None
            pong_within(friend, 1.0)
    entry = rig.judge()
    assert entry.hostile == len(tries) * TIMES
    assert entry.is_clean, entry


def test_rubbish_on_the_port_lets_nobody_in_and_holds_up_nobody(make_rig: MakeRig) -> None:
    """A fourth of the connections stay open and silent, a fourth speak ZMTP up to a point, the others talk rubbish."""
    rig = make_rig(f"{RUBBISH_CONNECTIONS:,} rubbish connections")
    connection = rig.start()
    process = psutil.Process(connection.pid)
    kept: list[socket.socket] = []
    slowest = 0.0
    with RawClient(connection) as friend:
        pong_within(friend, 5.0)
        before = process.memory_info().rss
        for number in range(RUBBISH_CONNECTIONS):
            one = socket.create_connection(("127.0.0.1", port_of(connection)))
            one.settimeout(0.0)
            kind = number % 4
            if kind:
                one.send(RUBBISH[kind]())
            if kind < 2:
                kept.append(one)
            else:
                one.close()
            rig.entry.hostile += 1
            if number % 50 == 0:
                slowest = max(slowest, pong_within(friend, 5.0))
        # Somebody new gets in beside them.
        with RawClient(connection) as late:
            pong_within(late, 5.0)
        answered = sum(bool(said_after_greeting(one)) for one in kept)
        growth = process.memory_info().rss - before
        for one in kept:
            one.close()
        pong_within(friend, 5.0)
    rig.entry.strangers += answered
    rig.entry.figures = {
        "slowest answer to a valid client": f"{1000 * slowest:.0f} ms",
        "growth": f"{growth / 1e6:.1f} MB",
    }
    entry = rig.judge()
    assert entry.hostile == RUBBISH_CONNECTIONS
    assert growth < 60e6
    assert entry.is_clean, entry


def said_after_greeting(one: socket.socket) -> bytes:
    """What the server has told, beyond the greeting that it sends to everybody; libzmq's own is 64 bytes."""
    try:
        said = one.recv(4096)
    except OSError:
        return b""
    return said[64:] if b"READY" in said[64:] else b""


def test_a_recorded_session_that_is_played_again_does_nothing(make_rig: MakeRig) -> None:
    """Everything that a client sent, as it stood on the wire, sent again by somebody without its keys."""
    rig = make_rig("replay of recorded bytes")
    connection = rig.start()
    with (
        proxy(connection) as between,
        Client.connect(dataclasses.replace(connection, endpoint=between.endpoint)) as client,
    ):
        asked = rig.submit(client)
        rig.until(lambda: bool(asked.ends), client)
        recorded = list(between.recorded)
    assert len(recorded) > 3
    with Client.connect(connection) as friend:
        for _ in range(TIMES):
            with socket.create_connection(("127.0.0.1", port_of(connection))) as one:
                one.settimeout(0.2)
                for piece in recorded:
                    try:
                        one.sendall(piece)
                        rig.entry.hostile += 1
                        one.recv(4096)
                    except OSError:
                        continue
        later = rig.submit(friend)
        rig.until(lambda: bool(later.ends), friend)
    assert [line[1] for line in rig.plan.diary() if line[0] == "begin"] == [asked.job, later.job]
    entry = rig.judge()
    assert entry.hostile > 0
    assert entry.is_clean, entry


def forged(path: Path, **values: object) -> None:
    """Change fields of a connection file."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))
    path.chmod(0o600)


FILES: dict[str, Callable[[Path], object]] = {
    "stale": lambda _: None,
    "half-written": lambda path: os.truncate(path, path.stat().st_size // 2),
    "forged: an endpoint elsewhere": lambda path: forged(path, endpoint="tcp://192.0.2.1:80"),
    "forged: a wrong server key": lambda path: forged(path, server_key=zmq.curve_keypair()[0].decode()),
    "forged: more fields": lambda path: forged(path, __class__="x"),
    "a pid that is used again": lambda path: forged(path, pid=os.getpid()),
    "readable by others": lambda path: path.chmod(0o644),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("name", FILES)
def test_a_connection_file_of_a_dead_server_misleads_nobody(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rig = make_rig(f"connection file: {name}")
    connection = rig.start()
    for variable, value in rig.environment.items():
        if variable.startswith("UVMAP_ID"):
            monkeypatch.setenv(variable, value)
    for _ in range(TIMES):
        rig.kill_server()
        path = rig.state / "connection.json"
        assert path.is_file()
        FILES[name](path)
        rig.entry.faults += 1
        with pytest.raises(UVMapError) as caught:
            read_connection(rig.state)
        assert caught.value.failure.code == ErrorCode.BACKEND_NOT_RUNNING
        rig.server = None
        connection = rig.start()
        with rig.connect() as client:
            asked = rig.submit(client)
            rig.until(lambda asked=asked: bool(asked.ends), client)
    assert process_start(connection.pid) == connection.started
    entry = rig.judge()
    assert entry.faults == TIMES
    assert entry.is_clean, entry


def test_a_forged_file_of_a_living_server_is_found_out(make_rig: MakeRig) -> None:
    """The server's key is another one than the file says: somebody else's server, or somebody else's file."""
    rig = make_rig("connection file: forged while the server lives")
    connection = rig.start()
    for values in ({"server_key": zmq.curve_keypair()[0].decode()}, {"client_key": zmq.curve_keypair()[0].decode()}):
        wrong = dataclasses.replace(connection, **values)
        rig.entry.faults += 1
        with Client.connect(wrong) as client:
            with pytest.raises(UVMapError) as caught:
                client.wait_until_welcome(30)
            assert caught.value.failure.code == ErrorCode.BACKEND_REFUSED
    entry = rig.judge()
    assert entry.is_clean, entry


def test_twenty_servers_started_at_once_leave_one(make_rig: MakeRig) -> None:
    rig = make_rig("20 servers started at once")
    for _ in range(TIMES if FULL else 1):
        rig.server = None
        processes = [rig.spawn() for _ in range(20)]
        rig.until(lambda processes=processes: sum(one.poll() is None for one in processes) == 1)
        (rig.server,) = (one for one in processes if one.poll() is None)
        assert sorted(one.returncode for one in processes if one is not rig.server) == [75] * 19
        rig.until(lambda: is_there(rig))
        assert read_connection(rig.state).pid == rig.server.pid
        rig.entry.faults += 19
        with rig.connect() as client:
            asked = rig.submit(client)
            rig.until(lambda asked=asked: bool(asked.ends), client)
        rig.kill_server()
    entry = rig.judge()
    assert entry.is_clean, entry


def is_there(rig: Rig) -> bool:
    try:
        return read_connection(rig.state).alive
    except UVMapError:
        return False
