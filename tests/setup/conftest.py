"""A package index on this computer, and a set-up that uses it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from package_index import PackageIndex, make_backend, serving, stock, variables
from setup_place import PATIENCE_S, Place, Setup, State


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PackageIndex]:
    with serving() as index:
        # Before the variables: pip itself comes from where this computer usually has it from.
        stock(index, tmp_path / "requirements")
        for name, value in variables(index).items():
            monkeypatch.setenv(name, value)
        yield index


@pytest.fixture
def place(index: PackageIndex, tmp_path: Path) -> Iterator[Place]:
    setup = Setup()
    yield Place(tmp_path / "root", tmp_path / "requirements", make_backend(tmp_path / "wheels"), setup)
    setup.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished set-up to copy: only what is tried out needs to run in each test."""
    folder = tmp_path_factory.mktemp("template")
    with serving() as index, pytest.MonkeyPatch.context() as patch:
        stock(index, folder / "requirements")
        for name, value in variables(index).items():
            patch.setenv(name, value)
        place = Place(folder / "root", folder / "requirements", make_backend(folder / "wheels"), Setup())
        assert place.run() is State.DONE, place.setup.failure
    return folder / "root"


@pytest.fixture
def prepared(place: Place, template: Path) -> Place:
    """A place that has its tools already."""
    place.root.mkdir()
    shutil.copytree(template / "tools", place.root / "tools", symlinks=True)
    return place


@pytest.fixture
def installed(place: Place, template: Path) -> Place:
    """A place where all is installed."""
    shutil.copytree(template, place.root, symlinks=True)
    return place


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool], Setup], None]:
    """Ticks until something is true."""

    def wait(condition: Callable[[], bool], setup: Setup) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"it did not happen: {setup.state} {setup.failure}"
            setup.tick()
            time.sleep(0.02)

    return wait
