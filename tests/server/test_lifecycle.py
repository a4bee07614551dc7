"""How a server ends: cleanly when it is asked to, and without leaving anything when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection, read_connection
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.exchange import Event
from uvmap_id.link.launcher import ensure_server
from uvmap_id.link.messages import Accepted, Done, Preview
from uvmap_id.link.request import TextureRequest

Ask = Callable[..., TextureRequest]
Busy = Callable[[str], str]
Eventually = Callable[..., None]
FailureOf = Callable[[Client, str], UVMapError]
WorkerOf = Callable[[Connection], psutil.Process]


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def until_accepted(client: Client, job: str, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while Accepted(job) not in client.poll():
        assert time.monotonic() < deadline, "the job was not accepted"
        time.sleep(0.005)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_its_worker_and_the_next_server_goes_on(
    client: Client,
    server: Connection,
    state: Path,
    server_command: tuple[str, ...],
    ask: Ask,
    photo: bytes,
    run_until_busy: Busy,
    worker_of: WorkerOf,
    failure_of: FailureOf,
    eventually: Eventually,
    number: int,
) -> None:
    running, queued = run_until_busy("slow"), client.submit(ask("shirt"), (photo,))
    until_accepted(client, queued)
    worker = worker_of(server)
    os.kill(server.pid, number)
    eventually(lambda: not server.alive)
    assert not worker.is_running()
    assert not (state / "connection.json").exists()
    assert list((state / "results").iterdir()) == []
    ensure_server(server_command)
    client.cancel(running)
    assert failure_of(client, running).failure.code == ErrorCode.CANCELLED
    done = client.wait(queued, timeout_s=20)
    assert Path(done.folder, "manifest.json").is_file()
    for job in (running, queued):
        client.acknowledge(job)
    eventually(lambda: client.poll() is not None and not files_in(state / "photos"))
    eventually(lambda: not list((state / "results").iterdir()))


def test_a_client_can_end_the_server(client: Client, server: Connection, state: Path, eventually: Eventually) -> None:
    client.wait_until_welcome()
    client.shutdown()
    client.poll()
    eventually(lambda: not server.alive)
    assert not (state / "connection.json").exists()


@pytest.mark.parametrize("prompt", ["slow", "deaf"])
def test_a_killed_server_leaves_no_worker_behind(
    server: Connection, run_until_busy: Busy, worker_of: WorkerOf, eventually: Eventually, prompt: str
) -> None:
    run_until_busy(prompt)
    worker = worker_of(server)
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not worker.is_running(), 6)


def test_what_a_killed_server_had_begun_is_begun_anew(
    server: Connection,
    client: Client,
    state: Path,
    server_command: tuple[str, ...],
    run_until_busy: Busy,
    eventually: Eventually,
) -> None:
    job = run_until_busy("brief")
    assert [path.suffix for path in (state / "results").iterdir()] == [".part"]
    assert len(files_in(state / "photos")) == 1
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not server.alive)
    ensure_server(server_command)
    done = client.wait(job, timeout_s=20)
    assert [path.name for path in (state / "results").iterdir()] == [job]
    assert Path(done.folder) == state / "results" / job


def start_with_idle(command: tuple[str, ...], minutes: float, eventually: Eventually) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([*command, "serve", "--idle-minutes", str(minutes)])

    def is_up() -> bool:
        try:
            return read_connection().pid == process.pid
        except UVMapError:
            return False

    eventually(is_up)
    return process


def test_an_idle_server_ends(state: Path, server_command: tuple[str, ...], eventually: Eventually) -> None:
    with start_with_idle(server_command, 0.005, eventually) as process:
        assert process.wait(5) == 0
    assert not (state / "connection.json").exists()


def test_a_server_with_work_is_not_idle(
    state: Path, server_command: tuple[str, ...], ask: Ask, photo: bytes, eventually: Eventually
) -> None:
    with start_with_idle(server_command, 0.01, eventually) as process:
        with Client.connect(read_connection()) as client:
            job = client.submit(ask("slow"), (photo,))
            until_accepted(client, job)
        time.sleep(1.5)
        assert process.poll() is None
        with Client.connect(read_connection()) as client:
            client.cancel(job)
            with pytest.raises(UVMapError):
                client.wait(job, timeout_s=5)
        assert process.wait(5) == 0


def test_a_result_folder_that_cannot_be_written_fails_the_job(
    client: Client, state: Path, ask: Ask, photo: bytes, failure_of: FailureOf
) -> None:
    client.wait_until_welcome()
    (state / "results").rmdir()
    (state / "results").touch()
    failure = failure_of(client, client.submit(ask("shirt"), (photo,))).failure
    assert failure.code == ErrorCode.OUTPUT_NOT_WRITABLE
    (state / "results").unlink()
    (state / "results").mkdir()
    client.wait(client.submit(ask("shirt"), (photo,)), timeout_s=20)


def test_a_photo_that_cannot_be_kept_is_refused(
    client: Client, state: Path, ask: Ask, photo: bytes, failure_of: FailureOf
) -> None:
    client.wait_until_welcome()
    (state / "photos").rmdir()
    assert failure_of(client, client.submit(ask("shirt"), (photo,))).failure.code == ErrorCode.OUTPUT_NOT_WRITABLE


def test_a_result_that_vanishes_while_it_is_made_fails_the_job(
    client: Client, state: Path, run_until_busy: Busy, failure_of: FailureOf
) -> None:
    job = run_until_busy("brief")
    (state / "results" / f"{job}.part").rmdir()
    assert failure_of(client, job).failure.code == ErrorCode.OUTPUT_NOT_WRITABLE
    assert list((state / "results").iterdir()) == []


WORKERS = {
    "talks rubbish": ("print('rubbish', flush=True); import time; time.sleep(30)", "makes no sense"),
    "cannot be imported": ("import a_module_that_is_missing", "a_module_that_is_missing"),
    "ends at once": ("pass", "exit code 0"),
    "is not there": (None, "can't be started"),
}


@pytest.mark.parametrize(("program", "sentence"), WORKERS.values(), ids=WORKERS.keys())
def test_a_worker_that_is_none_fails_the_job(
    state: Path, ask: Ask, photo: bytes, failure_of: FailureOf, program: str | None, sentence: str
) -> None:
    worker = (sys.executable, "-c", program) if program is not None else ("/nowhere/python",)
    server = (
        "from uvmap_id.link.connection import state_dir; from uvmap_id.server.main import ServerOptions, serve; "
        "from uvmap_id.server.pool import PoolOptions; from uvmap_id.server.limits import RestartLimits; "
        f"serve(ServerOptions(state_dir(), worker_command={worker!r}, pool=PoolOptions(restarts=RestartLimits(0.01))))"
    )
    with Client.connect(ensure_server((sys.executable, "-c", server))) as client:
        failure = failure_of(client, client.submit(ask("shirt"), (photo,))).failure
    assert failure.code == ErrorCode.WORKER_CRASH_LOOP
    assert sentence in failure.message
    assert failure.hint


CHATTERBOX = """
import base64, os, sys
from uvmap_id.link.messages import Preview
from uvmap_id.server.words import Finished, from_line, to_line
run = from_line(sys.stdin.buffer.readline())
picture = base64.b64encode(os.urandom(40_000)).decode()
for _ in range(1500):
    sys.stdout.buffer.write(to_line(Preview(run.job, picture)))
