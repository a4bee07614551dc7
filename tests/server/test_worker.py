"""The worker process by itself: idle engines rest, and it ends with a lost engine, for want of memory, or orphaned."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from uvmap_id.link.messages import Failed, Progress
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.words import SAVING, Finished, Leaving, Ready, Run, Stop, Word, from_line, to_line

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from scripted_worker import ScriptedEngine, texture_set
from uvmap_id.engines.base import EngineLostError
from uvmap_id.link.errors import ErrorCode
from uvmap_id.worker import serve

class Engine(ScriptedEngine):
    rests = 0
    spared = False

    def __init__(self, name):
        self.name = name

    def spare(self):
        self.spared = True
        return self.name == "uvmap-id"

    def rest(self):
        self.rests += 1

    def generate(self, request, photos, report):
        if request.prompt == "memory":
            raise MemoryError
        if request.prompt == "spare" and not self.spared:
            raise RuntimeError("MPS backend out of memory")
        if request.prompt == "lost":
            raise EngineLostError(ErrorCode.DEVICE_LOST, "The card is gone.", "Try again.")
        return texture_set(request.size, 0, {"rests": self.rests})

serve(Engine, lambda name: "best" if name == "auto" else name, rest_after_s=0.2)
"""


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


def run(worker: subprocess.Popen[bytes], folder: Path, prompt: str, engine: str = "auto") -> Finished | Failed:
    return words_of(worker, folder, prompt, engine)[-1]  # pyright: ignore[reportReturnType]


def words_of(
    worker: subprocess.Popen[bytes], folder: Path, prompt: str, engine: str = "auto", size: int = 512
) -> list[Word]:
    """All that the worker says until the job has ended."""
    photo = folder / "photo"
    photo.write_bytes(b"a photo")
    out = folder / "out"
    out.mkdir(exist_ok=True)
    for file in out.iterdir():
        file.unlink()
    assert worker.stdin is not None
    assert worker.stdout is not None
    request = TextureRequest("0" * 64, prompt, size=size, engine=engine)
    worker.stdin.write(to_line(Run("job", request, (str(photo),), str(out))))
    worker.stdin.flush()
    words: list[Word] = []
    while not words or not isinstance(words[-1], Finished | Failed):
        words.append(from_line(worker.stdout.readline()))
    return words


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


def test_it_says_when_it_has_come_up(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert words_of(worker, tmp_path, "jeans")[0] == Ready()
    assert Ready() not in words_of(worker, tmp_path, "jeans")


def test_it_says_that_it_leaves_before_its_last_answer(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    *_, leaving, failed = words_of(worker, tmp_path, "lost")
    assert leaving == Leaving()
    assert isinstance(failed, Failed)


def test_an_engine_that_can_do_with_less_is_asked_once_more(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    *_, leaving, finished = words_of(worker, tmp_path, "spare", "uvmap-id")
    assert isinstance(finished, Finished)
    # What ran out once is not to be trusted with the next job.
    assert leaving == Leaving()
    assert worker.wait(timeout=10) == 0
    assert b"once more with less" in error_output(worker)


def test_memory_that_runs_out_twice_is_an_answer(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    failed = run(worker, tmp_path, "memory", "uvmap-id")
    assert isinstance(failed, Failed)
    assert failed.code == "out_of_memory"
    assert failed.hint
    assert worker.wait(timeout=10) == 0
    assert error_output(worker).count(b"Traceback") == 2


def test_an_engine_that_needs_all_it_takes_is_not_asked_again(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    failed = run(worker, tmp_path, "memory", "projection")
    assert isinstance(failed, Failed)
    assert failed.code == "out_of_memory"
    assert worker.wait(timeout=10) == 0
    assert error_output(worker).count(b"Traceback") == 1


def test_other_engines_give_way(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    run(worker, tmp_path, "jeans", "uvmap-id")
    failed = run(worker, tmp_path, "memory", "projection")
    assert isinstance(failed, Failed)
    assert worker.wait(timeout=10) == 0
    assert error_output(worker).count(b"Traceback") == 2


def test_each_map_that_is_saved_is_a_sign_of_life(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    words = words_of(worker, tmp_path, "jeans", size=2048)
    saving = [word for word in words if isinstance(word, Progress) and word.stage == SAVING]
    assert len(saving) > 1


def test_a_job_that_was_stopped_can_be_run_again(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert worker.stdin is not None
    run(worker, tmp_path, "jeans")
    worker.stdin.write(to_line(Stop("job")))
    assert isinstance(run(worker, tmp_path, "jeans"), Finished)


def error_output(worker: subprocess.Popen[bytes]) -> bytes:
    assert worker.stderr is not None
    return worker.stderr.read()
