"""Many clients, many jobs, and a slow link."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable
from itertools import pairwise

import psutil
import pytest
from ledger import percentile
from points import wrap
from raw import RawClient, proxy
from rig import FULL, Rig

from uvmap_id.link.client import Client
from uvmap_id.link.exchange import Event
from uvmap_id.link.messages import Accepted, Pong, Progress, PutBlob, Submit
from uvmap_id.link.silence import Silence
from uvmap_id.link.wire import encode

MakeRig = Callable[..., Rig]

CLIENTS, JOBS_EACH = (50, 20) if FULL else (50, 3)
QUEUED = 5_000 if FULL else 1_000
SUBMIT_P99_S = 0.020
SERVER_LIMIT = 150e6
SLOW_BYTES_PER_S = 100e6 / 8
PHOTO_MIB = 64 if FULL else 16
LONGEST_GAP_S = 0.5


def test_fifty_clients_at_once(make_rig: MakeRig) -> None:
    rig = make_rig(f"{CLIENTS} clients x {JOBS_EACH} jobs", "--workers", "2")
    rig.start()
    assert rig.server is not None
    clients = [rig.connect(f"client {number}", f"session {number}") for number in range(CLIENTS)]
    try:
        owners = {rig.submit(client).job: client for client in clients for _ in range(JOBS_EACH)}
        heard_elsewhere = 0

        def all_have_ended() -> bool:
            return all(asked.ends for asked in rig.jobs.values())

        deadline = time.monotonic() + 600
        while not all_have_ended():
            assert time.monotonic() < deadline
            heard = False
            for client in clients:
                for event in rig.hear(client):
                    heard = True
                    owner = owners.get(getattr(event, "job", ""))
                    heard_elsewhere += owner is not None and owner is not client
            if not heard:
                time.sleep(0.01)
        # One session after the other is served, so the first job of each comes before anybody's last.
        begun = [owners[line[1]] for line in rig.plan.diary() if line[0] == "claim"]
        assert heard_elsewhere == 0
        assert len(begun) == CLIENTS * JOBS_EACH
    finally:
        for client in clients:
            client.close()
    entry = rig.judge()
    assert entry.accepted == CLIENTS * JOBS_EACH
    assert entry.is_clean, entry


def test_thousands_of_jobs_wait_and_none_is_slow_to_submit(make_rig: MakeRig) -> None:
    rig = make_rig(f"{QUEUED:,} queued jobs")
    connection = rig.start()
    process = psutil.Process(connection.pid)
    with rig.connect() as client, RawClient(connection) as raw:
        client.pause()
        rig.until(lambda: any(isinstance(event, Pong) and event.paused for event in rig.hear(client)))
        raw.ask(encode(PutBlob(rig.request().face_sha256, len(rig.photo), 0), rig.photo))
        jobs = [secrets.token_hex(16) for _ in range(QUEUED)]
        taken = []
        for number, job in enumerate(jobs):
            frames = encode(Submit(job, rig.request(seed=number)))
            began = time.perf_counter()
            assert isinstance(raw.ask(frames), Accepted | Progress)
            taken.append(time.perf_counter() - began)
        peak = process.memory_info().rss
        rig.entry.accepted = len(jobs)
        # A kill in the middle of so many: they are all there afterwards.
        rig.kill_server()
        restarted = time.monotonic()
        rig.keep_up()
        rig.entry.faults += 1
        pongs: list[Event] = []

        def is_back() -> bool:
            pongs.extend(event for event in rig.hear(client) if isinstance(event, Pong))
            return bool(pongs)

        client.ping()
        rig.until(is_back)
        back_s = time.monotonic() - restarted
        assert isinstance(pongs[-1], Pong)
        assert pongs[-1].queued == QUEUED
        rig.entry.lost += QUEUED - pongs[-1].queued
        assert rig.server is not None
        peak = max(peak, psutil.Process(rig.server.pid).memory_info().rss)
        with rig.connect() as canceller:
            for job in jobs:
                canceller.cancel(job)
            left = set(jobs)
            deadline = time.monotonic() + 300
            while left:
                assert time.monotonic() < deadline, f"{len(left)} are left"
                left -= {getattr(event, "job", "") for event in canceller.poll() if type(event).__name__ == "Cancelled"}
                time.sleep(0.001)
        rig.entry.ended = QUEUED - len(left)
        client.resume()
        last = rig.submit(client)
        rig.until(lambda: bool(last.ends), client)
    rig.entry.figures = {
        "submit p50": f"{1000 * percentile(taken, 0.5):.1f} ms",
        "p99": f"{1000 * percentile(taken, 0.99):.1f} ms",
        "server": f"{peak / 1e6:.0f} MB",
        "back after kill -9": f"{back_s:.1f} s",
    }
    entry = rig.judge()
    assert percentile(taken, 0.99) <= SUBMIT_P99_S * (1 if FULL else 3), rig.entry.figures
    assert peak <= SERVER_LIMIT
    assert entry.is_clean, entry


def watch_signs_of_life() -> list[float]:
    """Gets the moment of each message that comes: any is a sign that the server serves."""
    moments: list[float] = []
    wrap(Silence, "heard", lambda _: moments.append(time.monotonic()))
    return moments


@pytest.mark.parametrize("breaks", [False, True], ids=["", "that breaks"])
def test_a_large_photo_over_a_slow_link_silences_nobody(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    """Signs of life between the chunks, over 100 Mbit/s."""
    rig = make_rig(f"{PHOTO_MIB} MiB at 100 Mbit/s{', broken on the way' if breaks else ''}")
    expected_s = PHOTO_MIB * 2**20 / SLOW_BYTES_PER_S
    monkeypatch.setattr(Silence, "heard", Silence.heard)
    connection = rig.start()
    rig.photo = secrets.token_bytes(64) * (PHOTO_MIB * 2**20 // 64)
    with proxy(connection, SLOW_BYTES_PER_S) as between:
        slow = dataclasses.replace(connection, endpoint=between.endpoint, source=None)
        with Client.connect(slow) as client:
            client.wait_until_welcome()
            asked = rig.submit(client)
            began = time.monotonic()
            heard = watch_signs_of_life()
            while not asked.accepted:
                assert time.monotonic() - began < 120
                rig.hear(client)
                if breaks and not rig.entry.faults and time.monotonic() - began > 0.4 * expected_s:
                    between.cut()
                    rig.entry.faults += 1
                time.sleep(0.002)
            took = time.monotonic() - began
            while_sending = list(heard)
            rig.until(lambda: bool(asked.ends), client)
    gaps = [later - earlier for earlier, later in pairwise([began, *while_sending])]
    assert took > 0.8 * expected_s, "the link was not slow"
    assert rig.entry.faults == breaks
    # One slow link each.
    rig.entry.hostile += 1
    rig.entry.figures = {"longest gap": f"{max(gaps):.2f} s", "took": f"{took:.1f} s"}
    entry = rig.judge()
    assert max(gaps) <= LONGEST_GAP_S * (4 if breaks else 1), rig.entry.figures
    assert entry.is_clean, entry
