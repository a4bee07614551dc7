"""The worker process by itself: it lets idle engines rest, and ends with an engine that is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from uvmap_id.link.messages import Failed
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.words import Finished, Run, from_line, to_line

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from scripted_worker import ScriptedEngine, texture_set
from uvmap_id.engines.base import EngineLostError
from uvmap_id.link.errors import ErrorCode
from uvmap_id.worker import serve

class Engine(ScriptedEngine):
    rests = 0

    def __init__(self, name):
        self.name = name

    def rest(self):
        self.rests += 1

    def generate(self, request, photos, report):
        if request.prompt == "lost":
            raise EngineLostError(ErrorCode.DEVICE_LOST, "The card is gone.", "Try again.")
        return texture_set(request.size, 0, {"rests": self.rests})

serve(Engine, lambda name: "best" if name == "auto" else name, rest_after_s=0.2)
"""


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def run(worker: subprocess.Popen[bytes], folder: Path, prompt: str, engine: str = "auto") -> Finished | Failed:
    photo = folder / "photo"
    photo.write_bytes(b"a photo")
    out = folder / "out"
    out.mkdir(exist_ok=True)
    for file in out.iterdir():
        file.unlink()
    assert worker.stdin is not None
    assert worker.stdout is not None
    request = TextureRequest("0" * 64, prompt, size=512, engine=engine)
    worker.stdin.write(to_line(Run("job", request, (str(photo),), str(out))))
    worker.stdin.flush()
    while True:
        word = from_line(worker.stdout.readline())
        if isinstance(word, Finished | Failed):
            return word


def test_engines_rest_once_when_there_is_no_work(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    rests = []
    for pause in (0.0, 0.0, 0.8):
        time.sleep(pause)
        finished = run(worker, tmp_path, "jeans")
        assert isinstance(finished, Finished)
        rests.append(finished.manifest["details"]["rests"])
    assert rests == [0, 0, 1]


def test_auto_becomes_the_engine_that_is_chosen(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    for engine in ("auto", "projection"):
        run(worker, tmp_path, "jeans", engine)
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        assert manifest["engine"]["name"] == ("best" if engine == "auto" else engine)


def test_a_lost_engine_ends_the_worker_after_its_answer(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    failed = run(worker, tmp_path, "lost")
    assert isinstance(failed, Failed)
    assert failed.failure.code == "device_lost"
    assert worker.wait(timeout=10) == 0
