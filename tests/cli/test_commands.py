"""The other commands: `serve`, `stop`, `doctor`, and what the bare command says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from uvmap_id import __version__
from uvmap_id.cli_errors import EXIT_BAD_ARGUMENTS, EXIT_FAILED, exit_code
from uvmap_id.doctor import Check, CheckState, can_run
from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection, read_connection
from uvmap_id.link.errors import ErrorCode, Failure, UVMapError

Run = Callable[..., subprocess.CompletedProcess[str]]
Eventually = Callable[..., None]

pytestmark = pytest.mark.usefixtures("state")


def test_help_names_the_commands_and_is_quick(uvmap_id: Run) -> None:
    took = []
    for _ in range(3):
        began = sum(os.times()[2:4])
        result = uvmap_id("--help")
        # The children's own time: a machine that does something else as well makes nothing slower.
        took.append(sum(os.times()[2:4]) - began)
        assert result.returncode == 0
        assert all(name in result.stdout for name in ("generate", "serve", "stop", "doctor", "jobs", "keys"))
    assert min(took) < 0.45


def test_the_version_is_the_packages(uvmap_id: Run) -> None:
    assert uvmap_id("--version").stdout == f"uvmap-id {__version__}\n"


def test_an_unknown_command_ends_with_2(uvmap_id: Run) -> None:
    assert uvmap_id("paint").returncode == 2


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ErrorCode.PROMPT_EMPTY, EXIT_BAD_ARGUMENTS),
        (ErrorCode.SIZE_NOT_OFFERED, EXIT_BAD_ARGUMENTS),
        (ErrorCode.FACE_NOT_FOUND, EXIT_FAILED),
        (ErrorCode.OUTPUT_NOT_WRITABLE, EXIT_FAILED),
        (ErrorCode.ENGINE_UNAVAILABLE, EXIT_FAILED),
    ],
)
def test_the_exit_code_follows_from_the_failure(code: ErrorCode, expected: int) -> None:
    assert exit_code(Failure(code.value, "It did not work.")) == expected


def serving(folder: Path) -> bool:
    try:
        return read_connection(folder).alive
    except UVMapError:
        return False


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_serve_runs_until_ctrl_c(tmp_path: Path, eventually: Eventually) -> None:
    folder = tmp_path / "elsewhere"
    with subprocess.Popen(
        [sys.executable, "-m", "uvmap_id", "serve", "--state-dir", str(folder)], stderr=subprocess.PIPE, text=True
    ) as process:
        eventually(lambda: serving(folder))
        with Client.connect(read_connection(folder)) as client:
            assert client.wait_until_welcome().version == __version__
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == ""
    log = [json.loads(line) for line in (folder / "server.jsonl").read_text().splitlines()]
    assert any(line["event"].startswith("serving at tcp://127.0.0.1:") for line in log)
    assert not (folder / "connection.json").exists()


def test_serve_says_when_its_folder_cannot_be_written(uvmap_id: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = uvmap_id("serve", "--state-dir", str(tmp_path / "file" / "state"))
    assert result.returncode == 1
    assert result.stderr.startswith("error: output_not_writable: ")


def test_stop_ends_the_backend(uvmap_id: Run, server: Connection) -> None:
    result = uvmap_id("stop")
    assert (result.returncode, result.stdout) == (0, "")
    assert str(server.pid) in result.stderr
    assert not server.alive


def test_stop_without_a_backend_is_no_error(uvmap_id: Run) -> None:
    result = uvmap_id("stop")
    assert (result.returncode, result.stderr) == (0, "The backend is not running.\n")


def test_doctor_lists_everything_with_a_fix(uvmap_id: Run, server: Connection) -> None:
    result = uvmap_id("doctor", "--json")
    report = json.loads(result.stdout)
    checks = {check["name"]: check for check in report["checks"]}
    assert {"python", "mediapipe and face model", "onnxruntime", "torch", "diffusers", "weights"} <= set(checks)
    assert str(server.pid) in checks["backend"]["detail"]
    assert checks["state folder"]["state"] == "ok"
    assert all(check["fix"] for check in report["checks"] if check["state"] != "ok")
    assert report["ok"] == all(check["state"] != "missing" for check in report["checks"])
    assert result.returncode == (0 if report["ok"] else 1)


def test_doctor_tells_of_the_queue_and_of_lists_that_were_damaged(
    uvmap_id: Run, server: Connection, state: Path
) -> None:
    assert uvmap_id("jobs", "pause").returncode == 0
    (state / "jobs.db.set-aside-1").touch()
    checks = {check["name"]: check for check in json.loads(uvmap_id("doctor", "--json").stdout)["checks"]}
    assert (checks["queue"]["detail"], checks["queue"]["fix"]) == (
        "0 queued, 0 running, paused: user",
        "uvmap-id jobs resume",
    )
    assert "set aside" in checks["list of jobs"]["detail"]
    assert uvmap_id("jobs", "purge", "--all").returncode == 0
    assert not (state / "jobs.db.set-aside-1").exists()
    assert uvmap_id("jobs", "resume").returncode == 0


def test_doctor_prints_a_table(uvmap_id: Run) -> None:
    result = uvmap_id("doctor")
    assert "mediapipe" in result.stdout
    assert "backend" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_doctor_notices_a_state_folder_that_cannot_be_written(
    uvmap_id: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("UVMAP_ID_STATE_DIR", str(tmp_path / "file" / "state"))
    result = uvmap_id("doctor", "--json")
    (check,) = (check for check in json.loads(result.stdout)["checks"] if check["name"] == "state folder")
    assert (check["state"], result.returncode) == ("missing", 1)
    assert "UVMAP_ID_STATE_DIR" in check["fix"]


def test_only_what_is_missing_keeps_a_texture_from_being_made() -> None:
    ok, optional, missing = (Check("x", state, "") for state in CheckState)
    assert can_run([ok, optional])
    assert not can_run([ok, missing])
