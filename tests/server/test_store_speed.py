"""A queue of five thousand: the store must not be what makes a client wait, or what fills the memory.

Time is that of the processor, so that neither a busy machine nor a slow disk decides.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from uvmap_id.link.messages import Done, ResultFile
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.states import StoreOptions
from uvmap_id.server.store import NewJob, Store

OPTIONS = StoreOptions(ballast_bytes=0, floor_bytes=0)
QUEUED = 5000


def new(number: int) -> NewJob:
    return NewJob(f"{number:032x}", TextureRequest(f"{number:064x}", "blue jeans " * 20), "local", str(number % 50))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(Store(tmp_path_factory.mktemp("queue") / "jobs.db", OPTIONS)) as store:
        for start in range(0, QUEUED, 500):
            store.add([new(number) for number in range(start, start + 500)])
        yield store


def slowest_ms(action: Callable[[int], object], times: int = 200) -> float:
    """The 99th percentile."""
    taken = []
    for number in range(times):
        began = time.process_time()
        action(number)
        taken.append(time.process_time() - began)
    return sorted(taken)[int(times * 0.99) - 1] * 1000


def test_submitting_and_claiming_stay_fast(store: Store) -> None:
    assert slowest_ms(lambda number: store.add([new(QUEUED + number)])) < 10
    assert slowest_ms(lambda _number: store.claim()) < 10
    running = [job.id for job in store.list("local", limit=10_000)[0] if job.state == "running"]
    assert len(running) == 200
    files = (ResultFile("base_color.png", 10, "a" * 64),)
    assert slowest_ms(lambda number: store.end(running[number], Done(running[number], "/x", {}, files))) < 10
    assert slowest_ms(lambda number: store.acknowledge(running[number])) < 10
    assert slowest_ms(lambda _number: store.counts()) < 10
    assert slowest_ms(lambda _number: store.list("local", limit=32)) < 20


def test_a_server_with_a_long_queue_starts_soon(tmp_path: Path, store: Store) -> None:
    """In a process of its own, whose memory is nobody else's."""
    script = f"""
import resource, time
from pathlib import Path
from uvmap_id.server.store import Store, StoreOptions
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
store = Store(Path({str(store._path)!r}), StoreOptions(ballast_bytes=0, floor_bytes=0))
store.recover()
assert len(store.references()) > 4000
print(time.process_time() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    if sys.platform != "linux":
        pytest.skip("the size of a process is told in other units elsewhere")
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seconds, mebibytes = map(float, ran.stdout.split())
    assert seconds < 1.0
    assert mebibytes < 50
