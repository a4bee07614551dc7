"""A disk that is really full: a small one of its own, filled up to the last block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from small_disk import fill, small_disk_at

from uvmap_id.link.errors import UVMapError
from uvmap_id.link.messages import Done, Failed, ResultFile
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.results import Results
from uvmap_id.server.space import DiskSpace
from uvmap_id.server.staging import Staging
from uvmap_id.server.states import Counts, JobState
from uvmap_id.server.store import NewJob, Store, StoreOptions

MIB = 2**20
BALLAST = MIB
OPTIONS = StoreOptions(ballast_bytes=BALLAST, floor_bytes=0)
REQUEST = TextureRequest("a" * 64, "blue jeans")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk_at(tmp_path / "disk", "size=8m,mode=700") as folder:
        yield folder


def add_without_end(store: Store) -> None:
    for number in range(100, 10_000):
        store.add([NewJob(name(number), REQUEST, "local")])


def name(number: int) -> str:
    return f"{number:032x}"


def code_of(error: pytest.ExceptionInfo[UVMapError]) -> str:
    return error.value.failure.code


def test_jobs_that_ran_still_end_on_a_full_disk(small_disk: Path) -> None:
    with closing(Store(small_disk / "jobs.db", OPTIONS)) as store:
        store.add([NewJob(name(number), REQUEST, "local") for number in range(8)])
        for _ in range(5):
            store.claim()
        filler = fill(small_disk)
        with pytest.raises(UVMapError) as caught:
            add_without_end(store)
        assert code_of(caught) == "disk_full"
        assert (small_disk / "jobs.db.ballast").exists(), "a new job is not worth the ballast"
        accepted = store.counts().open
        manifest = {"details": "x" * 20_000}
        for number in range(2):
            event = Done(name(number), "/x", manifest, (ResultFile("a", 1, "0" * 64),))
            assert store.end(name(number), event).event == event
        assert store.end(name(2), Done(name(2), "/x", manifest)).state is JobState.DONE
        assert store.end(name(3), Failed(name(3), "internal", "x" * 20_000)).state is JobState.FAILED
        store.ask_cancel(name(4))
        assert store.requeue(name(4), None).state is JobState.CANCELLED
        assert store.ask_cancel(name(5)).state is JobState.CANCELLED
        assert store.acknowledge(name(0)).acknowledged
        assert not (small_disk / "jobs.db.ballast").exists(), "the disk was not full"
        assert store.paused == "disk_full"
        assert store.claim() is None
        filler.unlink()
    with closing(Store(small_disk / "jobs.db", OPTIONS)) as store:
        assert store.recover() == []
        assert store.counts() == Counts(queued=accepted - 6, done=3, failed=1, cancelled=2)
        assert (store.paused, (small_disk / "jobs.db.ballast").stat().st_size) == ("", BALLAST)
        assert store.claim() is not None


def test_the_queue_goes_on_by_itself_when_there_is_room(small_disk: Path) -> None:
    now = [0.0]
    space = DiskSpace(small_disk / "ballast", BALLAST, 2 * MIB, clock=lambda: now[0])
    assert not space.full
    filler = fill(small_disk)
    assert space.look()
    assert space.throw_ballast()
    assert not space.throw_ballast()
    assert space.look(), "the ballast alone is not enough room to go on"
    filler.unlink()
    assert not space.look()
    assert (small_disk / "ballast").stat().st_blocks * 512 >= BALLAST, "the ballast has to take up room"
    space.found_full()
    assert space.look(), "a quota is full although the disk has room: wait a while"
    now[0] += 60
    assert not space.look()


def test_below_the_floor_nothing_is_accepted_or_begun(small_disk: Path) -> None:
    with closing(Store(small_disk / "jobs.db", StoreOptions(ballast_bytes=0, floor_bytes=4 * MIB))) as store:
        store.add([NewJob(name(1), REQUEST, "local")])
        filler = small_disk / "filler"
        filler.write_bytes(bytes(5 * MIB))
        assert store.watch_space()
        with pytest.raises(UVMapError) as caught:
            store.add([NewJob(name(2), REQUEST, "local")])
        assert code_of(caught) == "disk_full"
        assert store.add([NewJob(name(1), REQUEST, "local")])[0].id == name(1), "this one is here already"
        assert store.paused == "disk_full"
        assert store.claim() is None
        filler.unlink()
        assert not store.watch_space()
        assert store.claim() is not None


def test_a_full_disk_at_the_start_is_said(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(UVMapError) as caught:
        Store(small_disk / "jobs.db", OPTIONS)
    assert code_of(caught) in ("output_not_writable", "disk_full")


def test_a_result_that_does_not_fit_leaves_nothing(small_disk: Path) -> None:
    results = Results(small_disk / "results")
    part = results.begin(name(1))
    (part / "base_color.png").write_bytes(bytes(MIB))
    filler = fill(small_disk)
    with pytest.raises(UVMapError) as caught:
        results.commit(name(1))
    assert code_of(caught) == "disk_full"
    assert results.done(name(1)) is None
    results.discard(name(1))
    assert list((small_disk / "results").iterdir()) == []
    filler.unlink()


def test_a_photo_that_does_not_fit_leaves_nothing(small_disk: Path) -> None:
    staging = Staging(small_disk / "photos")
    assert staging.put("a" * 64, 2 * MIB, 0, bytes(MIB), "local") == MIB
    fill(small_disk)
    with pytest.raises(UVMapError) as caught:
        staging.put("a" * 64, 2 * MIB, MIB, bytes(MIB), "local")
    assert code_of(caught) == "disk_full"
    assert staging.received("a" * 64, "local") == 0
    assert [path for path in (small_disk / "photos").rglob("*") if path.is_file()] == []
