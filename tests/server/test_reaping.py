"""What a killed server leaves behind, and what the next one must not take for it."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pool_bench import TEST_VARIABLE, Bench, lives, marked

from uvmap_id.link.process import process_start
from uvmap_id.server.pool import Pool
from uvmap_id.server.reaping import MARK_VARIABLE, RECORD_NAME, Record, reap, worker_mark

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these faults are made with signals")

SERVER = (sys.executable, str(Path(__file__).parent / "pool_server.py"))
SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
PROMPTS = ("slow", "deaf", "hold", "freeze", "brief", "parent")


def start_server(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    server = subprocess.Popen([*SERVER, str(folder), *arguments], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    word, *pids = server.stdout.readline().split()
    assert word == "busy"
    return server, [psutil.Process(int(pid)) for pid in pids]


@pytest.mark.parametrize("moment", range(12))
def test_a_server_that_is_killed_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """At some moment of jobs of any kind: starting, working, hanging, stopped, between two, with children."""
    monkeypatch.setenv(TEST_VARIABLE, str(tmp_path))
    server, workers = start_server(tmp_path, "2", PROMPTS[moment % 6], PROMPTS[(moment * 5 + 1) % 6])
    with server:
        time.sleep(random.Random(moment).uniform(0.0, 1.2))  # noqa: S311 - no secret
        assert server.poll() is None
        before = [process for worker in workers if lives(worker) for process in [worker, *worker.children(True)]]
        assert before, "there was nothing that could have been left"
        server.kill()
    # The workers themselves need no next server.
    deadline = time.monotonic() + 3
    while any(map(lives, workers)):
        assert time.monotonic() < deadline, "a worker outlived its server"
        time.sleep(0.01)
    reap(tmp_path)
    assert not any(map(lives, before))
    assert marked(tmp_path) == []


@pytest.mark.parametrize("prompt", ["slow", "hold"])
def test_workers_end_without_the_kernels_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prompt: str) -> None:
    """As on systems that send no signal when a parent ends; one whose lock is held waits for the next server."""
    monkeypatch.setenv(TEST_VARIABLE, str(tmp_path))
    monkeypatch.setenv("UVMAP_ID_TEST_NO_DEATH_SIGNAL", "1")
    server, workers = start_server(tmp_path, "1", prompt)
    with server:
        assert server.stdout is not None
        assert server.stdout.readline() == "working\n"
        time.sleep(0.2)
        server.kill()
    deadline = time.monotonic() + 4
    while any(map(lives, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    # The hanging one shows that the kernel's signal was off indeed.
    left = marked(tmp_path)
    assert left == (workers if prompt == "hold" else [])
    assert reap(tmp_path) == len(left)
    assert not any(map(lives, workers))


def test_the_next_pool_ends_what_is_left(bench: Bench, tmp_path: Path) -> None:
    mark = secrets.token_hex(16)
    left = start(tmp_path, mark)
    Record(tmp_path, mark)
    pool = Pool(bench.context, tmp_path)
    assert pool.reaped == 1
    pool.close()
    assert left.wait(5) == -signal.SIGKILL


@pytest.fixture
def innocent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Has nothing to do with us."""
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


def start(folder: Path, mark: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, MARK_VARIABLE: worker_mark(mark, 1), TEST_VARIABLE: str(folder)}
    return subprocess.Popen(SLEEP, env=environment)


def test_a_record_names_no_process_by_its_number(tmp_path: Path, innocent: subprocess.Popen[bytes]) -> None:
    """So that none which has the number of an old worker can be taken for it, and no forger can aim."""
    for pid in (innocent.pid, os.getpid(), os.getppid(), 1, 0, -1):
        Record(tmp_path, secrets.token_hex(16))
        entry = {"pid": pid, "started": process_start(pid) or ""}
        change(tmp_path, lambda record, entry=entry: record.update(workers=[entry], **entry))
        assert reap(tmp_path) == 0
    assert innocent.poll() is None


def test_another_servers_workers_are_not_killed(tmp_path: Path) -> None:
    with start(tmp_path, secrets.token_hex(16)) as other:
        Record(tmp_path, secrets.token_hex(16))
        assert reap(tmp_path) == 0
        assert other.poll() is None
        other.kill()


def test_what_shares_the_servers_session_is_not_killed_for_that(tmp_path: Path) -> None:
    mark = secrets.token_hex(16)
    Record(tmp_path, mark)
    with start(tmp_path, mark) as ours, subprocess.Popen(SLEEP) as neighbour:
        assert os.getsid(ours.pid) == os.getsid(neighbour.pid)
        assert reap(tmp_path) == 1
        assert neighbour.poll() is None
        neighbour.kill()


@pytest.mark.parametrize("mark", ["", "*", "-", "0" * 31, "0" * 32 + "\n", None, ["0"]])
def test_a_mark_that_is_none_kills_nothing(tmp_path: Path, innocent: subprocess.Popen[bytes], mark: object) -> None:
    Record(tmp_path, secrets.token_hex(16))
    change(tmp_path, lambda record: record.update(mark=mark))
    assert reap(tmp_path) == 0
    assert innocent.poll() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"mark": 1}', "[" * 100_000, '{"mark":"","workers":[{}]}'])
def test_a_damaged_record_is_no_reason_not_to_start(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD_NAME).write_text(text)
    assert reap(tmp_path) == 0


def test_the_record_is_its_owners_alone_and_goes_with_the_pool(bench: Bench, tmp_path: Path) -> None:
    bench.working("deaf")
    record = tmp_path / RECORD_NAME
    assert bench.worker().environ()[MARK_VARIABLE] == worker_mark(json.loads(record.read_text())["mark"], 1)
    assert record.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "worker-1.log").stat().st_mode & 0o777 == 0o600
    bench.pool.close()
    assert not record.exists()


def change(folder: Path, edit: object) -> None:
    path = folder / RECORD_NAME
    record = json.loads(path.read_text())
    assert callable(edit)
    edit(record)
    path.write_text(json.dumps(record))
