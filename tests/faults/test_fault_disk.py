"""Disks that are full or read-only, databases and results that somebody damaged, and a clock that was set back."""

from __future__ import annotations

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rig import FULL, Asked, Rig
from small_disk import fill, mount_small_disk

from uvmap_id.link.client import Client
from uvmap_id.link.downloads import Fetched, NotFetched
from uvmap_id.link.messages import Done, Pong, Refused

MakeRig = Callable[..., Rig]
MakeDisk = Callable[[Path, str], None]

TIMES = 10 if FULL else 1


@pytest.fixture
def make_disk() -> Iterator[MakeDisk]:
    """Mounts a small disk of its own at a folder; what is there before is hidden by it."""
    mounted: list[Path] = []

    def make(folder: Path, options: str) -> None:
        mount_small_disk(folder, options)
        mounted.append(folder)

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def paused(rig: Rig, client: Client) -> str:
    told: list[object] = []
    client.ping()
    rig.until(lambda: told.extend(rig.hear(client)) or any(isinstance(event, Pong) for event in told))
    return next(event.paused for event in told if isinstance(event, Pong))


def test_a_full_disk_for_the_list_of_jobs_loses_none(make_rig: MakeRig, make_disk: MakeDisk) -> None:
    rig = make_rig("full disk, list of jobs", "--try-again-s", "2", "--floor", "0", "--ballast", str(2**20))
    make_disk(rig.state, "size=40m,mode=700")
    rig.start()
    with rig.connect() as client:
        for _ in range(TIMES):
            running, queued = rig.submit(client, "wait 0.5"), rig.submit(client)
            rig.until(lambda running=running: ["begin", running.job] in rig.plan.diary(), client)
            rig.until(lambda queued=queued: queued.accepted, client)
            filler = fill(rig.state)
            rig.entry.faults += 1
            rig.until(lambda: paused(rig, client) == "disk_full", client)
            refused = rig.submit(client, should=Refused)
            rig.until(lambda refused=refused: bool(refused.refusals), client)
            assert refused.refusals[0].code == "disk_full"
            filler.unlink()
            client.resume()
            rig.until(lambda running=running, queued=queued: bool(running.ends and queued.ends), client, timeout_s=90)
            assert paused(rig, client) == ""
    entry = rig.judge()
    assert entry.faults == TIMES
    assert entry.is_clean, entry


def test_a_full_disk_for_results_keeps_the_jobs_waiting(make_rig: MakeRig, make_disk: MakeDisk) -> None:
    rig = make_rig("full disk, results", "--try-again-s", "2")
    make_disk(rig.state / "results", "size=4m,mode=700")
    rig.state.chmod(0o700)
    rig.start()
    with rig.connect() as client:
        for _ in range(TIMES):
            filler = fill(rig.state / "results")
            rig.entry.faults += 1
            asked = rig.submit(client)
            rig.until(lambda: paused(rig, client) == "disk_full", client)
            assert not asked.ends
            filler.unlink()
            client.resume()
            rig.until(lambda asked=asked: bool(asked.ends), client, timeout_s=90)
            rig.acknowledge(client, asked)
    entry = rig.judge()
    assert entry.faults == TIMES
    assert entry.is_clean, entry


def test_a_read_only_state_folder_is_said_and_nothing_is_lost(make_rig: MakeRig, make_disk: MakeDisk) -> None:
    rig = make_rig("read-only state folder", "--floor", "0", "--ballast", str(2**20))
    make_disk(rig.state, "size=40m,mode=700")
    rig.start()
    with rig.connect() as client:
        first = rig.submit(client, "wait 0.3")
        rig.until(lambda: ["begin", first.job] in rig.plan.diary(), client)
        rig.kill_server()
        remount(rig.state, "ro")
        rig.entry.faults += 1
        process = rig.spawn()
        assert process.wait(20) == 1
        said = rig.errors.read_text()
        assert "Traceback" not in said
        assert str(rig.state) in said
        remount(rig.state, "rw")
        rig.start()
        rig.until(lambda: bool(first.ends), client)
    entry = rig.judge()
    assert entry.is_clean, entry


