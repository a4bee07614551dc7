"""Texture sets on their way to the client's folder: copied or pulled, checked, whole or not there."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection, remote_connection
from uvmap_id.link.downloads import Downloads, Fetched, NotFetched
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.keys import AuthorizedKeys, new_key_pair
from uvmap_id.link.launcher import ensure_server
from uvmap_id.link.messages import CREDIT, FRAME_LIMIT, Acknowledged, Chunk, Done, GetChunk, ResultFile, Status
from uvmap_id.link.photo import photo_hash
from uvmap_id.link.request import TextureRequest

Ask = Callable[..., TextureRequest]


@pytest.fixture
def remote(server: Connection, state: Path) -> Iterator[Client]:
    """A client that is treated as one on another machine."""
    keys = new_key_pair()
    AuthorizedKeys(state).add(keys.public, "test")
    time.sleep(1.1)
    with Client.connect(remote_connection(server.endpoint, server.server_key, keys)) as client:
        yield client


def contents(folder: Path, done: Done) -> dict[str, bytes]:
    return {file.name: (folder / file.name).read_bytes() for file in done.files}


@pytest.mark.parametrize("way", ["client", "remote"])
def test_a_finished_job_is_brought_to_a_folder(
    request: pytest.FixtureRequest, way: str, ask: Ask, photo: bytes, tmp_path: Path
) -> None:
    client: Client = request.getfixturevalue(way)
    done = client.wait(client.submit(ask("shirt"), (photo,)), timeout_s=20)
    truth = contents(Path(done.folder), done)
    folder = client.wait_until_fetched(done.job, tmp_path / "out" / "set", 20)
    assert folder == tmp_path / "out" / "set"
    assert contents(folder, done) == truth
    assert sorted(path.name for path in folder.iterdir()) == sorted(truth)
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_after_the_fetch_the_server_may_forget(client: Client, ask: Ask, photo: bytes, tmp_path: Path) -> None:
    done = client.wait(client.submit(ask("shirt"), (photo,)), timeout_s=20)
    client.wait_until_fetched(done.job, tmp_path / "set", 20)
    client.acknowledge(done.job)
    deadline = time.monotonic() + 5
    while Acknowledged(done.job) not in client.poll():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert not Path(done.folder).exists()


def test_other_owners_jobs_are_not_to_be_had(
    client: Client, remote: Client, ask: Ask, photo: bytes, tmp_path: Path
) -> None:
    done = client.wait(client.submit(ask("shirt"), (photo,)), timeout_s=20)
    with pytest.raises(UVMapError) as caught:
        remote.wait_until_fetched(done.job, tmp_path / "theirs", 10)
    assert caught.value.failure.code == ErrorCode.JOB_UNKNOWN
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize("way", ["client", "remote"])
@pytest.mark.parametrize("damage", ["altered", "cut", "deleted"])
def test_a_result_damaged_on_the_servers_disk_is_refused(
    request: pytest.FixtureRequest, way: str, damage: str, ask: Ask, photo: bytes, tmp_path: Path
) -> None:
    client: Client = request.getfixturevalue(way)
    done = client.wait(client.submit(ask("shirt"), (photo,)), timeout_s=20)
    path = Path(done.folder) / "normal.png"
    content = path.read_bytes()
    path.chmod(0o600)
    match damage:
        case "altered":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "cut":
            path.write_bytes(content[:100])
        case _:
            path.unlink()
    with pytest.raises(UVMapError) as caught:
        client.wait_until_fetched(done.job, tmp_path / "out", 10)
    assert caught.value.failure.code == ErrorCode.RESULT_DAMAGED
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_folder_with_something_in_it_is_not_written_to(client: Client, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work").write_text("precious")
    with pytest.raises(UVMapError) as caught:
        client.fetch("0" * 32, tmp_path / "mine")
    assert caught.value.failure.code == ErrorCode.OUTPUT_NOT_WRITABLE


def test_a_job_that_is_not_done_has_nothing_to_fetch(
    client: Client, tmp_path: Path, run_until_busy: Callable[[str], str]
) -> None:
    job = run_until_busy("slow")
    with pytest.raises(UVMapError) as caught:
        client.wait_until_fetched(job, tmp_path / "out", 10)
    assert caught.value.failure.code == ErrorCode.JOB_STATE_WRONG
    client.cancel(job)


def test_a_fetch_goes_on_with_the_next_server(
    client: Client, server: Connection, server_command: tuple[str, ...], ask: Ask, photo: bytes, tmp_path: Path
) -> None:
    done = client.wait(client.submit(ask("shirt", size=2048), (photo,)), timeout_s=20)
    truth = contents(Path(done.folder), done)
    os.kill(server.pid, signal.SIGKILL)
    client.fetch(done.job, tmp_path / "out")
    ensure_server(server_command)
    events: list[object] = []
    deadline = time.monotonic() + 20
    while Fetched(done.job, tmp_path / "out") not in events:
        assert time.monotonic() < deadline, events
        events += client.poll()
        time.sleep(0.002)
    assert contents(tmp_path / "out", done) == truth


# --- without a server: what is asked for, and what is believed ---------------------------------------


def done_of(files: dict[str, bytes]) -> Done:
    listed = tuple(ResultFile(name, len(content), photo_hash(content)) for name, content in files.items())
    return Done("a" * 32, "/nowhere", {}, listed)


def finished(downloads: Downloads) -> list[Fetched | NotFetched]:
    while downloads.step():
        pass
    return downloads.outcomes()


def begun(tmp_path: Path, files: dict[str, bytes], clock: Callable[[], float] = time.monotonic) -> Downloads:
    downloads = Downloads(local=False, clock=clock)
    downloads.add("a" * 32, tmp_path / "out")
    assert downloads.next() == Status("a" * 32)
    downloads.begin(done_of(files))
    return downloads


def answer_to(command: object, files: dict[str, bytes]) -> tuple[Chunk, bytes]:
    assert isinstance(command, GetChunk)
    content = files[command.file]
    chunk = Chunk(command.job, command.file, command.offset, len(content), photo_hash(content))
    return chunk, content[command.offset : command.offset + FRAME_LIMIT]


def asked(downloads: Downloads) -> list[object]:
    commands: list[object] = []
    while (command := downloads.next()) is not None:
        commands.append(command)
    return commands


def test_no_more_than_the_credit_is_on_its_way(tmp_path: Path) -> None:
    files = {"big.png": os.urandom(FRAME_LIMIT * 20 + 5), "small.png": b"small", "empty.json": b""}
    downloads = begun(tmp_path, files)
    commands, most = asked(downloads), 0
    while commands:
        most = max(most, len(commands))
        downloads.take(*answer_to(commands.pop(0), files))
        commands += asked(downloads)
    assert most == CREDIT
    assert finished(downloads) == [Fetched("a" * 32, tmp_path / "out")]
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files} == files


def test_a_lost_chunk_is_asked_for_again(tmp_path: Path) -> None:
    now = [0.0]
    files = {"big.png": os.urandom(FRAME_LIMIT * 12)}
    downloads = begun(tmp_path, files, lambda: now[0])
    for number, command in enumerate(asked(downloads)):
        if number != 3:
            downloads.take(*answer_to(command, files))
    assert asked(downloads) != []
    now[0] += 11
    for _ in range(20):
        for command in asked(downloads):
            downloads.take(*answer_to(command, files))
    assert finished(downloads) == [Fetched("a" * 32, tmp_path / "out")]
    assert (tmp_path / "out" / "big.png").read_bytes() == files["big.png"]


def test_chunks_that_were_not_asked_for_change_nothing(tmp_path: Path) -> None:
    files = {"a.png": os.urandom(FRAME_LIMIT * 2)}
    downloads = begun(tmp_path, files)
    first, second = asked(downloads)
    stranger = Chunk("b" * 32, "a.png", 0, 5, "0" * 64)
    downloads.take(stranger, b"xxxxx")
    downloads.take(Chunk("a" * 32, "../../evil", 0, 5, "0" * 64), b"xxxxx")
    downloads.take(*answer_to(second, files))
    downloads.take(*answer_to(first, files))
    downloads.take(*answer_to(first, files))
    for command in asked(downloads):
        downloads.take(*answer_to(command, files))
    assert finished(downloads) == [Fetched("a" * 32, tmp_path / "out")]
    assert (tmp_path / "out" / "a.png").read_bytes() == files["a.png"]


def test_chunks_that_make_another_file_are_not_believed(tmp_path: Path) -> None:
    files = {"a.png": b"the truth"}
    downloads = begun(tmp_path, files)
    (command,) = asked(downloads)
    chunk, _ = answer_to(command, files)
    downloads.take(chunk, b"the lies!")
    (outcome,) = finished(downloads)
    assert isinstance(outcome, NotFetched)
    assert outcome.failure.code == ErrorCode.RESULT_DAMAGED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../evil.png", "/etc/passwd", "a/b.png", "..", ".hidden", "a\\b.png", "", "x" * 200, "a\n.png", "C:evil"]
)
def test_a_name_that_leads_elsewhere_is_not_written(tmp_path: Path, name: str) -> None:
    downloads = begun(tmp_path, {name: b"content", "fine.png": b"content"})
    (outcome,) = finished(downloads)
    assert isinstance(outcome, NotFetched)
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_one_on_some_disks_are_refused(tmp_path: Path) -> None:
    assert isinstance(finished(begun(tmp_path, {"a.png": b"1", "A.PNG": b"2"}))[0], NotFetched)
