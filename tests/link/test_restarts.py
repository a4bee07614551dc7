"""A client whose server dies, hangs or is started anew: durable jobs go on, and each still ends once."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from uvmap_id.link import exchange
from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.launcher import ensure_server, stop_server
from uvmap_id.link.messages import PHOTO_LIMIT, Cancelled, Done, Failed, Refused
from uvmap_id.link.request import TextureRequest

Ask = Callable[..., TextureRequest]
Command = tuple[str, ...]
ENDS = (Done, Failed, Cancelled, Refused)


def kill(server: Connection) -> None:
    os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while server.alive:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ends_within(client: Client, seconds: float) -> list[object]:
    events: list[object] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        events += [event for event in client.poll() if isinstance(event, ENDS)]
        time.sleep(0.01)
    return events


def ends_of(client: Client, jobs: set[str], timeout_s: float = 30) -> list[object]:
    """Polls until each job has ended, and a moment longer."""
    events: list[object] = []
    deadline = time.monotonic() + timeout_s
    while {getattr(event, "job", "") for event in events} != jobs:
        assert time.monotonic() < deadline, (events, jobs)
        events += [event for event in client.poll() if isinstance(event, ENDS)]
        time.sleep(0.005)
    return events + ends_within(client, 0.3)


@pytest.mark.parametrize("end", [kill, lambda _server: stop_server()], ids=["killed", "stopped"])
def test_jobs_go_on_with_the_next_server_and_end_once(
    client: Client,
    server: Connection,
    server_command: Command,
    ask: Ask,
    photo: bytes,
    run_until_busy: Callable[[str], str],
    end: Callable[[Connection], object],
) -> None:
    jobs = {
        run_until_busy("brief"),
        client.submit(ask("shirt", seed=1), (photo,)),
        client.submit(ask("fail"), (photo,)),
    }
    end(server)
    jobs.add(client.submit(ask("shirt", seed=2), (photo,)))
    assert not ends_within(client, 0.5)
    assert client.server_gone
    fresh = ensure_server(server_command)
    ended = ends_of(client, jobs)
    assert sorted(type(event).__name__ for event in ended) == ["Done", "Done", "Done", "Failed"]
    assert client.failure is None
    assert client.connection == fresh
    assert fresh.boot != server.boot


def test_a_job_that_ended_while_the_client_was_cut_off_is_heard_of(
    client: Client, server: Connection, server_command: Command, ask: Ask, photo: bytes, state: Path
) -> None:
    job = client.submit(ask("brief"), (photo,))
    while client.welcome is None or not (state / "results").is_dir() or not any((state / "results").iterdir()):
        client.poll()
        time.sleep(0.005)
    # Nobody polls while the job ends and the server goes and comes back.
    time.sleep(1.5)
    kill(server)
    ensure_server(server_command)
    (done,) = ends_of(client, {job})
    assert isinstance(done, Done)


def test_an_upload_goes_on_with_the_next_server(
    client: Client, server: Connection, server_command: Command, ask: Ask
) -> None:
    photo = os.urandom(2**20) * (PHOTO_LIMIT // 2**20)
    job = client.submit(ask("shirt", face_sha256=hashlib.sha256(photo).hexdigest()), (photo,))
    for _ in range(10):
        client.poll()
        time.sleep(0.002)
    kill(server)
    ensure_server(server_command)
    (done,) = ends_of(client, {job})
    assert isinstance(done, Done)
    assert done.manifest["details"] == {"photo_bytes": PHOTO_LIMIT}


def test_a_server_that_stays_away_is_given_up_and_each_job_ends_once(
    client: Client,
    server: Connection,
    ask: Ask,
    photo: bytes,
    run_until_busy: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "LOST_S", 1.5)
    jobs = {run_until_busy("slow"), client.submit(ask("shirt"), (photo,))}
    kill(server)
    jobs.add(client.submit(ask("shirt"), (photo,)))
    assert not ends_within(client, 1.0)
    ended = ends_of(client, jobs, 3)
    assert len(ended) == len(jobs)
    assert {event.code for event in ended if isinstance(event, Failed)} == {ErrorCode.BACKEND_LOST}
    assert client.failure is not None
    late = client.submit(ask("shirt"), (photo,))
    (failed,) = ends_of(client, {late}, 1)
    assert isinstance(failed, Failed)


def test_time_in_which_nobody_polled_is_not_held_against_the_server(
    client: Client,
    server: Connection,
    server_command: Command,
    run_until_busy: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "LOST_S", 1.5)
    job = run_until_busy("brief")
    kill(server)
    client.poll()
    time.sleep(2)
    client.poll()
    assert client.failure is None
    ensure_server(server_command)
    assert isinstance(ends_of(client, {job})[0], Done)


def test_a_server_that_hangs_is_given_up_in_the_end(
    client: Client,
    server: Connection,
    run_until_busy: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "LOST_S", 0.5)
    monkeypatch.setattr(exchange, "HUNG_S", 2.5)
    job = run_until_busy("slow")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        # Its process is there, so it may come back.
        assert not ends_within(client, 1.5)
        with pytest.raises(UVMapError) as caught:
            client.wait(job, timeout_s=10)
        assert caught.value.failure.code == ErrorCode.BACKEND_LOST
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_a_job_that_the_next_server_does_not_know_is_refused(
    client: Client, server: Connection, server_command: Command, state: Path, run_until_busy: Callable[[str], str]
) -> None:
    job = run_until_busy("slow")
    kill(server)
    for path in state.glob("jobs.db*"):
        path.unlink()
    ensure_server(server_command)
    (refused,) = ends_of(client, {job})
    assert isinstance(refused, Refused)
    assert refused.code == ErrorCode.JOB_UNKNOWN


def test_ten_restarts_in_a_row(server: Connection, server_command: Command, ask: Ask, photo: bytes) -> None:
    with Client.connect(server, "test") as client:
        jobs = {client.submit(ask("shirt", seed=seed), (photo,)) for seed in range(20)}
        ended: list[object] = []
        for _ in range(10):
            ended += ends_within(client, 0.2)
            kill(client.connection)
            ensure_server(server_command)
            client.wait_until_welcome()
        left = jobs - {getattr(event, "job", "") for event in ended}
        ended += ends_of(client, left) if left else []
        assert sorted(getattr(event, "job", "") for event in ended) == sorted(jobs)
        assert all(isinstance(event, Done) for event in ended)
