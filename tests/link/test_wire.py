"""Who is let in, and what the server answers to frames that no client of ours would send."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import zmq

from uvmap_id.link import exchange
from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import (
    PROTOCOL,
    Accepted,
    Answer,
    BlobState,
    Cancelled,
    Done,
    Failed,
    Hello,
    Message,
    Ping,
    Pong,
    Progress,
    PutBlob,
    Refused,
    Submit,
    Welcome,
)
from uvmap_id.link.request import DiffusionSettings, TextureRequest
from uvmap_id.link.wire import MAGIC, decode, encode

Ask = Callable[..., TextureRequest]


class RawClient:
    """Sends whatever it is told to."""

    def __init__(self, connection: Connection) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.curve_publickey = connection.client_key.encode()
        self._socket.curve_secretkey = connection.client_secret.encode()
        self._socket.curve_serverkey = connection.server_key.encode()
        self._socket.connect(connection.endpoint)

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
def raw_client(connection: Connection) -> Iterator[RawClient]:
    client = RawClient(connection)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def raw(server: Connection) -> Iterator[RawClient]:
    with raw_client(server) as client:
        yield client


def test_the_handshake_tells_who_serves(raw: RawClient, server: Connection) -> None:
    assert raw.ask(encode(Hello(PROTOCOL, "test"))) == Welcome(PROTOCOL, server.version, server.boot)


def test_rubbish_on_the_port_does_not_disturb(server: Connection, raw: RawClient) -> None:
    port = int(server.endpoint.rpartition(":")[2])
    for rubbish in (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", secrets.token_bytes(4096), b"\xff" * 64, b""):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(rubbish)
    assert isinstance(raw.ask(encode(Ping())), Pong)


def test_another_protocol_is_refused_in_one_sentence(raw: RawClient) -> None:
    answer = raw.ask(encode(Hello(PROTOCOL + 1, "a newer client")))
    assert isinstance(answer, Refused)
    assert answer.code == ErrorCode.BACKEND_INCOMPATIBLE
    assert f"protocol {PROTOCOL + 1}" in answer.message
    assert "\n" not in answer.message


def test_an_older_client_is_refused_in_one_sentence(raw: RawClient) -> None:
    answer = raw.ask(encode(Hello(2, "an older client")))
    assert isinstance(answer, Refused)
    assert answer.code == ErrorCode.BACKEND_INCOMPATIBLE
    assert "too old" in answer.message


def test_a_newer_client_that_still_speaks_this_protocol_is_welcome(raw: RawClient) -> None:
    answer = raw.ask(encode(Hello(PROTOCOL + 2, "a newer client", lowest=PROTOCOL)))
    assert isinstance(answer, Welcome)
    assert answer.protocol == PROTOCOL


def test_a_client_learns_from_the_file_that_the_server_is_older(server: Connection) -> None:
    with pytest.raises(UVMapError) as caught:
        Client.connect(dataclasses.replace(server, protocol=PROTOCOL - 1))
    assert caught.value.failure.code == ErrorCode.BACKEND_INCOMPATIBLE


def test_a_client_learns_from_the_server_that_it_is_of_another_protocol(
    server: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(exchange, "PROTOCOL", PROTOCOL + 1)
        patch.setattr(exchange, "OLDEST_PROTOCOL", PROTOCOL + 1)
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
    assert isinstance(raw.ask(encode(Ping())), Pong)


def test_a_frame_over_the_limit_ends_only_its_own_connection(server: Connection, raw: RawClient) -> None:
    with raw_client(server) as greedy:
        assert isinstance(greedy.ask(encode(Ping())), Pong)
        greedy.say([MAGIC, bytes(3 * 2**20)])
        assert not greedy.is_answered(500)
    assert isinstance(raw.ask(encode(Ping())), Pong)


def put(raw: RawClient, *photos: bytes) -> None:
    for photo in photos:
        sha256 = hashlib.sha256(photo).hexdigest()
        assert raw.ask(encode(PutBlob(sha256, len(photo), 0), photo)) == BlobState(sha256, len(photo))


@pytest.mark.parametrize("job", ["", "short", "../../../../etc/passwd", "0" * 31 + "\n", "G" * 32])
def test_a_job_id_that_is_none_is_refused(raw: RawClient, ask: Ask, photo: bytes, job: str) -> None:
    put(raw, photo)
    answer = raw.ask(encode(Submit(job, ask("shirt"))))
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
        ({"face_sha256": hashlib.sha256(b"another").hexdigest()}, ErrorCode.PHOTO_MISSING),
        ({"more_faces": ("0" * 64,)}, ErrorCode.PHOTO_MISSING),
        ({"more_faces": ("0" * 64,) * 8}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"extra_maps": ("gloss",)}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"diffusion": DiffusionSettings(steps=0)}, ErrorCode.SETTING_OUT_OF_RANGE),
    ],
)
def test_the_server_checks_requests_itself(raw: RawClient, ask: Ask, photo: bytes, fields: dict, code: str) -> None:
    put(raw, photo)
    job = secrets.token_hex(16)
    answer = raw.ask(encode(Submit(job, ask(**{"prompt": "shirt", **fields}))))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.job) == (code, job)


def test_a_submit_without_its_photo_is_refused(raw: RawClient, ask: Ask) -> None:
    answer = raw.ask(encode(Submit(secrets.token_hex(16), ask("shirt"))))
    assert isinstance(answer, Refused)
    assert answer.code == ErrorCode.PHOTO_MISSING


def test_a_photo_under_anothers_hash_is_refused(raw: RawClient, ask: Ask, photo: bytes) -> None:
    sha256 = hashlib.sha256(photo).hexdigest()
    answer = raw.ask(encode(PutBlob(sha256, 5, 0), b"wrong"))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.job) == (ErrorCode.BLOB_INVALID, sha256)
    answer = raw.ask(encode(Submit(secrets.token_hex(16), ask("shirt"))))
    assert isinstance(answer, Refused)
    assert answer.code == ErrorCode.PHOTO_MISSING


def end_of(raw: RawClient) -> Answer:
    while True:
        answer = raw.hear()
        if isinstance(answer, Done | Failed | Cancelled):
            return answer
        assert isinstance(answer, Accepted | Progress)


def test_the_same_submit_twice_is_one_job(raw: RawClient, ask: Ask, photo: bytes) -> None:
    put(raw, photo)
    frames = encode(Submit(secrets.token_hex(16), ask("shirt")))
    raw.say(frames)
    raw.say(frames)
    done = end_of(raw)
    assert isinstance(done, Done)
    assert raw.ask(frames) == done


def test_another_job_under_a_known_id_is_refused(raw: RawClient, ask: Ask, photo: bytes) -> None:
    put(raw, photo)
    job = secrets.token_hex(16)
    raw.say(encode(Submit(job, ask("shirt", seed=1))))
    done = end_of(raw)
    answer = raw.ask(encode(Submit(job, ask("shirt", seed=2))))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.job) == (ErrorCode.JOB_ID_CONFLICT, job)
    assert raw.ask([MAGIC, json.dumps({"t": "status", "job": job}).encode()]) == done
