"""What is forgotten is gone from every byte in the folder: the database and its log, keys, photos, results, logs."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from uvmap_id.link.errors import Failure
from uvmap_id.link.messages import Done, Failed
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.logs import JsonLinesHandler
from uvmap_id.server.results import Results
from uvmap_id.server.retention import Retention, RetentionOptions
from uvmap_id.server.staging import Staging
from uvmap_id.server.states import StoreOptions
from uvmap_id.server.store import NewJob, Store

OPTIONS = StoreOptions(ballast_bytes=0, floor_bytes=0)
KINDS = ("acknowledged", "cancelled", "cancelled while it ran", "purged", "failed and purged")


@dataclass
class House:
    """All that keeps something of a job, in one folder."""

    folder: Path

    def __post_init__(self) -> None:
        self.store = Store(self.folder / "jobs.db", OPTIONS)
        self.results = Results(self.folder / "results")
        self.staging = Staging(self.folder / "photos")
        self.retention = Retention(self.store, self.results, self.staging, RetentionOptions())
        self.store.recover(self.results.done)
        self.retention.start()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    handler = JsonLinesHandler(tmp_path / "server.log")
    logger = logging.getLogger("uvmap_id")
    logger.addHandler(handler)
    yield tmp_path
    logger.removeHandler(handler)
    handler.close()


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    house = House(folder)
    yield house
    house.store.close()


def marker(number: int) -> str:
    return f"MARKER{number:08d}END"


def photo_of(number: int) -> bytes:
    return f"PHOTO{number:08d}END".encode() * 3000


def submit(house: House, number: int, long: int = 1) -> str:
    photo = photo_of(number)
    sha256 = hashlib.sha256(photo).hexdigest()
    assert house.staging.put(sha256, len(photo), 0, photo, "local") == len(photo)
    assert house.staging.path(sha256, "local").read_bytes() == photo
    job = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
    house.store.add([NewJob(job, TextureRequest(sha256, marker(number) * long), "local")])
    return job


def finish(house: House, job: str, number: int) -> None:
    part = house.results.begin(job)
    (part / "base_color.png").write_bytes(photo_of(number))
    manifest = {"maps": {}, "request": {"prompt": marker(number)}, "details": marker(number) * 300}
    house.results.commit(job)
    house.store.end(job, Done(job, str(part), manifest, house.results.files(job)))


def traces(folder: Path, numbers: set[int], digests: bool = True) -> dict[str, set[int]]:
    """In which files there is something of which job: its prompt, its photo or the photo's hash as a name."""
    found: dict[str, set[int]] = {}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "jobs.db-wal" for path in files)
    for path in files:
        content = path.read_bytes() + str(path).encode()
        hits = {
            number
            for number in numbers
            if marker(number).encode() in content
            or photo_of(number)[:20] in content
            or (digests and hashlib.sha256(photo_of(number)).hexdigest().encode() in content)
        }
        if hits:
            found[path.name] = hits
    return found


def forget(house: House, job: str, number: int, kind: str) -> None:
    if kind == "cancelled":
        house.store.ask_cancel(job)
        house.retention.cancelled()
        return
    house.store.move(job, priority=9)
    assert house.store.claim() == house.store.get(job)
    if kind == "cancelled while it ran":
        house.store.ask_cancel(job)
        house.store.end(job, Failed(job, "internal", f"It broke at {marker(number)}."))
        house.retention.cancelled()
    elif kind == "failed and purged":
        house.store.end(job, Failed(job, "internal", f"It broke at {marker(number)}.", "", marker(number)))
        house.retention.purge("local", [job])
    else:
        finish(house, job, number)
        if kind == "acknowledged":
            house.retention.acknowledge(job)
        else:
            house.retention.purge("local", [job])


@pytest.mark.parametrize("kind", KINDS)
def test_a_forgotten_job_leaves_no_byte(house: House, kind: str) -> None:
    job, other = submit(house, 1), submit(house, 2)
    assert 1 in set().union(*traces(house.folder, {1}).values()), "before, there must be something to find"
    forget(house, job, 1, kind)
    assert traces(house.folder, {1}) == {}
    assert 2 in set().union(*traces(house.folder, {2}).values())
    assert house.store.get(other) is not None


def test_the_prompt_is_nowhere_even_before(house: House) -> None:
    """What is in the database is sealed from the beginning; so are manifests and messages."""
    job = submit(house, 1)
    assert house.store.claim() is not None
    house.store.end(job, Done(job, "/x", {"request": {"prompt": marker(1)}}))
    assert set(traces(house.folder, {1})) == {hashlib.sha256(photo_of(1)).hexdigest()}


