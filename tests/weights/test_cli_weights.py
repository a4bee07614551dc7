"""`uvmap-id weights` in processes of its own, against a hub on this computer."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from file_server import FileServer, Served, wait_until
from typer.testing import CliRunner

from uvmap_id.cli import app
from uvmap_id.doctor import CheckState, examine
from uvmap_id.weights import licences
from uvmap_id.weights.catalogue import load_catalogue
from uvmap_id.weights.record import FILE_NAME
from uvmap_id.weights.store import WeightsStore

COMMAND = (sys.executable, "-m", "uvmap_id", "weights")
ID = "realesrgan-x4plus"
CONTENT = os.urandom(8 << 20)
SHA256 = hashlib.sha256(CONTENT).hexdigest()

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub(server: FileServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The file of `ID` as the hub serves it; the hub is the file server."""
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    served = Served(CONTENT, linked=True)
    server.files[path_on_hub()] = served
    return served


def path_on_hub() -> str:
    (file,) = load_catalogue().get(ID).files
    return f"/{file.repository}/resolve/{file.revision}/{file.path}"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in ended.stderr
    return ended


def states() -> dict[str, str]:
    return {row["id"]: row["state"] for row in json.loads(run("list", "--json").stdout)["weights"]}


@pytest.mark.usefixtures("hub")
def test_the_life_of_weights(folder: Path) -> None:
    assert states()[ID] == "not installed"
    got = run("get", ID)
    assert (got.returncode, got.stdout) == (0, f"{folder / ID}\n")
    assert (folder / ID / "Real-ESRGAN-x4plus.onnx").read_bytes() == CONTENT
    assert json.loads((folder / ID / FILE_NAME).read_text())["files"][0]["sha256"] == SHA256
    assert states()[ID] == "installed"
    assert run("verify").stdout == f"{ID}: ok\n"
    with (folder / ID / "Real-ESRGAN-x4plus.onnx").open("r+b") as file:
        file.write(b"damaged")
    damaged = run("verify", ID)
    assert damaged.returncode == 1
    assert "Real-ESRGAN-x4plus.onnx: changed" in damaged.stdout
    assert damaged.stderr.startswith("error: weights_incomplete: ")
    assert run("remove", ID).returncode == 0
    assert states()[ID] == "not installed"


def test_the_list_names_ids_licences_and_states(folder: Path) -> None:
    listed = run("list").stdout
    assert all(word in listed for word in ("uvmap-id", "buffalo-l", "manual", "mit"))
    assert not folder.exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_download_that_was_ended_is_gone_on_with(
    server: FileServer, hub: Served, folder: Path, number: signal.Signals
) -> None:
    hub.faults = ["hold"]
    part = folder / ".partial" / ID / "Real-ESRGAN-x4plus.onnx.part"
    with subprocess.Popen([*COMMAND, "get", ID], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: part.exists() and part.stat().st_size > len(CONTENT) // 4)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    server.released.set()
    assert server.fired["hold"] == 1
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "cancelled: Cancelled; what has come is kept." in errors
        assert "Traceback" not in errors
    else:
        assert process.returncode == -signal.SIGKILL
    here = part.stat().st_size
    assert states()[ID] == f"partial {100 * here // len(CONTENT)} %"
    assert run("get", ID).returncode == 0
    assert server.ranged(path_on_hub()) == [f"bytes={here}-"]
    assert hashlib.sha256((folder / ID / "Real-ESRGAN-x4plus.onnx").read_bytes()).hexdigest() == SHA256
    assert states()[ID] == "installed"


@pytest.mark.usefixtures("hub")
def test_a_licence_is_accepted_by_its_id(server: FileServer, folder: Path) -> None:
    for arguments in ([], ["--accept-licence", "mit"]):
        refused = run("get", "buffalo-l", *arguments)
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: licence_not_accepted: ")
        assert "--accept-licence insightface-research" in refused.stderr
    assert server.seen == []
    licence = load_catalogue().get("ip-adapter-faceid-sd15").licence
    tried = run("get", "ip-adapter-faceid-sd15", "--accept-licence", licence.id)
    assert "error: download_failed: There is no file" in tried.stderr
    assert licences.is_accepted(folder, licence)
    assert "licence_not_accepted" not in run("get", "ip-adapter-faceid-sd15").stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["get", "realesrgan"], "weights_unknown: "),
        (["get", "uvmap-id"], "weights_missing: "),
        (["verify", "sface"], "weights_missing: "),
        (["remove", "../etc"], "weights_unknown: "),
        (["import", "nowhere"], "weights_missing: "),
        (["import", "/dev/null", "--as", "UPPER"], "weights_unknown: "),
        (["import", ".", "--for", "fun"], "weights_unknown: "),
        (["convert", "sface", "out"], "weights_missing: "),
    ],
)
@pytest.mark.usefixtures("folder")
def test_mistakes_are_named_and_the_way_out(arguments: list[str], says: str) -> None:
    failed = run(*arguments)
    assert failed.returncode == (2 if says.startswith("weights_unknown") else 1)
    assert failed.stderr.startswith(f"error: {says}")
    assert len(failed.stderr.splitlines()) == 2


def test_tiny_weights_are_made_converted_and_brought_in(folder: Path, tmp_path: Path) -> None:
    # In this process: torch takes its time to start, and three commands would wait for it.
    def say(*arguments: object) -> str:
        result = CliRunner().invoke(app, ["weights", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        return result.stdout

    tiny, fused = tmp_path / "tiny", tmp_path / "fused"
    assert say("make-tiny", tiny) == f"{tiny}\n"
    assert say("convert", tiny / "uvmap-id-b", fused, "--dtype", "float32") == f"{fused}\n"
    assert say("import", fused, "--as", "mine") == f"{folder / 'mine'}\n"
    assert WeightsStore(folder).default("texture") == "mine"
    assert states()["mine"] == "installed"
    assert say("convert", "mine", tmp_path / "again")
    assert (tmp_path / "again" / "manifest.json").exists()


def test_doctor_tells_of_weights(folder: Path, state: Path) -> None:
    checks = {check.name: check for check in examine()}
    assert checks["weights"].state == CheckState.OPTIONAL
    assert "uvmap-id weights list" in checks["weights"].fix
    assert str(folder) in checks["weights folder"].detail
    assert checks["onnxruntime"].detail