def test_a_state_folder_that_becomes_read_only_is_survived(make_rig: MakeRig, make_disk: MakeDisk) -> None:
    rig = make_rig("state folder becomes read-only", "--floor", "0", "--ballast", str(2**20))
    disk = rig.state.parent
    make_disk(rig.state / "photos", "size=4m,mode=700")
    rig.state.chmod(0o700)
    assert disk.is_dir()
    rig.start()
    with rig.connect() as client:
        warm = rig.submit(client)
        rig.until(lambda: bool(warm.ends), client)
        rig.acknowledge(client, warm)
        remount(rig.state / "photos", "ro")
        rig.entry.faults += 1
        refused = rig.submit(client, should=Refused)
        rig.until(lambda: bool(refused.refusals), client)
        assert refused.refusals[0].code == "output_not_writable"
        remount(rig.state / "photos", "rw")
        again = rig.submit(client)
        rig.until(lambda: bool(again.ends), client)
    entry = rig.judge()
    assert entry.is_clean, entry


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def carry_over(database: Path) -> None:
    """Bring what is still in the log into the database, so that there is something to damage."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    assert database.stat().st_size > 3 * 4096


def truncate(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def replace(database: Path) -> None:
    database.write_bytes(secrets.token_bytes(database.stat().st_size))


def overwrite_pages(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(secrets.token_bytes(2 * 4096))


@pytest.mark.parametrize("damage", [truncate, replace, overwrite_pages])
def test_a_damaged_list_of_jobs_is_set_aside_and_the_server_serves(
    make_rig: MakeRig, damage: Callable[[Path], None]
) -> None:
    """Its jobs can't be saved by anybody; they must not be deleted, and their clients must hear of it."""
    name = damage.__name__.replace("_", " ")
    rig = make_rig(f"database: {name}")
    rig.start()
    with rig.connect() as client:
        client.wait_until_welcome()
        for _ in range(TIMES):
            asked = rig.submit(client, "wait 30", should=Refused)
            rig.until(lambda asked=asked: asked.accepted, client)
            rig.kill_server()
            carry_over(rig.state / "jobs.db")
            damage(rig.state / "jobs.db")
            before = set(rig.state.iterdir())
            rig.start()
            rig.entry.faults += 1
            aside = set(rig.state.iterdir()) - before
            assert any(path.name.startswith("jobs.db.") for path in aside), aside
            rig.until(lambda asked=asked: bool(asked.refusals), client)
            assert asked.refusals[0].code == "job_unknown"
            # What the disk destroyed is not what the program lost.
            del rig.jobs[asked.job]
            good = rig.submit(client)
            rig.until(lambda good=good: bool(good.ends), client)
    entry = rig.judge()
    assert entry.faults == TIMES
    assert entry.is_clean, entry


def alter(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize("damage", [alter, cut, Path.unlink], ids=["altered", "half-written", "deleted"])
def test_a_damaged_result_is_never_delivered(
    make_rig: MakeRig, tmp_path: Path, damage: Callable[[Path], None], request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    rig = make_rig(f"result {name}")
    rig.start()
    with rig.connect() as client:
        for number in range(TIMES):
            asked = rig.submit(client)
            rig.until(lambda asked=asked: bool(asked.ends), client)
            assert isinstance(asked.ends[0], Done)
            damage(Path(asked.ends[0].folder, "base_color.png"))
            rig.entry.faults += 1
            into = tmp_path / f"into{number}"
            code = fetched(rig, client, asked, into)
            assert code == "result_damaged"
            assert not into.exists()
            again = client.retry(asked.job)
            rig.jobs[again] = Asked(again, asked.seed)
            rig.until(lambda again=again: bool(rig.jobs[again].ends), client)
            assert fetched(rig, client, rig.jobs[again], into) == ""
    entry = rig.judge()
    assert entry.faults == TIMES
    assert entry.is_clean, entry


def fetched(rig: Rig, client: Client, asked: Asked, into: Path) -> str:
    """The code of what went wrong; empty where the files came."""
    outcomes: list[Fetched | NotFetched] = []
    client.fetch(asked.job, into)

    def is_over() -> bool:
        outcomes.extend(event for event in rig.hear(client) if isinstance(event, Fetched | NotFetched))
        return bool(outcomes)

    rig.until(is_over)
    return "" if isinstance(outcomes[0], Fetched) else outcomes[0].failure.code


@pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")
def test_a_clock_that_is_set_changes_no_promise(make_rig: MakeRig) -> None:
    rig = make_rig("wall clock set back and forth", "--step-s", "2", "--keep-days", "1")
    rig.start()
    with rig.connect() as client:
        for offset in (-3600.0, 86400.0 * 400, -86400.0 * 4000, 0.0) * (TIMES if FULL else 1):
            running, queued = rig.submit(client, "wait 0.3"), rig.submit(client)
            rig.until(lambda running=running: ["begin", running.job] in rig.plan.diary(), client)
            (rig.plan.folder / "clock").write_text(str(offset))
            rig.entry.faults += 1
            rig.until(lambda running=running, queued=queued: bool(running.ends and queued.ends), client)
            rig.kill_server(signal.SIGKILL)
            rig.keep_up()
            assert abs(seen_clock(rig, client) - time.time() - offset) < 30, "the clock was not set"
    entry = rig.judge()
    assert entry.is_clean, entry


def seen_clock(rig: Rig, client: Client) -> float:
    """What the server's clock shows, told by a job's time of creation."""
    from uvmap_id.link.messages import Listing

    asked = rig.submit(client)
    rig.until(lambda: bool(asked.ends), client)
    listings: list[Listing] = []
    since = 0

    def has_come() -> bool:
        listings.extend(event for event in rig.hear(client) if isinstance(event, Listing))
        return bool(listings)

    while True:
        client.list(since)
        rig.until(has_come)
        listing = listings.pop()
        for item in listing.jobs:
            if item.job == asked.job:
                return item.created
        since = listing.seq
