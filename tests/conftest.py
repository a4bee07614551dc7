"""Real servers and workers for the tests: processes of their own, in a state folder of their own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from uvmap_id.link.client import Client
from uvmap_id.link.connection import STATE_DIR_VARIABLE, Connection
from uvmap_id.link.errors import UVMapError
from uvmap_id.link.launcher import ensure_server, stop_server
from uvmap_id.link.messages import Progress
from uvmap_id.link.request import TextureRequest

# A busy machine is no failure; and a run that decides over a merge must not depend on chance.
settings.register_profile("default", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("default")

SCRIPTED_SERVER = (sys.executable, str(Path(__file__).parent / "server" / "scripted_server.py"))
PHOTO = b"not an image, which the scripted engine doesn't mind"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty state folder, named in the environment; whatever server runs there at the end is ended."""
    folder = tmp_path / "state"
    monkeypatch.setenv(STATE_DIR_VARIABLE, str(folder))
    yield folder
    with contextlib.suppress(UVMapError):
        stop_server()
    deadline = time.monotonic() + 5
    while left := processes_of(folder):
        assert time.monotonic() < deadline, f"processes were left behind: {left}"
        time.sleep(0.05)


def processes_of(state: Path) -> list[psutil.Process]:
    """Servers and workers, known by the state folder in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(STATE_DIR_VARIABLE) == str(state):
                found.append(process)
    return found


@pytest.fixture
def server_command() -> tuple[str, ...]:
    """Starts a real server whose worker does what the prompt's first word says; see `scripted_worker.py`."""
    return SCRIPTED_SERVER


@pytest.fixture
def server(state: Path) -> Connection:
    """A running server with the scripted worker."""
    return ensure_server(SCRIPTED_SERVER)


@pytest.fixture
def client(server: Connection) -> Iterator[Client]:
    with Client.connect(server, "test") as client:
        yield client


@pytest.fixture
def photo() -> bytes:
    return PHOTO


@pytest.fixture
def ask() -> Callable[..., TextureRequest]:
    """Makes a request for `photo`; the prompt tells the scripted engine what to do."""

    def make(prompt: str, **fields: object) -> TextureRequest:
        values = {"face_sha256": hashlib.sha256(PHOTO).hexdigest(), "size": 512, **fields}
        return TextureRequest(prompt=prompt, **values)  # pyright: ignore[reportArgumentType]

    return make


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits for something to become true, and fails when it doesn't."""

    def wait(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.01)

    return wait


@pytest.fixture
def run_until_busy(client: Client, photo: bytes, ask: Callable[..., TextureRequest]) -> Callable[[str], str]:
    """Submits a job and returns its id once the engine is at work."""

    def run(prompt: str) -> str:
        job = client.submit(ask(prompt), (photo,))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if any(isinstance(answer, Progress) and answer.stage == "Working" for answer in client.poll()):
                return job
            time.sleep(0.01)
        raise AssertionError("the engine did not begin")

    return run


@pytest.fixture
def worker_of() -> Callable[[Connection], psutil.Process]:
    """The worker process of a server."""

    def find(connection: Connection) -> psutil.Process:
        (worker,) = psutil.Process(connection.pid).children()
        return worker

    return find


@pytest.fixture
def failure_of() -> Callable[[Client, str], UVMapError]:
    """Waits for a job and returns the error that it ended with."""

    def wait(client: Client, job: str) -> UVMapError:
        with pytest.raises(UVMapError) as caught:
            client.wait(job, timeout_s=30)
        return caught.value

    return wait
