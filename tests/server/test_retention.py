"""How long results stay, and that nothing goes which was not delivered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from uvmap_id.link.errors import UVMapError
from uvmap_id.link.messages import Done
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.results import Results
from uvmap_id.server.retention import Retention, RetentionOptions
from uvmap_id.server.staging import Staging
from uvmap_id.server.states import StoreOptions
from uvmap_id.server.store import NewJob, Store

OPTIONS = StoreOptions(ballast_bytes=0, floor_bytes=0)
Make = Callable[..., "House"]

DAY = 86400.0
NOW = 1_000 * DAY


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


class House:
    """The parts that keep something, with a clock that can be set."""

    def __init__(self, folder: Path, clock: Clock, options: RetentionOptions) -> None:
        self.clock = clock
        self.store = Store(folder / "jobs.db", OPTIONS, clock)
        self.results = Results(folder / "results")
        self.staging = Staging(folder / "photos")
        self.retention = Retention(self.store, self.results, self.staging, options, clock)

    def finish(self, number: int, size: int = 1000, owner: str = "local") -> str:
        job = f"{number:032x}"
        self.store.add([NewJob(job, TextureRequest("a" * 64, "a coat"), owner)])
        assert self.store.claim() is not None
        (self.results.begin(job) / "base_color.png").write_bytes(bytes(size))
        self.results.commit(job)
        self.store.end(job, Done(job, "/x", {}, self.results.files(job)))
        return job

    def kept(self) -> set[int]:
        return {int(job, 16) for job in self.results.jobs()}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Make]:
    houses: list[House] = []

    def build(**options: float) -> House:
        for house in houses:
            house.store.close()
        houses[:] = [House(tmp_path, clock, RetentionOptions(**options))]
        return houses[0]

    yield build
    for house in houses:
        house.store.close()


def test_an_acknowledged_result_goes_at_once(make: Make) -> None:
    house = make()
    job, other = house.finish(1), house.finish(2)
    assert house.retention.acknowledge(job).acknowledged
    assert house.kept() == {2}
    house.retention.acknowledge(job)
    house.clock.now += 1000 * DAY
    house.retention.sweep()
    assert house.kept() == {2}, "nobody has had it"
    assert house.results.files(other)


def test_days(make: Make) -> None:
    house = make(keep_days=2.0)
    house.retention.acknowledge(house.finish(1))
    house.clock.now += DAY
    house.retention.acknowledge(house.finish(2))
    house.clock.now += DAY
    house.retention.sweep()
    assert house.kept() == {2}
    house.clock.now -= 500 * DAY
    house.retention.sweep()
    assert house.kept() == set(), "a clock that was set back keeps nothing for ever"


def test_gigabytes(make: Make) -> None:
    house = make(keep_days=100.0, keep_gb=3500 / 1e9)
    for number in (1, 2, 3, 4):
        job = house.finish(number)
        house.clock.now += 1
        if number != 1:
            house.retention.acknowledge(job)
    assert house.kept() == {1, 3, 4}, "the oldest acknowledged one goes, the undelivered one never"
    for number in (5, 6, 7):
        house.finish(number)
    house.retention.sweep()
    assert house.kept() == {1, 5, 6, 7}


def test_acknowledged_jobs_are_listed_for_a_while(make: Make) -> None:
    house = make(job_days=30.0)
    job = house.finish(1)
    house.retention.acknowledge(job)
    undelivered = house.finish(2)
    house.clock.now += 29 * DAY
    house.retention.sweep()
    assert house.store.get(job) is not None
    house.clock.now += 2 * DAY
    house.retention.sweep()
    assert house.store.get(job) is None
    assert house.store.get(undelivered) is not None


def test_a_job_is_not_forgotten_before_its_result(make: Make) -> None:
    house = make(job_days=1.0, keep_days=10.0)
    job = house.finish(1)
    house.retention.acknowledge(job)
    house.clock.now += 5 * DAY
    house.retention.sweep()
    assert house.store.get(job) is not None
    house.clock.now += 6 * DAY
    house.retention.sweep()
    assert (house.store.get(job), house.kept()) == (None, set())


def test_purging_takes_the_results_along(make: Make) -> None:
    house = make()
    house.finish(1)
    house.finish(2)
    house.finish(3, owner="stranger")
    assert len(house.retention.purge("local", [f"{1:032x}", f"{3:032x}"])) == 1
    assert house.kept() == {2, 3}
    assert len(house.retention.purge("local")) == 1
    assert house.kept() == {3}
    house.retention.purge(None)
    assert house.kept() == set()


def test_a_new_server_finishes_what_the_old_one_began(make: Make, tmp_path: Path) -> None:
    """Rows change before files do, so a server that died in between leaves files that nobody needs."""
    house = make()
    acknowledged, undelivered, requeued = (house.finish(number) for number in (1, 2, 3))
    house.store.acknowledge(acknowledged)
    ledger = house.store._ledger
    ledger.write(lambda: ledger.update(ledger.row(requeued), state="queued"))
    (tmp_path / "results" / f"{9:032x}.part").mkdir()
    (tmp_path / "results" / f"{8:032x}.gone").mkdir()
    house = make()
    house.retention.start()
    assert house.kept() == {int(undelivered, 16)}
    assert len(list((tmp_path / "results").iterdir())) == 1


def test_results_of_unknown_jobs_stay_for_some_days(make: Make, tmp_path: Path) -> None:
    house = make()
    job = house.finish(1)
    house.store.close()
    (tmp_path / "jobs.db").write_bytes(b"rubbish")
    house.clock.now = (tmp_path / "results" / job).stat().st_mtime + 6 * DAY
    house = make()
    house.retention.start()
    assert house.kept() == {1}
    house.clock.now += 2 * DAY
    house = make()
    house.retention.start()
    assert house.kept() == set()


def test_a_job_whose_result_was_complete_is_done(make: Make) -> None:
    """The server died between the result's rename and the row: the job is not done twice."""
    house = make()
    job = f"{1:032x}"
    house.store.add([NewJob(job, TextureRequest("a" * 64, "a coat"), "local")])
    house.store.claim()
    part = house.results.begin(job)
    (part / "base_color.png").write_bytes(b"png")
    (part / "manifest.json").write_text('{"maps": {"base_color": {}, "normal": {}, "roughness": {}}}')
    with pytest.raises(UVMapError):
        house.results.commit(job)
    maps = ", ".join(
        f'"{name}": {{"file": "base_color.png", "sha256": "{"a" * 64}"}}'
        for name in ("base_color", "normal", "roughness")
    )
    (part / "manifest.json").write_text(f'{{"maps": {{{maps}}}}}')
    house.results.commit(job)
    house = make()
    (recovered,) = house.store.recover(house.results.done)
    assert isinstance(recovered.event, Done)
    assert recovered.event.files == house.results.files(job)
    house.retention.start()
    assert house.kept() == {1}


def test_a_disk_without_room_is_said(tmp_path: Path, clock: Clock) -> None:
    store = Store(tmp_path / "jobs.db", StoreOptions(ballast_bytes=0, floor_bytes=2**60))
    retention = Retention(store, Results(tmp_path / "r"), Staging(tmp_path / "p"), RetentionOptions(), clock)
    with pytest.raises(UVMapError) as caught:
        retention.check_room()
    assert caught.value.failure.code == "disk_full"
    store.close()


def test_what_is_removed_is_logged_by_its_id_only(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    house = make()
    job = house.finish(1)
    house.store.purge("local")
    with caplog.at_level(logging.INFO):
        house.retention.purge(None)
    assert [record.args for record in caplog.records] == [(job,)]
