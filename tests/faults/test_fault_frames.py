"""Messages that lie, come twice or in another order, are too large, or are not read: the server serves the others."""

from __future__ import annotations

import json
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from raw import RawClient
from rig import FULL, Rig

from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import (
    PROTOCOL,
    Accepted,
    Acknowledge,
    Cancel,
    Cancelled,
    Done,
    GetChunk,
    Hello,
    Message,
    Move,
    Ping,
    Pong,
    Progress,
    Purge,
    PutBlob,
    Refused,
    Retry,
    Status,
    Submit,
    Welcome,
)
from uvmap_id.link.wire import MAGIC, encode

MakeRig = Callable[..., Rig]

FUZZED = 100_000 if FULL else 10_000
TIMES = 10 if FULL else 1
ANSWER_LIMIT_S = 0.1
GROWTH_LIMIT = 20e6
# A machine that does other work besides makes one in so many answers late.
LATE_SHARE = 0.01


class Pings:
    """A valid client that asks all the while, and how long its answers took."""

    def __init__(self, connection: Connection) -> None:
        self.taken: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(connection,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(20)

    @property
    def late(self) -> int:
        return sum(taken > ANSWER_LIMIT_S for taken in self.taken)

    def _ask(self, connection: Connection) -> None:
        with RawClient(connection) as client:
            client.ask(encode(Ping()), 10)
            while not self._over.is_set():
                began = time.perf_counter()
                assert isinstance(client.ask(encode(Ping()), 10), Pong)
                self.taken.append(time.perf_counter() - began)
                time.sleep(0.01)


@contextmanager
def pinging(connection: Connection) -> Iterator[Pings]:
    pings = Pings(connection)
    try:
        yield pings
    finally:
        pings.close()


def spread(taken: list[float]) -> str:
    ordered = sorted(taken)
    return f"p50 {1000 * ordered[len(ordered) // 2]:.1f} ms, p99 {1000 * ordered[int(len(ordered) * 0.99)]:.1f} ms"


VALUES = (None, True, -1, 0, 2**63, 1e308, "", "a" * 32, "\0", "\ud800", [], {}, [[]], "x" * 5000, ["a" * 32] * 50)


def fuzzed(dice: random.Random, seeds: list[list[bytes]]) -> list[bytes]:
    """Frames that are almost a message."""
    frames = list(dice.choice(seeds))
    match dice.randrange(8):
        case 0:
            return [dice.randbytes(dice.randrange(60)) for _ in range(dice.randrange(1, 6))]
        case 1:
            return [MAGIC, dice.randbytes(dice.randrange(300))]
        case 2:
            header = bytearray(frames[1])
            for _ in range(dice.randrange(1, 6)):
                header[dice.randrange(len(header))] = dice.randrange(256)
            frames[1] = bytes(header)
        case 3:
            frames[1] = frames[1][: dice.randrange(len(frames[1]))]
        case 4 | 5:
            header = json.loads(frames[1])
            header[dice.choice([*header, "another"])] = dice.choice(VALUES)
            frames[1] = json.dumps(header).encode(errors="surrogatepass")
        case 6:
            frames.insert(dice.randrange(len(frames) + 1), dice.randbytes(dice.randrange(100)))
        case 7:
            frames[1] = b"[" * dice.randrange(2000) + frames[1]
    return frames


def seeds_of(rig: Rig) -> list[list[bytes]]:
    job, sha256 = "a" * 32, "b" * 64
    messages: list[Message] = [
        *(Hello(PROTOCOL, "x", PROTOCOL), Ping(), Status(job), Cancel(job), Acknowledge(job), Purge((job,))),
        *(Move(job, 1, ""), Retry(job, "c" * 32), GetChunk(job, "base_color.png", 0)),
        Submit(job, rig.request()),
    ]
    return [encode(message) for message in messages] + [encode(PutBlob(sha256, 100, 0), b"x" * 100)]


def test_fuzzed_messages_crash_nothing_and_hold_up_nobody(make_rig: MakeRig) -> None:
    rig = make_rig(f"{FUZZED:,} fuzzed messages")
    connection = rig.start()
    process = psutil.Process(connection.pid)
    seed = secrets.randbits(32)
    dice, seeds = random.Random(seed), seeds_of(rig)  # noqa: S311
    with RawClient(connection) as fuzzer, pinging(connection) as pings:
        for number in range(FUZZED // 20):
            fuzzer.send(fuzzed(dice, seeds))
            if number % 20 == 0:
                fuzzer.drain(0.02)
        before = process.memory_info().rss
        for number in range(FUZZED):
            frames = fuzzed(dice, seeds)
            if not frames[0].startswith(MAGIC) or len(frames) > 1:
                assert fuzzer.send(frames), f"not let in any more, seed {seed}"
            rig.entry.hostile += 1
            if number % 20 == 19:
                # As fast as they are answered, and no faster: what waits in the system's buffers is no test.
                fuzzer.drain(0.0)
            if number % 200 == 199:
                fuzzer.drain(0.01)
        fuzzer.drain(0.5)
        time.sleep(0.5)
        growth = process.memory_info().rss - before
    assert rig.server is not None
    assert rig.server.poll() is None, f"it crashed, seed {seed}"
    assert "Traceback" not in rig.errors.read_text(), f"seed {seed}"
    rig.entry.figures = {
        "growth": f"{growth / 1e6:.1f} MB",
        "answers to a valid client": spread(pings.taken),
        f"later than {1000 * ANSWER_LIMIT_S:.0f} ms": f"{pings.late} of {len(pings.taken)}",
        "seed": str(seed),
    }
    entry = rig.judge()
    assert entry.hostile == FUZZED
    assert growth < GROWTH_LIMIT, f"it grew by {growth / 1e6:.1f} MB, seed {seed}"
    assert len(pings.taken) > 10
    assert pings.late <= max(2, LATE_SHARE * len(pings.taken)), spread(pings.taken)
    assert entry.is_clean, entry


OVERSIZE: dict[str, list[bytes]] = {
    "header over 64 KiB": [MAGIC, b'{"t":"ping","x":"' + b"x" * 70_000 + b'"}'],
    "blob over 1 MiB": [MAGIC, b'{"t":"ping"}', bytes(2**20 + 1)],
    "frame over 2 MiB": [MAGIC, bytes(3 * 2**20)],
    "100,000 brackets": [MAGIC, b"[" * 60_000],
    "100,000 objects": [MAGIC, b'{"a":' * 12_000],
    "10,000 frames": [MAGIC, *[b"x"] * 10_000],
    "a number of 60,000 digits": [MAGIC, b'{"t":' + b"9" * 60_000 + b"}"],
}


@pytest.mark.parametrize("name", OVERSIZE)
def test_what_is_too_large_harms_its_sender_only(make_rig: MakeRig, name: str) -> None:
    rig = make_rig(f"oversize: {name}")
    connection = rig.start()
    process = psutil.Process(connection.pid)
    with RawClient(connection) as friend:
        assert isinstance(friend.ask(encode(Ping())), Pong)
        before = process.memory_info().rss
        for _ in range(TIMES):
            with RawClient(connection) as greedy:
                assert isinstance(greedy.ask(encode(Ping())), Pong)
                answer = greedy.ask(OVERSIZE[name], 0.5)
                assert answer is None or (isinstance(answer, Refused) and answer.code == ErrorCode.MESSAGE_INVALID)
                rig.entry.hostile += 1
            began = time.perf_counter()
            assert isinstance(friend.ask(encode(Ping())), Pong)
            assert time.perf_counter() - began < 1.0
        assert process.memory_info().rss - before < GROWTH_LIMIT
    assert "Traceback" not in rig.errors.read_text()
    entry = rig.judge()
    assert entry.hostile == TIMES
    assert entry.is_clean, entry


def upload(client: RawClient, rig: Rig) -> None:
    digest = rig.request().face_sha256
    client.ask(encode(PutBlob(digest, len(rig.photo), 0), rig.photo))


def until_ended(client: RawClient, job: str) -> Message:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = client.ask(encode(Status(job)))
        if isinstance(answer, Done | Cancelled | Refused):
            return answer
        time.sleep(0.02)
    raise AssertionError("it did not end")


def test_commands_that_come_twice_or_in_another_order(make_rig: MakeRig) -> None:
    """Each way through the same commands ends with each job done at most once, or with a sentence."""
    rig = make_rig("replayed and reordered commands")
    connection = rig.start()
    dice = random.Random(7)  # noqa: S311
    done = 0
    with RawClient(connection) as client:
        for number in range(20 * TIMES):
            job = secrets.token_hex(16)
            rig.photo = b"a face, number %d" % number
            digest = rig.request().face_sha256
            upload(client, rig)
            commands: list[Message] = [
                Submit(job, rig.request(seed=number)),
                *(Status(job), Acknowledge(job), Cancel(job), Retry(job, secrets.token_hex(16)), Purge((job,))),
                *(Move(job, 1), GetChunk(job, "base_color.png", 0)),
            ]
            chosen = [*dice.choices(commands, k=10), commands[0]]
            for command in chosen:
                # The same bytes once more: a replay.
                for _ in range(dice.choice((1, 1, 2))):
                    client.send(encode(command))
                    rig.entry.hostile += 1
            client.drain(0.05)
            upload(client, rig)
            client.send(encode(PutBlob(digest, len(rig.photo), 0)))
            client.drain(0.02)
            end = until_ended(client, job)
            done += isinstance(end, Done)
        client.drain(0.2)
    begun = [line[1] for line in rig.plan.diary() if line[0] == "begin"]
    ended = [line[1] for line in rig.plan.diary() if line[0] == "end"]
    assert done > 0
    assert len(set(ended)) == len(ended)
    assert len(begun) >= done
    entry = rig.judge()
    assert entry.is_clean, entry


def test_the_same_job_from_many_at_once_is_done_once(make_rig: MakeRig) -> None:
    rig = make_rig("duplicate and concurrent submits")
    connection = rig.start()
    clients = [RawClient(connection) for _ in range(10)]
    try:
        upload(clients[0], rig)
        for number in range(5 * TIMES):
            job, other = secrets.token_hex(16), rig.request(seed=1000 + number)
            frames = encode(Submit(job, rig.request(seed=number)))
            for client in clients:
                client.send(frames)
                client.send(frames)
                rig.entry.faults += 2
            # The first of them was no duplicate.
            rig.entry.faults -= 1
            answers = [message for client in clients for message in client.drain(0.1)]
            assert sum(isinstance(answer, Accepted | Progress | Done) for answer in answers) >= 20
            conflict = clients[0].ask(encode(Submit(job, other)))
            while isinstance(conflict, Progress | Done | Accepted):
                conflict = clients[0].receive()
            assert isinstance(conflict, Refused)
            assert conflict.code == ErrorCode.JOB_ID_CONFLICT
            assert isinstance(until_ended(clients[1], job), Done)
            rig.entry.accepted += 1
            rig.entry.ended += 1
            begun = [line for line in rig.plan.diary() if line == ["begin", job]]
            rig.entry.twice += len(begun) != 1
            for client in clients:
                client.drain(0.01)
    finally:
        for client in clients:
            client.close()
    entry = rig.judge()
    assert entry.faults == 19 * 5 * TIMES
    assert entry.is_clean, entry


def test_a_client_that_comes_back_with_its_identity_goes_on(make_rig: MakeRig) -> None:
    rig = make_rig("reconnect with the same identity")
    connection = rig.start()
    for number in range(10 * TIMES):
        identity = b"c" + secrets.token_bytes(15)
        job = secrets.token_hex(16)
        with RawClient(connection, identity=identity) as first:
            upload(first, rig)
            first.send(encode(Submit(job, rig.request("wait 0.1", seed=number))))
            assert isinstance(first.receive(), Accepted | Progress)
            # The old connection is still there when the new one comes.
            with RawClient(connection, identity=identity) as second:
                rig.entry.faults += 1
                second.send(encode(Status(job)))
                heard = [second.receive()]
                while not isinstance(heard[-1], Done):
                    heard.append(second.receive())
                    assert heard[-1] is not None
        rig.entry.accepted += 1
        rig.entry.ended += 1
    entry = rig.judge()
    assert entry.faults == 10 * TIMES
    assert entry.is_clean, entry


@pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")
@pytest.mark.parametrize("kind", ["slow", "stopped"])
def test_a_client_that_does_not_read_costs_bounded_memory(make_rig: MakeRig, kind: str) -> None:
    """It asks for piece after piece of a result, about 1 GB in all, and reads none, or one now and then."""
    rig = make_rig(f"{kind} reader")
    connection = rig.start()
    process = psutil.Process(connection.pid)
    with rig.connect() as client:
        asked = rig.submit(client)
        rig.until(lambda: bool(asked.ends), client)
        end = asked.ends[0]
        assert isinstance(end, Done)
        name = max(end.files, key=lambda file: file.size).name
        chunk = encode(GetChunk(asked.job, name, 0))
        before = process.memory_info().rss
        peak = 0
        with RawClient(connection, high_water=10) as lazy, pinging(connection) as pings:
            for number in range(20_000 if FULL else 5_000):
                if not lazy.send(chunk, 0.001) and kind == "stopped" and number > 2_000:
                    break
                if kind == "slow" and number % 100 == 0:
                    lazy.receive(0.0)
                rig.entry.hostile += 1
                if number % 100 == 0:
                    peak = max(peak, process.memory_info().rss - before)
        rig.entry.figures = {"growth at most": f"{peak / 1e6:.0f} MB", "answers to another": spread(pings.taken)}
        late = rig.submit(client)
        rig.until(lambda: bool(late.ends), client)
    entry = rig.judge()
    # 200 messages of at most 1 MiB, and what the system buffers.
    assert peak < 250e6
    assert entry.is_clean, entry


STOPPED = """
import sys, time
from uvmap_id.link.client import Client
from uvmap_id.link.connection import read_connection
with Client.connect(read_connection(), "stopped") as client:
    client.wait_until_welcome()
    job = sys.argv[1]
    client.status(job)
    client.poll()
    print("ready", flush=True)
    while True:
        client.poll()
        time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")
def test_a_client_that_is_stopped_holds_up_nobody(make_rig: MakeRig) -> None:
    rig = make_rig("SIGSTOP of a client")
    connection = rig.start()
    process = psutil.Process(connection.pid)
    with rig.connect() as client:
        for _ in range(TIMES):
            asked = rig.submit(client, "wait 2")
            rig.until(lambda asked=asked: asked.accepted, client)
            command = [sys.executable, "-c", STOPPED, asked.job]
            with subprocess.Popen(command, env=rig.environment, stdout=subprocess.PIPE) as other:
                assert other.stdout is not None
                assert other.stdout.readline() == b"ready\n"
                before = process.memory_info().rss
                other.send_signal(signal.SIGSTOP)
                rig.entry.faults += 1
                # The events go to the one that asked last; this one asks for the truth.
                rig.until(lambda asked=asked: bool(asked.ends), client)
                after = rig.submit(client)
                rig.until(lambda after=after: bool(after.ends), client)
                assert process.memory_info().rss - before < GROWTH_LIMIT
                other.kill()
    entry = rig.judge()
    assert entry.faults == TIMES
    assert entry.is_clean, entry


def test_clients_of_other_versions_are_told_in_one_sentence(make_rig: MakeRig) -> None:
    rig = make_rig("clients of versions N-1 and N+1")
    connection = rig.start()
    with RawClient(connection) as client:
        for _ in range(TIMES):
            old = client.ask(encode(Hello(PROTOCOL - 1, "old")))
            only_newer = client.ask(encode(Hello(PROTOCOL + 1, "new", PROTOCOL + 1)))
            newer = client.ask(encode(Hello(PROTOCOL + 1, "new", PROTOCOL)))
            rig.entry.faults += 3
            for refused in (old, only_newer):
                assert isinstance(refused, Refused)
                assert refused.code == ErrorCode.BACKEND_INCOMPATIBLE
                assert "\n" not in refused.message
            assert isinstance(newer, Welcome)
            assert newer.protocol == PROTOCOL
            unknown = [MAGIC, encode(Ping())[1].replace(b"ping", b"from_the_future")]
            assert isinstance(client.ask(unknown), Refused)
            assert isinstance(client.ask(encode(Ping())), Pong)
    entry = rig.judge()
    assert entry.is_clean, entry


def test_servers_of_other_versions_go_on_with_the_jobs(make_rig: MakeRig) -> None:
    """Version N leaves a job; N+1 that still knows N, N+1 that does not, and N-1 come after it."""
    rig = make_rig("servers of versions N-1 and N+1")
    rig.start()
    with rig.connect() as client:
        for _ in range(TIMES):
            asked = rig.submit(client, "wait 0.5")
            rig.until(lambda asked=asked: ["begin", asked.job] in rig.plan.diary(), client)
            rig.kill_server()
            rig.start("--protocol", str(PROTOCOL + 1))
            rig.entry.faults += 1
            rig.until(lambda asked=asked: bool(asked.ends), client)
    rig.kill_server()
    newer = rig.start("--protocol", str(PROTOCOL + 1), "--oldest", str(PROTOCOL + 1))
    rig.entry.faults += 1
    with Client.connect(newer) as client:
        with pytest.raises(UVMapError) as caught:
            client.wait_until_welcome(10)
        assert caught.value.failure.code == ErrorCode.BACKEND_INCOMPATIBLE
    rig.kill_server()
    older = rig.start("--protocol", str(PROTOCOL - 1))
    rig.entry.faults += 1
    with pytest.raises(UVMapError) as caught:
        Client.connect(older)
    assert caught.value.failure.code == ErrorCode.BACKEND_INCOMPATIBLE
    rig.kill_server()
    rig.start()
    assert Path(rig.state, "jobs.db").is_file()
    entry = rig.judge()
    assert entry.is_clean, entry
