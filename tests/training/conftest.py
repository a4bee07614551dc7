"""A small dataset and small weights that everything here is trained from, and the training as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from training_witness import Witness

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

Changes = dict[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Modules this small are not worth a second thread, least of all on a busy machine."""
    torch = pytest.importorskip("torch", reason="the extra [diffusion] is not installed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from benchmarks import small_world

    folder = tmp_path_factory.mktemp("training") / "weights"
    small_world.write_weights(folder, (8, 16), prediction="epsilon")
    return folder


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from benchmarks import small_world

    folder = tmp_path_factory.mktemp("training") / "dataset"
    small_world.write_dataset(folder, 5)
    return folder


@pytest.fixture
def values(small_weights: Path, small_dataset: Path, tmp_path: Path) -> Callable[..., Changes]:
    """A configuration's values: few steps, and what a test changes."""

    def make(**changes: dict[str, Any]) -> Changes:
        given: Changes = {
            "data": {"dataset": str(small_dataset), "size": 32},
            "model": {"weights": str(small_weights), "identity": "zero"},
            "prior": {"images": 2, "steps": 2},
            "lora": {},
            "training": {"steps": 4, "learning_rate": 1e-3},
            "output": {
                "folder": str(tmp_path / "run"),
                "checkpoint_every": 0,
                "sample_every": 0,
                "samples": 2,
                "sample_steps": 2,
            },
        }
        for table, settings in changes.items():
            given[table] |= settings
        return given

    return make


@pytest.fixture
def config_file(tmp_path: Path) -> Callable[[Changes], Path]:
    """Writes values as TOML."""

    def write(values: Changes) -> Path:
        lines = []
        for table, settings in values.items():
            # JSON's numbers, texts and truth values are TOML's.
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
        path = tmp_path / "config.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `python -m MODULE ...` with the backend on its path; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str, **more: str) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "backend"), "OMP_NUM_THREADS": "1"} | more
        process = subprocess.Popen(
            [sys.executable, "-m", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def witness() -> Witness:
    return Witness()
