"""Who is let in, and what the server answers to frames that no client of ours would send."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import (
    MAGIC,
    PROTOCOL,
    Accepted,
    Answer,
    Cancelled,
    Done,
    Failed,
    Hello,
    Message,
    Ping,
    Pong,
    Progress,
    Refused,
    Submit,
    Welcome,
    decode,
    encode,
)
from uvmap_id.link.request import DiffusionSettings, TextureRequest

Ask = Callable[..., TextureRequest]


class RawClient:
    """Sends whatever it is told to."""

    def __init__(self, endpoint: str, server_key: str | None) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        if server_key is not None:
            self._socket.curve_publickey, self._socket.curve_secretkey = zmq.curve_keypair()
            self._socket.curve_serverkey = server_key.encode()
        self._socket.connect(endpoint)

    def ask(self, frames: list[bytes]) -> Message:
        self._socket.send_multipart(frames)
        return self.hear()

    def hear(self) -> Message:
        assert self.is_answered(5_000)
        return decode(self._socket.recv_multipart())[0]

    def say(self, frames: list[bytes]) -> None:
        self._socket.send_multipart(frames)

    def is_answered(self, timeout_ms: int) -> bool:
        return bool(self._socket.poll(timeout_ms))

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()


@contextmanager
def raw_client(endpoint: str, server_key: str | None) -> Iterator[RawClient]:
    client = RawClient(endpoint, server_key)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def raw(server: Connection) -> Iterator[RawClient]:
    with raw_client(server.endpoint, server.server_key) as client:
        yield client


def test_the_handshake_tells_who_serves(raw: RawClient, server: Connection) -> None:
    assert raw.ask(encode(Hello(PROTOCOL, "test"))) == Welcome(PROTOCOL, server.version, server.boot)


@pytest.mark.parametrize("key", [zmq.curve_keypair()[0].decode(), None], ids=["another server's key", "plain text"])
def test_without_the_servers_key_nobody_gets_in(server: Connection, raw: RawClient, key: str | None) -> None:
    with raw_client(server.endpoint, key) as stranger:
        stranger.say(encode(Ping()))
        assert not stranger.is_answered(1_000)
    assert raw.ask(encode(Ping())) == Pong()


def test_rubbish_on_the_port_does_not_disturb(server: Connection, raw: RawClient) -> None:
    port = int(server.endpoint.rpartition(":")[2])
    for rubbish in (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", secrets.token_bytes(4096), b"\xff" * 64, b""):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(rubbish)
    assert raw.ask(encode(Ping())) == Pong()


def test_another_protocol_is_refused_in_one_sentence(raw: RawClient) -> None:
    answer = raw.ask(encode(Hello(PROTOCOL + 1, "a newer client")))
    assert isinstance(answer, Refused)
    assert answer.code == ErrorCode.BACKEND_INCOMPATIBLE
    assert f"protocol {PROTOCOL + 1}" in answer.message
    assert "\n" not in answer.message


def test_a_client_learns_from_the_file_that_the_server_is_of_another_protocol(server: Connection) -> None:
    with pytest.raises(UVMapError) as caught:
        Client.connect(dataclasses.replace(server, protocol=PROTOCOL + 1))
    assert caught.value.failure.code == ErrorCode.BACKEND_INCOMPATIBLE


def test_a_client_learns_from_the_server_that_it_is_of_another_protocol(
    server: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("uvmap_id.link.client.PROTOCOL", PROTOCOL + 1)
        newer = dataclasses.replace(server, protocol=PROTOCOL + 1)
        with Client.connect(newer) as client, pytest.raises(UVMapError) as caught:
            client.wait_until_welcome()
    assert caught.value.failure.code == ErrorCode.BACKEND_INCOMPATIBLE


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"rubbish"],
        [MAGIC, b"rubbish"],
        [MAGIC, b"\xff\xfe"],
        [MAGIC, b"{}"],
        [MAGIC, b'{"t":"cancel","job":1}'],
        [MAGIC, b'{"t":"ping"}', b"blob"],
        [MAGIC, b'{"t":"hello","protocol":NaN,"client":""}'],
        encode(Done("0" * 32, "/")),
    ],
)
def test_malformed_messages_are_refused_and_survived(raw: RawClient, frames: list[bytes]) -> None:
    answer = raw.ask(frames)
    assert isinstance(answer, Refused)
    assert answer.code == ErrorCode.MESSAGE_INVALID
    assert raw.ask(encode(Ping())) == Pong()


def test_a_frame_over_the_limit_ends_only_its_own_connection(server: Connection, raw: RawClient) -> None:
    with raw_client(server.endpoint, server.server_key) as greedy:
        assert greedy.ask(encode(Ping())) == Pong()
        greedy.say([MAGIC, bytes(3 * 2**20)])
        assert not greedy.is_answered(500)
    assert raw.ask(encode(Ping())) == Pong()


@pytest.mark.parametrize("job", ["", "short", "../../../../etc/passwd", "0" * 31 + "\n", "G" * 32])
def test_a_job_id_that_is_none_is_refused(raw: RawClient, ask: Ask, photo: bytes, job: str) -> None:
    answer = raw.ask(encode(Submit(job, ask("shirt"), (len(photo),)), photo))
    assert isinstance(answer, Refused)
    assert answer.code == ErrorCode.MESSAGE_INVALID


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"prompt": "  "}, ErrorCode.PROMPT_EMPTY),
        ({"prompt": "x" * 10_000}, ErrorCode.PROMPT_TOO_LONG),
        ({"size": 3}, ErrorCode.SIZE_NOT_OFFERED),
        ({"seed": -1}, ErrorCode.SEED_OUT_OF_RANGE),
        ({"engine": "magic"}, ErrorCode.ENGINE_UNKNOWN),
        ({"face_sha256": hashlib.sha256(b"another").hexdigest()}, ErrorCode.MESSAGE_INVALID),
        ({"more_faces": ("0" * 64,)}, ErrorCode.MESSAGE_INVALID),
        ({"more_faces": ("0" * 64,) * 8}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"extra_maps": ("gloss",)}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"diffusion": DiffusionSettings(steps=0)}, ErrorCode.SETTING_OUT_OF_RANGE),
    ],
)
def test_the_server_checks_requests_itself(raw: RawClient, ask: Ask, photo: bytes, fields: dict, code: str) -> None:
    job = secrets.token_hex(16)
    answer = raw.ask(encode(Submit(job, ask(**{"prompt": "shirt", **fields}), (len(photo),)), photo))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.job) == (code, job)


@pytest.mark.parametrize(
    ("sizes", "code"), [((), ErrorCode.FACE_FILE_MISSING), ((0,), ErrorCode.IMAGE_UNREADABLE)], ids=["none", "empty"]
)
def test_a_submit_without_a_photo_is_refused(raw: RawClient, ask: Ask, sizes: tuple[int, ...], code: str) -> None:
    answer = raw.ask(encode(Submit(secrets.token_hex(16), ask("shirt"), sizes)))
    assert isinstance(answer, Refused)
    assert answer.code == code


LIES = {
    "too short": (-1, 0),
    "too long": (0, 1),
    "the border moved": (1, -1),
    "one too few": (7, None),
    "one too many": (0, 0, 0),
    "none": (),
    "negative": (100, -100),
}


@pytest.mark.parametrize("errors", LIES.values(), ids=LIES.keys())
def test_sizes_that_lie_about_the_photos_are_refused(
    raw: RawClient, ask: Ask, state: Path, photo: bytes, errors: tuple[int | None, ...]
) -> None:
    second = b"another"
    request = ask("shirt", more_faces=(hashlib.sha256(second).hexdigest(),))
    true = (len(photo), len(second), 0)
    sizes = tuple(size + error for size, error in zip(true, errors, strict=False) if error is not None)
    answer = raw.ask(encode(Submit(secrets.token_hex(16), request, sizes), photo + second))
    assert isinstance(answer, Refused)
    assert answer.code in (ErrorCode.MESSAGE_INVALID, ErrorCode.IMAGE_UNREADABLE, ErrorCode.FACE_FILE_MISSING)
    assert list((state / "photos").iterdir()) == []


def test_swapped_photos_are_refused(raw: RawClient, ask: Ask, photo: bytes) -> None:
    second = b"another"
    request = ask("shirt", more_faces=(hashlib.sha256(second).hexdigest(),))
    answer = raw.ask(encode(Submit(secrets.token_hex(16), request, (len(second), len(photo))), second + photo))
    assert isinstance(answer, Refused)
    assert answer.code == ErrorCode.MESSAGE_INVALID


def end_of(raw: RawClient) -> Answer:
    while True:
        answer = raw.hear()
        if isinstance(answer, Done | Failed | Cancelled):
            return answer
        assert isinstance(answer, Accepted | Progress)


def test_the_same_submit_twice_is_one_job(raw: RawClient, ask: Ask, photo: bytes) -> None:
    frames = encode(Submit(secrets.token_hex(16), ask("shirt"), (len(photo),)), photo)
    raw.say(frames)
    raw.say(frames)
    done = end_of(raw)
    assert isinstance(done, Done)
    assert raw.ask(frames) == done


def test_another_job_under_a_known_id_is_refused(raw: RawClient, ask: Ask, photo: bytes) -> None:
    job = secrets.token_hex(16)
    raw.say(encode(Submit(job, ask("shirt", seed=1), (len(photo),)), photo))
    done = end_of(raw)
    answer = raw.ask(encode(Submit(job, ask("shirt", seed=2), (len(photo),)), photo))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.job) == (ErrorCode.JOB_ID_CONFLICT, job)
    assert raw.ask([MAGIC, json.dumps({"t": "status", "job": job}).encode()]) == done
