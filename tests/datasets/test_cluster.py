"""Ray for real: its worker processes are killed, and nothing of it stays behind. The engine is scripted."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from scripted_maker import scripted

from uvmap_id.datasets.cluster import Cluster, ClusterOptions
from uvmap_id.datasets.crew import Crew
from uvmap_id.datasets.people import Person
from uvmap_id.datasets.producing import Order, Tally, produce
from uvmap_id.datasets.workshop import Workshop
from uvmap_id.link.errors import ErrorCode, UVMapError

# Ray reads its settings when it is imported, which is the cluster's business.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra [cluster] is not installed"),
]

People = Callable[..., tuple[Person, ...]]
Orders = Callable[..., Order]
Crews = Callable[..., Callable[[Workshop], Crew]]


def ray_processes() -> list[psutil.Process]:
    """Below this process, the workers and all that keeps them going."""
    return [process for process in psutil.Process().children(recursive=True) if "ray" in _command(process)]


def _command(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ray") / "out"


@pytest.fixture(scope="module")
def cluster(place: Path) -> Iterator[Cluster]:
    """One for all tests here: its start takes seconds. At its end nothing may be left."""
    home = (Path.home() / ".ray").exists()
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left = Path(f"/tmp/uvmap-ray-{gone.stdout.strip()}-killed")
    left.mkdir()
    patch.setenv("SCRIPTED_LOG", str(place.parent / "made.log"))
    with Cluster(place, ClusterOptions(workers=2), scripted) as cluster:
        # What a command that was killed has left is swept up.
        assert not left.exists()
        scratch = cluster.scratch
        assert scratch is not None
        assert scratch.is_dir()
        yield cluster
    patch.undo()
    assert not ray_processes()
    assert not scratch.exists()
    assert (Path.home() / ".ray").exists() == home


@pytest.fixture
def on_ray(cluster: Cluster, place: Path) -> Callable[[Workshop], contextlib.AbstractContextManager[Cluster]]:
    def start(workshop: Workshop) -> contextlib.AbstractContextManager[Cluster]:
        assert workshop.folder == place
        return contextlib.nullcontext(cluster)

    return start


def test_killed_ray_workers_lose_nothing_and_make_nothing_twice(
    scripted_people: People, order: Orders, scripted_crew: Crews, on_ray, place: Path, tmp_path: Path
) -> None:
    people = scripted_people(*[f"slow 0.1 {number}" for number in range(12)])
    produce(order(people, "calm"), scripted_crew(1))
    log = place.parent / "made.log"
    log.unlink()
    killed: list[int] = []
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(0.05) and len(killed) < 3:
            painted = len(log.read_text().splitlines()) if log.exists() else 0
            workers = [process.pid for process in ray_processes() if "MapWorker" in _command(process)]
            if workers and painted >= 5 * (len(killed) + 1):
                os.kill(workers[len(killed) % len(workers)], signal.SIGKILL)
                killed.append(workers[0])

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        tally = produce(order(people, str(place)), on_ray)
    finally:
        stop.set()
        killer.join()
    assert len(killed) == 3
    assert (tally.made, tally.failed, tally.census.rows) == (12, 0, 12)
    for path in (*(tmp_path / "calm" / "textures").iterdir(), tmp_path / "calm" / "metadata.jsonl"):
        assert path.read_bytes() == (place / path.relative_to(tmp_path / "calm")).read_bytes()
    assert len(list((place / "textures").iterdir())) == 12
    assert not list((place / ".uvmap-id" / "work").iterdir())
    painted = log.read_text().splitlines()
    assert len(painted) - len(set(painted)) <= len(killed)


def test_failures_and_poison_come_back_as_from_processes(
    scripted_people: People, order: Orders, on_ray, place: Path
) -> None:
    people = scripted_people("fine", "die", "refuse", "fine one")
    tally: Tally = produce(order(people, str(place)), on_ray)
    assert (tally.made, tally.failed) == (2, 2)
    assert "worker_died" in (place / "failures.jsonl").read_text()
    assert "face_not_found" in (place / "failures.jsonl").read_text()
    again = produce(order(people[:1], str(place)), on_ray)
    assert (again.made, again.found) == (0, 1)


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UVMapError) as caught, Cluster(tmp_path, ClusterOptions("127.0.0.1:1")):
        pass
    assert caught.value.failure.code == ErrorCode.BACKEND_NOT_FOUND
    assert "127.0.0.1:1" in caught.value.failure.message
