"""Databases and keys that were cut off, overwritten, lost or another version's; and places that can't hold any."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from uvmap_id.link.errors import UVMapError
from uvmap_id.link.messages import Done, Failed
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.schema import MIGRATIONS, open_database
from uvmap_id.server.states import Counts, JobState
from uvmap_id.server.store import NewJob, Store, StoreOptions

OPTIONS = StoreOptions(ballast_bytes=0, floor_bytes=0)
REQUEST = TextureRequest("a" * 64, "blue jeans")


def fill(path: Path, jobs: int = 60) -> None:
    with closing(Store(path, OPTIONS)) as store:
        store.add([NewJob(f"{number:032x}", REQUEST, "local") for number in range(jobs)])
        store.claim()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def truncate_a_little(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5000)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def delete(path: Path) -> None:
    path.unlink()


def rubbish(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def rubbish_inside(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def other_text(path: Path) -> None:
    path.write_text("This is no database.\n" * 100)


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


def negative(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = -1")


def somebody_elses(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE recipes (name)")


def other_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE job DROP COLUMN code")


DAMAGES = [
    truncate,
    truncate_a_little,
    empty,
    delete,
    rubbish,
    rubbish_inside,
    other_text,
    newer,
    negative,
    somebody_elses,
    other_tables,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_database_that_cannot_be_used_is_set_aside_and_said(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "jobs.db"
    fill(path)
    with closing(Store(path, OPTIONS)) as store:
        seq = store.seq
    damage(path)
    damaged = path.read_bytes() if path.exists() else b""
    with closing(Store(path, OPTIONS)) as store:
        assert store.set_aside is not None
        assert store.set_aside_reason.startswith("The list of jobs")
        assert store.counts() == Counts()
        store.add([NewJob("f" * 32, REQUEST, "local")])
        assert store.seq > seq, "a client must not take the new numbers for old ones"
        aside = store.set_aside
        # Opening may have emptied the log and noted so in the file's header, but nothing is thrown away.
        assert (aside.stat().st_size if aside.exists() else 0) == len(damaged)
        assert aside.with_name(aside.name + ".keys").stat().st_size > 0
    with closing(Store(path, OPTIONS)) as store:
        assert store.set_aside is None
        assert store.counts() == Counts(queued=1)
        assert store.forget_set_aside() >= 1
    assert {file.name.removeprefix("jobs.db") for file in tmp_path.iterdir()} == {"", ".keys"}


def test_each_one_set_aside_keeps_its_name(tmp_path: Path) -> None:
    path, names = tmp_path / "jobs.db", set()
    for _ in range(3):
        fill(path)
        rubbish(path)
        with closing(Store(path, OPTIONS)) as store:
            names.add(store.set_aside)
    assert len(names) == 3


def test_one_that_was_set_aside_can_be_taken_back(tmp_path: Path) -> None:
    """As by somebody who goes back to the newer version that it is of."""
    path = tmp_path / "jobs.db"
    fill(path)
    newer(path)
    with closing(Store(path, OPTIONS)) as store:
        aside = store.set_aside
    assert aside is not None
    for ending in ("", ".keys"):
        aside.with_name(aside.name + ending).replace(path.with_name(path.name + ending))
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    with closing(Store(path, OPTIONS)) as store:
        assert store.set_aside is None
        assert [job.request for job in store.list("local")[0]] == [REQUEST] * 60


def test_an_older_database_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    fill(path)
    later = (*MIGRATIONS, "ALTER TABLE job ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'", "CREATE TABLE shelf (n)")
    for _ in range(2):
        database, aside = open_database(path, later)
        with closing(database):
            assert aside is None
            assert database.execute("PRAGMA user_version").fetchone()[0] == len(later)
            assert database.execute("SELECT count(*), min(colour) FROM job").fetchone()[:] == (60, "blue")


def test_a_migration_that_fails_leaves_the_old_database(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    fill(path)
    broken = (*MIGRATIONS, "CREATE TABLE shelf (n); ALTER TABLE nothing ADD COLUMN n")
    database, aside = open_database(path, broken[:-1])
    database.close()
    assert aside is None
    with pytest.raises(UVMapError) as caught:
        open_database(path, broken)
    assert caught.value.failure.code == "output_not_writable"
    (aside_path,) = [file for file in tmp_path.iterdir() if "set-aside" in file.name and file.suffix != ".keys"]
    with closing(sqlite3.connect(aside_path)) as database:
        assert database.execute("SELECT count(*) FROM job").fetchone() == (60,)
        assert database.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'shelf'").fetchone() == (0,)


@pytest.mark.parametrize("damage", [truncate, empty, delete, rubbish])
def test_jobs_whose_keys_are_lost_fail_and_say_so(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "jobs.db"
    fill(path, 200)
    with closing(Store(path, OPTIONS)) as store:
        store.end(f"{0:032x}", Done(f"{0:032x}", "/x"))
    damage(path.with_name("jobs.db.keys"))
    with closing(Store(path, OPTIONS)) as store:
        assert store.recover() == []
        store.add([NewJob("f" * 32, REQUEST, "local")])
        done = 0
        while (job := store.claim()) is not None:
            assert job.request == REQUEST
            store.end(job.id, Done(job.id, "/x"))
            done += 1
        failed = [job for job in store.list("local", limit=1000)[0] if job.state is JobState.FAILED]
        assert len(failed) + done == 200
        assert len(failed) >= 72, "at least those whose keys were in the second half"
        for job in failed:
            assert isinstance(job.event, Failed)
            assert "damaged" in job.event.message
            assert job.event.hint
        assert store.get("f" * 32, "local") is not None
        for job in failed:
            store.acknowledge(job.id)
        store.purge(None)


def test_a_request_of_another_version_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    fill(path, 1)
    with closing(Store(path, OPTIONS)) as store:
        ledger = store._ledger
        row = ledger.row(f"{0:032x}")
        sealed = ledger.keys.seal(row["slot"], b'{"diffusion": {}, "more_faces": [], "extra_maps": [], "hat": 1}')
        ledger.write(lambda: ledger.update(row, request=sealed))
        store.recover()
        assert store.claim() is None
        job = store.get(f"{0:032x}")
        assert job is not None
        assert job.state is JobState.FAILED


def test_a_store_that_another_process_holds_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvmap_id.server.schema._BUSY_S", 0.05)
    path = tmp_path / "jobs.db"
    fill(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, closing(Store(path, OPTIONS)) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UVMapError) as caught:
            store.claim()
        assert caught.value.failure.code == "output_not_writable"
        other.execute("ROLLBACK")
        assert store.claim() is not None


@pytest.mark.parametrize("what", ["folder missing", "folder is a file", "database is a folder", "database is a link"])
def test_a_place_that_cannot_hold_a_database_is_said(tmp_path: Path, what: str) -> None:
    path = tmp_path / "state" / "jobs.db"
    if what == "folder is a file":
        path.parent.touch()
    elif what == "database is a folder":
        path.mkdir(parents=True)
    elif what == "database is a link":
        path.parent.mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UVMapError) as caught:
        Store(path, OPTIONS)
    assert caught.value.failure.code == "output_not_writable"
    assert str(path) in caught.value.failure.message
    assert caught.value.failure.hint
    assert not (tmp_path / "elsewhere").exists()
