"""From the command to the files, through the real server and worker, on tiny weights."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

pytest.importorskip("torch", reason="the extra [diffusion] is not installed")
pytest.importorskip("insightface", reason="the extra [diffusion] is not installed")

from tiny_identity import marked

from uvmap_id.generate import BACKEND_COMMAND
from uvmap_id.link.client import Client
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.launcher import ensure_server
from uvmap_id.link.messages import Preview, Progress
from uvmap_id.link.request import DiffusionSettings, TextureRequest
from uvmap_id.weights.store import DIR_VARIABLE

OPTIONS = ("--prompt", "white shirt", "--subject", "asian woman", "--engine", "uvmap-id", "--size", "512")


@pytest.fixture
def photo() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(marked(skimage.data.astronaut())).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def client(state: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Of a real server, which finds the tiny weights."""
    monkeypatch.setenv(DIR_VARIABLE, str(weights_folder))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with Client.connect(ensure_server(BACKEND_COMMAND), "test") as client:
        yield client


def generate(face: Path, out: Path, *options: str) -> str:
    """Runs the command; what it said on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "uvmap_id", "generate", "--face", str(face), "--out", str(out), *OPTIONS, *options],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_command_makes_the_same_files_twice(client: Client, photo: bytes, tmp_path: Path) -> None:
    face = tmp_path / "face.png"
    face.write_bytes(photo)
    written = []
    for name in ("one", "two"):
        assert "know text alone" not in generate(face, tmp_path / name, "--steps", "2", "--anchor", "0.5")
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {"base_color.png", "normal.png", "roughness.png", "manifest.json"}
    manifest = json.loads(written[0]["manifest.json"])
    assert manifest["engine"]["name"] == "uvmap-id"
    assert manifest["details"]["weights"] == "uvmap-id"
    assert str(tmp_path) not in written[0]["manifest.json"].decode()
    said = generate(face, tmp_path / "text", "--steps", "1", "--weights", "text-only")
    assert "warning: The weights text-only know text alone" in said


def test_a_cancel_is_heard_within_a_step_and_the_worker_lives_on(client: Client, photo: bytes) -> None:
    def submit(steps: int, weights: str = "") -> str:
        settings = DiffusionSettings(steps=steps, weights=weights)
        digest = hashlib.sha256(photo).hexdigest()
        request = TextureRequest(digest, "jeans", "asian man", "uvmap-id", 512, diffusion=settings)
        return client.submit(request, (photo,))

    job = submit(200)
    heard: list[Progress | Preview] = []
    deadline = time.monotonic() + 120
    while not any(isinstance(word, Preview) for word in heard):
        assert time.monotonic() < deadline
        heard += [word for word in client.poll() if isinstance(word, Progress | Preview)]
        time.sleep(0.01)
    client.cancel(job)
    with pytest.raises(UVMapError) as caught:
        client.wait(job, heard.append, timeout_s=30)
    assert caught.value.failure.code == ErrorCode.CANCELLED
    steps = [word.stage for word in heard if isinstance(word, Progress) and "step" in word.stage]
    assert len(steps) < 190
    with pytest.raises(UVMapError) as caught:
        client.wait(submit(1, "no-such-weights"), timeout_s=30)
    assert caught.value.failure.code == ErrorCode.WEIGHTS_UNKNOWN
    assert client.wait(submit(1), timeout_s=120).manifest["details"]["steps"] == 1