def test_thousands_of_jobs_in_any_order_leave_no_byte(house: House) -> None:
    """Rows move from page to page when others go, and leave copies of themselves: so the keys have to go."""
    chance = random.Random(6)  # noqa: S311 - a test that can be repeated
    jobs: dict[int, str] = {}
    forgotten: set[int] = set()
    for number in range(200):
        jobs[number] = submit(house, number, chance.choice((1, 10, 50)))
        if chance.random() < 0.8:
            gone = chance.choice(sorted(jobs))
            forget(house, jobs.pop(gone), gone, chance.choice(KINDS))
            forgotten.add(gone)
    assert len(forgotten) > 100
    assert traces(house.folder, forgotten) == {}
    for number, job in jobs.items():
        stored = house.store.get(job)
        assert stored is not None
        assert stored.request is not None
        assert marker(number) in stored.request.prompt


def test_without_seals_the_search_finds_something(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with texts as they are, secure_delete or not, the same search finds them."""
    monkeypatch.setattr("uvmap_id.server.seals._mask", lambda _key, _nonce, text: text)
    job = submit(house, 1)
    assert "jobs.db-wal" in traces(house.folder, {1})
    house.store.ask_cancel(job)
    assert "jobs.db-wal" in traces(house.folder, {1})


def test_a_key_is_gone_although_the_server_died_before_it_went(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the transaction and the keys there is a moment; what died in it is finished by the next server."""
    job = submit(house, 1)
    with closing(sqlite3.connect(house.folder / "jobs.db")) as database:
        slot, sealed = database.execute("SELECT slot, request FROM job").fetchone()
    assert marker(1).encode() in house.store._ledger.keys.open(slot, sealed)
    key = (house.folder / "jobs.db.keys").read_bytes()[slot * 32 : slot * 32 + 32]
    with monkeypatch.context() as patch:
        patch.setattr(house.store._ledger.keys, "forget", lambda _slots: None)
        house.store.ask_cancel(job)
    assert key in (house.folder / "jobs.db.keys").read_bytes()
    house.store.close()
    house.__post_init__()
    assert key not in (house.folder / "jobs.db.keys").read_bytes()
    assert traces(house.folder, {1}) == {}


def test_purging_everything_forgets_what_was_set_aside(folder: Path) -> None:
    house = House(folder)
    job = submit(house, 1)
    assert house.store.claim() is not None
    finish(house, job, 1)
    house.store.close()
    (folder / "jobs.db").write_bytes(b"rubbish" * 1000)
    house = House(folder)
    assert house.store.set_aside is not None
    assert house.results.files(job), "what was not delivered is kept for a while"
    house.retention.purge("local")
    assert house.store.get(job) is None
    submit(house, 2)
    assert traces(folder, {1}) == {}
    assert not list(folder.glob("*set-aside*"))
    house.store.close()


LOGGED: list[Callable[[logging.Logger], None]] = [
    lambda log: log.warning("the prompt %s failed", marker(1)),
    lambda log: log.warning("the photo %s failed", f"/home/me/{marker(1)}.jpg"),
    lambda log: log.warning("the photo %s failed", Path(f"/home/me/{marker(1)}.jpg")),
    lambda log: log.warning("the request %r failed", TextureRequest("a" * 64, marker(1))),
    lambda log: log.warning("it failed: %s", FileNotFoundError(2, "No such file", f"{marker(1)}.jpg")),
    lambda log: log.warning("it failed: %s", Failure("internal", marker(1))),
    lambda log: log.warning("%(prompt)s", {"prompt": marker(1)}),
    lambda log: log.warning("it has %d and too few", marker(1)),
    lambda log: log.warning("it failed", exc_info=ValueError(marker(1))),
]


@pytest.mark.parametrize("write", LOGGED)
def test_a_log_says_nothing_of_a_person(folder: Path, write: Callable[[logging.Logger], None]) -> None:
    # One of its own: the test runner's handlers would raise for the wrong kinds of value.
    logger = logging.Logger("uvmap_id.server.test")
    handler = JsonLinesHandler(folder / "own.log")
    logger.addHandler(handler)
    write(logger)
    handler.close()
    text = (folder / "own.log").read_text()
    assert json.loads(text)["level"] == "warning"
    assert marker(1) not in text


def test_a_traceback_is_logged_without_its_words(folder: Path) -> None:
    try:
        Path(f"/{marker(1)}").stat()
    except OSError:
        logging.getLogger("uvmap_id.server").exception("job %s failed with %s", "a" * 32, "face_not_found")
    line = json.loads((folder / "server.log").read_text())
    assert line["exception"] == "FileNotFoundError"
    assert line["at"][0].endswith(" test_a_traceback_is_logged_without_its_words")
    assert line["event"] == f"job {'a' * 32} failed with face_not_found"
    assert marker(1) not in str(line)
