"""Worker processes that die for real, and whoever replaces them. The engine is scripted, all else is real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from scripted_maker import scripted

from uvmap_id.datasets.crew import Crew, CrewOptions
from uvmap_id.datasets.folder import read_dataset
from uvmap_id.datasets.making import Maker
from uvmap_id.datasets.people import Person
from uvmap_id.datasets.plan import plan
from uvmap_id.datasets.producing import FAILURES, Order, Tally, produce
from uvmap_id.datasets.workshop import Workshop
from uvmap_id.link.errors import ErrorCode, UVMapError

People = Callable[..., tuple[Person, ...]]
Orders = Callable[..., Order]
Crews = Callable[..., Callable[[Workshop], Crew]]


def files_of(folder: Path) -> dict[str, bytes]:
    found = [*(folder / "textures").iterdir(), folder / "metadata.jsonl"]
    return {path.name: path.read_bytes() for path in found}


def failures_of(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / FAILURES).read_text().splitlines()]


def left_in_work(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix == ".part"] + list((folder / ".uvmap-id/work").iterdir())


def test_killed_workers_lose_nothing_and_make_nothing_twice(
    scripted_people: People,
    order: Orders,
    scripted_crew: Crews,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = scripted_people(*[f"slow 0.1 {number}" for number in range(24)])
    produce(order(people, "calm"), scripted_crew(1))
    log = tmp_path / "made.log"
    monkeypatch.setenv("SCRIPTED_LOG", str(log))
    crews: list[Crew] = []

    def start(workshop: Workshop) -> Crew:
        crews.append(scripted_crew(2)(workshop))
        return crews[0]

    killed = 0
    stop = threading.Event()

    def kill() -> None:
        """One worker and then the other, whenever some more was painted."""
        nonlocal killed
        while not stop.wait(0.02) and killed < 5:
            painted = len(log.read_text().splitlines()) if log.exists() else 0
            if painted >= 6 * (killed + 1):
                os.kill(crews[0].pids[killed % 2], signal.SIGKILL)
                killed += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        tally = produce(order(people, "stormy"), start)
    finally:
        stop.set()
        killer.join()
    assert killed == 5
    assert (tally.made, tally.failed, tally.census.rows) == (24, 0, 24)
    assert files_of(tmp_path / "stormy") == files_of(tmp_path / "calm")
    assert not left_in_work(tmp_path / "stormy")
    # Only what was at work when its worker died may have been painted again.
    painted = log.read_text().splitlines()
    assert len(painted) - len(set(painted)) <= killed


def test_an_item_that_killed_once_is_made_again(
    scripted_people: People, order: Orders, scripted_crew: Crews, tmp_path: Path
) -> None:
    people = scripted_people("fine", f"die-once {tmp_path}/one", f"lose-once {tmp_path}/two", "fine")
    tally = produce(order(people), scripted_crew(2))
    assert (tally.made, tally.failed) == (4, 0)
    assert not (tmp_path / "out" / FAILURES).exists()
    assert not list((tmp_path / "out/.uvmap-id/attempts").iterdir())


def test_a_poisonous_item_is_given_up_after_three_deaths(
    scripted_people: People, order: Orders, scripted_crew: Crews, tmp_path: Path
) -> None:
    people = scripted_people("fine", "die", "fine", "refuse", "fine", "break", "fine")
    tally = produce(order(people), scripted_crew(2))
    assert (tally.made, tally.failed, tally.census.rows) == (4, 3, 4)
    failures = {row["identity"]: row for row in failures_of(tmp_path / "out")}
    assert {name: row["code"] for name, row in failures.items()} == {
        "person 1": "worker_died",
        "person 3": "face_not_found",
        "person 5": "internal",
    }
    assert "3 processes" in failures["person 1"]["message"]
    assert failures["person 3"]["photo"].endswith("0003.jpg")
    assert "ZeroDivisionError" in failures["person 5"]["message"]
    # The next run gives it another chance, and leaves alone what is there.
    again = produce(order(people), scripted_crew(1))
    assert (again.made, again.found, again.failed) == (0, 4, 3)
    assert len(failures_of(tmp_path / "out")) == 3


def test_workers_that_can_not_start_end_the_run(scripted_people: People, order: Orders, tmp_path: Path) -> None:
    broken = (sys.executable, "-c", "raise SystemExit('no engine here')")
    with pytest.raises(UVMapError) as caught:
        produce(
            order(scripted_people("fine")), lambda shop: Crew(shop.folder, shop.logs, CrewOptions(2, command=broken))
        )
    assert caught.value.failure.code == ErrorCode.WORKER_CRASH_LOOP
    assert "no engine here" in caught.value.failure.message


def test_items_that_all_kill_end_the_run(scripted_people: People, order: Orders, scripted_crew: Crews) -> None:
    people = scripted_people(*[f"die {number}" for number in range(20)])
    with pytest.raises(UVMapError) as caught:
        produce(order(people), scripted_crew(2))
    assert caught.value.failure.code == ErrorCode.WORKER_CRASH_LOOP


def test_a_worker_ends_when_whoever_gave_it_work_is_gone(
    scripted_people: People, order: Orders, tmp_path: Path
) -> None:
    (planned,) = plan(scripted_people("slow 60"), order(()).recipe, each_photo=True)
    assert planned.item is not None
    command = [sys.executable, str(Path(__file__).parent / "scripted_maker.py"), str(tmp_path / "out")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(planned.item.line().encode() + b"\n")
    process.stdin.flush()
    time.sleep(0.3)
    process.stdin.close()
    assert process.wait(5) == 0
    process.stdout.close()


def test_memory_stays_flat_over_many_items(
    scripted_people: People, order: Orders, tmp_path: Path, recipe: Callable
) -> None:
    """In one process, so that there is one to measure."""
    maker = Maker(scripted)
    workshop = Workshop(tmp_path / "out")
    workshop.prepare()
    me = psutil.Process()
    measured = []
    for number, planned in enumerate(plan(scripted_people(*["fine"] * 200), recipe(1, 1), each_photo=True)):
        assert planned.item is not None
        assert not maker.make(planned.item, tmp_path / "out").code
        if number in (49, 199):
            measured.append(me.memory_info().rss)
    # A texture has 768 KiB: whoever held them would need 115 MiB more.
    assert measured[1] - measured[0] < 20 * 2**20


@pytest.fixture
def interrupted() -> Iterator[None]:
    """Lets this process be interrupted as by Ctrl-C, whatever the tests' runner has set."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupted")
def test_what_was_finished_before_an_interruption_is_a_dataset(
    scripted_people: People, order: Orders, scripted_crew: Crews, tmp_path: Path
) -> None:
    people = scripted_people(*["fine"] * 3, "slow 60", *["fine"] * 3)
    asked = order(people)

    def interrupt(tally: Tally) -> None:
        if tally.made == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        produce(asked, scripted_crew(1), interrupt)
    assert [row.identity for row in read_dataset(tmp_path / "out").rows] == ["person 0", "person 1", "person 2"]
    (tmp_path / "scripts" / "0003.jpg").write_text("fine 3")
    tally = produce(asked, scripted_crew(1))
    assert (tally.made, tally.found) == (4, 3)
    assert tally.census.rows == 7


def test_two_commands_do_not_work_in_one_folder(
    scripted_people: People, order: Orders, scripted_crew: Crews, tmp_path: Path
) -> None:
    with Workshop(tmp_path / "out").alone(), pytest.raises(UVMapError) as caught:
        produce(order(scripted_people("fine")), scripted_crew(1))
    assert caught.value.failure.code == ErrorCode.OUTPUT_NOT_WRITABLE
