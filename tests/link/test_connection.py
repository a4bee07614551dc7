"""The connection file: private, whole or not there, and never believed when its server is gone."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from uvmap_id.link.connection import (
    FILE_NAME,
    Connection,
    make_state_dir,
    read_connection,
    remote_connection,
    remove_connection,
    state_dir,
    write_connection,
)
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.keys import KeyPair
from uvmap_id.link.messages import PROTOCOL
from uvmap_id.link.process import process_start

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
CLIENT = KeyPair("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs")

posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes are a matter of POSIX")


def connection_of(pid: int) -> Connection:
    started = process_start(pid) or ""
    keys = (CLIENT.public, CLIENT.secret)
    return Connection("tcp://127.0.0.1:5000", KEY, pid, started, "boot", PROTOCOL, "0.1.0", *keys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_state_dir(tmp_path / "state")
    return tmp_path / "state"


def refusal(folder: Path) -> str:
    with pytest.raises(UVMapError) as caught:
        read_connection(folder)
    assert caught.value.failure.code == ErrorCode.BACKEND_NOT_RUNNING
    assert caught.value.failure.hint
    return caught.value.failure.message


def test_what_is_written_is_read(folder: Path) -> None:
    write_connection(connection_of(os.getpid()), folder)
    assert read_connection(folder) == connection_of(os.getpid())
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


@posix_only
def test_only_the_owner_can_read_it(folder: Path) -> None:
    write_connection(connection_of(os.getpid()), folder)
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_can_touch_is_refused(folder: Path, mode: int) -> None:
    write_connection(connection_of(os.getpid()), folder)
    (folder / FILE_NAME).chmod(mode)
    assert "other users" in refusal(folder)


@posix_only
def test_a_link_to_a_file_is_refused(folder: Path, tmp_path: Path) -> None:
    write_connection(connection_of(os.getpid()), tmp_path)
    (folder / FILE_NAME).symlink_to(tmp_path / FILE_NAME)
    assert "can't be read" in refusal(folder)


@posix_only
def test_a_pipe_in_its_place_does_not_block(folder: Path) -> None:
    os.mkfifo(folder / FILE_NAME, 0o600)
    refusal(folder)


def test_no_file_is_no_server(folder: Path) -> None:
    assert refusal(folder) == "The backend is not running."
    assert refusal(folder / "nowhere") == "The backend is not running."


@pytest.mark.parametrize("cut", [0, 1, 100, -2])
def test_half_a_file_is_no_server(folder: Path, cut: int) -> None:
    write_connection(connection_of(os.getpid()), folder)
    path = folder / FILE_NAME
    path.write_bytes(path.read_bytes()[:cut])
    assert "damaged" in refusal(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "tcp://192.168.0.1:5000"},
        {"endpoint": "ipc:///tmp/x"},
        {"endpoint": "tcp://127.0.0.1:5000\n"},
        {"server_key": "short"},
        {"server_key": "~" * 40},
        {"client_key": ""},
        {"client_secret": "~" * 40},
        {"pid": "1"},
        {"pid": 0},
        {"boot": None},
    ],
)
def test_a_forged_field_is_refused(folder: Path, change: dict[str, object]) -> None:
    values = {**dataclasses.asdict(connection_of(os.getpid())), **change}
    path = folder / FILE_NAME
    path.write_text(json.dumps(values))
    path.chmod(0o600)
    assert "damaged" in refusal(folder)


def test_a_newer_server_may_say_more(folder: Path) -> None:
    path = folder / FILE_NAME
    path.write_text(json.dumps({**dataclasses.asdict(connection_of(os.getpid())), "news": 1}))
    path.chmod(0o600)
    assert read_connection(folder) == connection_of(os.getpid())


def test_an_ended_server_is_no_server(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        write_connection(connection_of(process.pid), folder)
        assert read_connection(folder).pid == process.pid
        process.kill()
        # Killed, but not waited for: a zombie doesn't serve either.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert "ended" in refusal(folder)
    assert "ended" in refusal(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="the time of start is read from /proc")
def test_a_pid_that_is_used_again_is_not_the_server(folder: Path) -> None:
    write_connection(dataclasses.replace(connection_of(os.getpid()), started="1"), folder)
    assert "ended" in refusal(folder)


def test_a_server_removes_only_its_own_file(folder: Path) -> None:
    mine = connection_of(os.getpid())
    write_connection(dataclasses.replace(mine, boot="another"), folder)
    remove_connection(mine, folder)
    assert (folder / FILE_NAME).exists()
    write_connection(mine, folder)
    remove_connection(mine, folder)
    remove_connection(mine, folder)
    assert not (folder / FILE_NAME).exists()


def test_the_state_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UVMAP_ID_STATE_DIR", str(tmp_path))
    assert state_dir() == tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="the XDG rules are Linux's")
def test_the_state_folder_follows_the_xdg_rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UVMAP_ID_STATE_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_dir() == tmp_path / "uvmap-id"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_dir() == Path.home() / ".local" / "state" / "uvmap-id"


def test_a_server_of_an_earlier_protocol_is_found_so_that_it_can_be_stopped(folder: Path) -> None:
    values = {**dataclasses.asdict(connection_of(os.getpid())), "protocol": 2}
    del values["client_key"], values["client_secret"]
    path = folder / FILE_NAME
    path.write_text(json.dumps(values))
    path.chmod(0o600)
    assert read_connection(folder).protocol == 2


def test_the_secret_is_not_shown() -> None:
    assert CLIENT.secret not in repr(connection_of(1))
    assert CLIENT.secret not in repr(CLIENT)


def test_a_remote_connection_is_checked() -> None:
    for endpoint in ("tcp://gpu.example:7400", "tcp://[fe80::1]:7400", "tcp://127.0.0.1:7400"):
        connection = remote_connection(endpoint, KEY, CLIENT)
        assert connection.alive
        assert not connection.local
    wrong = {
        "ipc:///tmp/x": ErrorCode.ADDRESS_NOT_ALLOWED,
        "tcp://gpu": ErrorCode.ADDRESS_NOT_ALLOWED,
        "tcp://gpu:7400\n": ErrorCode.ADDRESS_NOT_ALLOWED,
        "gpu:7400": ErrorCode.ADDRESS_NOT_ALLOWED,
    }
    for endpoint, code in wrong.items():
        with pytest.raises(UVMapError) as caught:
            remote_connection(endpoint, KEY, CLIENT)
        assert caught.value.failure.code == code
    with pytest.raises(UVMapError) as caught:
        remote_connection("tcp://gpu:7400", "short", CLIENT)
    assert caught.value.failure.code == ErrorCode.KEY_INVALID
