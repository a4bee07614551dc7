"""Who is let in and who is told why not: real sockets on both sides, and garbage on the port."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from small_server import SmallServer, small_server

from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection, make_state_dir
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.keys import AuthorizedKeys, KeyPair, new_key_pair
from uvmap_id.link.messages import Ping, Pong
from uvmap_id.link.wire import decode, encode
from uvmap_id.server.socket import Router, checked_bind, is_loopback
from uvmap_id.server.zap import AllowList

Serve = Callable[..., SmallServer]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_state_dir(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def small(folder: Path) -> Iterator[SmallServer]:
    with small_server(folder) as server:
        yield server


def owner_as_seen(connection: Connection) -> str:
    """What the server takes a client for."""
    with Client.connect(connection, "test") as client:
        client.wait_until_welcome(5)
        client.ping()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for event in client.poll():
                if isinstance(event, Pong):
                    return event.boot
            time.sleep(0.002)
    raise AssertionError("no answer")


def refusal(connection: Connection) -> tuple[str, str, float]:
    """How a client that is not let in learns of it: code, sentence with hint, seconds."""
    began = time.monotonic()
    with Client.connect(connection, "stranger") as client, pytest.raises(UVMapError) as caught:
        client.wait_until_welcome(8)
    failure = caught.value.failure
    return failure.code, f"{failure.message} {failure.hint}", time.monotonic() - began


def test_the_connection_files_key_is_the_local_owners(small: SmallServer) -> None:
    assert owner_as_seen(small.connection()) == "local"


def test_an_authorised_key_is_an_owner_of_its_own(small: SmallServer, folder: Path) -> None:
    mine, theirs = new_key_pair(), new_key_pair()
    AuthorizedKeys(folder).add(mine.public, "mine")
    AuthorizedKeys(folder).add(theirs.public, "theirs")
    assert owner_as_seen(small.connection(keys=mine)) == mine.public
    assert owner_as_seen(small.connection(keys=theirs)) == theirs.public


@pytest.mark.parametrize("pid", [0, os.getpid()], ids=["remote", "local"])
def test_an_unlisted_key_is_refused_and_told_what_to_do(small: SmallServer, pid: int) -> None:
    code, said, seconds = refusal(small.connection(pid, new_key_pair()))
    assert code == ErrorCode.BACKEND_REFUSED
    assert "this client's key is not authorised" in said
    assert ("uvmap-id stop" if pid else "uvmap-id keys authorize") in said
    assert "\n" not in said
    assert seconds < 2
    assert small.heard == []


@pytest.mark.parametrize("pid", [0, os.getpid()], ids=["remote", "local"])
def test_a_server_with_another_key_is_not_talked_to(small: SmallServer, pid: int) -> None:
    code, said, seconds = refusal(small.connection(pid, server_key=new_key_pair().public))
    assert code == ErrorCode.BACKEND_REFUSED
    assert "another key" in said
    assert seconds < 2
    assert small.heard == []


def test_something_else_at_the_address_is_told_from_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        keys = new_key_pair()
        endpoint = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        connection = Connection(endpoint, keys.public, 0, "", "", 3, "", keys.public, keys.secret)
        with Client.connect(connection) as client:
            deadline = time.monotonic() + 5
            while client.failure is None:
                assert time.monotonic() < deadline
                client.poll()
                with contextlib.suppress(TimeoutError):
                    peer, _ = listener.accept()
                    with peer:
                        peer.recv(100)
                        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 100)
            assert client.failure.code == ErrorCode.BACKEND_REFUSED


def raw(endpoint: str, keys: KeyPair | None, server_key: str) -> tuple[zmq.Context, zmq.Socket]:
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    if keys is not None:
        dealer.curve_publickey, dealer.curve_secretkey = keys.public.encode(), keys.secret.encode()
        dealer.curve_serverkey = server_key.encode()
    dealer.connect(endpoint)
    return context, dealer


def is_answered(server: SmallServer, keys: KeyPair | None, timeout_ms: int, server_key: str = "") -> bool:
    context, dealer = raw(server.router.endpoint, keys, server_key or server.keys.public)
    try:
        dealer.send_multipart(encode(Ping()))
        return bool(dealer.poll(timeout_ms))
    finally:
        dealer.close(0)
        context.term()


def test_plain_text_and_wrong_keys_are_never_heard(small: SmallServer) -> None:
    assert not is_answered(small, None, 700)
    assert not is_answered(small, new_key_pair(), 700)
    assert not is_answered(small, small.local, 700, server_key=new_key_pair().public)
    assert small.heard == []
    assert is_answered(small, small.local, 2_000)


def test_while_the_doorkeeper_is_not_served_nobody_gets_in(small: SmallServer) -> None:
    small.let_in = False
    assert not is_answered(small, small.local, 1_500)
    small.let_in = True
    assert is_answered(small, small.local, 2_000)


def test_without_a_doorkeeper_nobody_gets_in(small: SmallServer) -> None:
    small.doorkeeper_gone = True
    time.sleep(0.1)
    assert small.router.sockets[1].closed
    assert not is_answered(small, small.local, 1_500)
    assert small.heard == []


def test_a_clients_words_do_not_change_its_owner(small: SmallServer, folder: Path) -> None:
    keys = new_key_pair()
    AuthorizedKeys(folder).add(keys.public, "someone")
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.curve_publickey, dealer.curve_secretkey = keys.public.encode(), keys.secret.encode()
    dealer.curve_serverkey = small.keys.public.encode()
    # What ZMTP lets a client say of itself.
    dealer.setsockopt(zmq.ROUTING_ID, b"local")
    dealer.setsockopt(zmq.METADATA, b"X-User-Id:local")
    with contextlib.suppress(zmq.ZMQError):
        dealer.setsockopt(zmq.METADATA, b"User-Id:local")
    dealer.connect(small.router.endpoint)
    dealer.send_multipart(encode(Ping()))
    assert dealer.poll(3_000)
    assert decode(dealer.recv_multipart())[0] == Pong(boot=keys.public)
    dealer.close(0)
    context.term()


def test_a_revoked_key_is_out_at_once_even_while_connected(small: SmallServer, folder: Path) -> None:
    keys, allowed = new_key_pair(), AuthorizedKeys(folder)
    allowed.add(keys.public, "someone")
    with Client.connect(small.connection(keys=keys)) as client:
        client.wait_until_welcome(5)
        allowed.remove("someone")
        time.sleep(1.1)
        client.ping()
        deadline = time.monotonic() + 3
        while client.failure is None and time.monotonic() < deadline:
            client.poll()
            time.sleep(0.01)
        assert client.failure is not None
        assert client.failure.code == ErrorCode.BACKEND_REFUSED
    assert refusal(small.connection(keys=keys))[0] == ErrorCode.BACKEND_REFUSED


def test_a_list_of_keys_that_others_can_write_lets_nobody_in(folder: Path) -> None:
    keys, local = new_key_pair(), new_key_pair()
    AuthorizedKeys(folder).add(keys.public, "someone")
    assert AllowList(local.public, folder)(keys.public) == keys.public
    AuthorizedKeys(folder).path.chmod(0o666)
    allowed = AllowList(local.public, folder)
    assert allowed(keys.public) is None
    assert allowed(local.public) == "local"


def test_two_thousand_garbage_connections_keep_nobody_out(small: SmallServer) -> None:
    port = int(small.router.endpoint.rpartition(":")[2])
    greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL"
    rubbish = (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\xff" * 64, b"", greeting)
    open_ones: list[socket.socket] = []
    answered = 0.0
    with Client.connect(small.connection()) as client, contextlib.ExitStack() as stack:
        client.wait_until_welcome(5)
        for number in range(2_000):
            connection = socket.create_connection(("127.0.0.1", port), timeout=5)
            connection.sendall(rubbish[number % 4] or secrets.token_bytes(2048))
            if number % 2:
                open_ones.append(stack.enter_context(connection))
            else:
                connection.close()
            if number % 200 == 0:
                began = time.monotonic()
                assert owner_as_seen(small.connection()) == "local"
                answered = max(answered, time.monotonic() - began)
        assert len(open_ones) == 1_000
        assert answered < 2
        client.ping()
        deadline = time.monotonic() + 2
        while not any(isinstance(event, Pong) for event in client.poll()):
            assert time.monotonic() < deadline
            time.sleep(0.002)


@pytest.mark.parametrize(
    "bind",
    ["tcp://0.0.0.0:7400", "tcp://[::]:7400", "tcp://*:7400", "tcp://192.168.1.5:*", "tcp://eth0:7400", "tcp://lo:7400",
     "tcp://example.org:7400", "tcp://[fe80::1]:7400", "tcp://[::ffff:10.0.0.1]:7400", "tcp://128.0.0.1:7400"],
)  # fmt: skip
def test_an_address_that_others_reach_needs_an_authorised_key(bind: str, folder: Path) -> None:
    with pytest.raises(UVMapError) as caught:
        checked_bind(bind, authorized=False)
    assert caught.value.failure.code == ErrorCode.ADDRESS_NOT_ALLOWED
    assert "--authorize" in caught.value.failure.hint
    assert checked_bind(bind, authorized=True) == bind
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with pytest.raises(UVMapError):
        Router(context, new_key_pair(), AllowList(new_key_pair().public, folder), bind)
    # Nothing of it was left behind.
    context.term()


@pytest.mark.parametrize(
    ("bind", "there"),
    [
        ("tcp://127.0.0.1:7400", "tcp://127.0.0.1:7400"),
        ("tcp://localhost:*", "tcp://127.0.0.1:*"),
        ("tcp://[::1]:7400", "tcp://[::1]:7400"),
        ("tcp://127.3.2.1:1", "tcp://127.3.2.1:1"),
    ],
)
def test_an_address_of_this_machine_needs_none(bind: str, there: str) -> None:
    assert checked_bind(bind, authorized=False) == there


@pytest.mark.parametrize(
    "bind", ["", "7400", "127.0.0.1:7400", "tcp://127.0.0.1", "tcp://127.0.0.1:70000", "ipc:///tmp/x", "tcp://:7400",
             "tcp://127.0.0.1:7400;tcp://0.0.0.0:1", "tcp://a b:1", "tcp://127.0.0.1:7400\n", "inproc://x"]
)  # fmt: skip
def test_what_is_no_address_is_refused(bind: str) -> None:
    with pytest.raises(UVMapError) as caught:
        checked_bind(bind, authorized=True)
    assert caught.value.failure.code == ErrorCode.ADDRESS_NOT_ALLOWED


def test_names_are_taken_for_reachable() -> None:
    assert not is_loopback("localhost")
    assert not is_loopback("0.0.0.0")  # noqa: S104
    assert is_loopback("127.0.0.1")


def test_a_port_that_is_taken_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bind = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with pytest.raises(UVMapError) as caught:
            Router(context, new_key_pair(), AllowList(new_key_pair().public, folder), bind)
        context.term()
    assert caught.value.failure.code == ErrorCode.BACKEND_START_FAILED
    assert bind in caught.value.failure.message


def test_the_local_key_does_not_work_from_elsewhere(folder: Path) -> None:
    """Through this machine's own address, which is how another machine would come."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with contextlib.suppress(OSError):
            probe.connect(("192.0.2.1", 9))
        host = probe.getsockname()[0]
    if is_loopback(host) or host == "0.0.0.0":  # noqa: S104
        pytest.skip("this machine has no address but loopback")
    remote = new_key_pair()
    AuthorizedKeys(folder).add(remote.public, "remote")
    with small_server(folder, f"tcp://{host}:*", authorized=True) as server:
        assert server.router.endpoint.startswith("tcp://127.0.0.1:")
        assert server.router.remote_endpoint.startswith(f"tcp://{host}:")
        assert owner_as_seen(server.connection()) == "local"
        far = {"endpoint": server.router.remote_endpoint}
        assert owner_as_seen(dataclasses.replace(server.connection(keys=remote), **far)) == remote.public
        assert refusal(dataclasses.replace(server.connection(), **far))[0] == ErrorCode.BACKEND_REFUSED