sys.stdout.buffer.write(to_line(Preview(run.job, picture * 3)))
sys.stdout.buffer.write(to_line(Finished(run.job, {})))
sys.stdout.buffer.flush()
sys.stdin.buffer.read()
"""


CHATTY_SERVER = (
    sys.executable,
    "-c",
    "import sys; from uvmap_id.link.connection import state_dir; "
    "from uvmap_id.server.main import ServerOptions, serve; "
    f"serve(ServerOptions(state_dir(), worker_command=(sys.executable, '-c', {CHATTERBOX!r})))",
)
BUSY_CLIENT = """
import os, signal, sys, time
from uvmap_id.link.client import Client
from uvmap_id.link.connection import read_connection
from uvmap_id.link.messages import Accepted, Failed
from uvmap_id.link.photo import with_photos
from uvmap_id.link.request import TextureRequest
connection, photos = read_connection(), (b"photo",)
with Client.connect(connection) as client:
    client.wait_until_welcome()
    client.submit(with_photos(TextureRequest("", "shirt"), photos), photos)
    while not any(isinstance(answer, Accepted) for answer in client.poll()):
        time.sleep(0.005)
    time.sleep(1)
    os.kill(connection.pid, signal.SIGKILL)
    time.sleep(3)
    answers = []
    while not answers or not isinstance(answers[-1], Failed):
        answers += client.poll()
    print(len(answers), answers[-1].code)
"""


def test_a_client_that_did_not_read_survives_the_servers_death(state: Path) -> None:
    ensure_server(CHATTY_SERVER)
    said = subprocess.run([sys.executable, "-c", BUSY_CLIENT], capture_output=True, text=True, timeout=30, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    count, code = said.stdout.split()
    # Its queue was full when the server died, or this would show nothing.
    assert int(count) > 100
    assert code == ErrorCode.BACKEND_LOST


def test_a_client_that_does_not_read_loses_previews_and_nothing_else(state: Path, ask: Ask, photo: bytes) -> None:
    connection = ensure_server(CHATTY_SERVER)
    with Client.connect(connection, "slow") as slow, Client.connect(connection, "quick") as quick:
        job = slow.submit(ask("shirt"), (photo,))
        until_accepted(slow, job)
        deadline = time.monotonic() + 30
        while not (state / "results" / job).is_dir():
            assert time.monotonic() < deadline, "the job did not end"
            quick.ping()
            quick.poll()
            time.sleep(0.05)
        answers: list[Event] = []
        while not answers or not isinstance(answers[-1], Done):
            assert time.monotonic() < deadline, "the end was never heard of"
            answers += slow.poll()
        assert 0 < sum(isinstance(answer, Preview) for answer in answers) < 1500
