"""One tiny checkpoint in every layout, copies of it for tests that break something, and a file server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from file_server import FileServer, running

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.store import DIR_VARIABLE
from uvmap_id.weights.tiny import TinyWeights, make_tiny

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "hf_endpoint", "hf_token")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyWeights]:
    """The layouts by name; not to be changed."""
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def copy_of(tiny: dict[str, TinyWeights], tmp_path: Path) -> Callable[[str], Path]:
    """Copies a layout's folder or file to where the test may break it."""

    def copy(name: str) -> Path:
        source, target = tiny[name].path, tmp_path / tiny[name].path.name
        if source.is_file():
            return Path(shutil.copy(source, target))
        return Path(shutil.copytree(source, target))

    return copy


@pytest.fixture
def refused() -> Callable[..., AbstractContextManager[object]]:
    """Expects a named error whose message holds some words, and that says what to do."""

    class Refused:
        def __init__(self, code: ErrorCode, *words: str) -> None:
            self.code, self.words = code, words

        def __enter__(self) -> None:
            return None

        def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> bool:
            if error is not None and not isinstance(error, UVMapError):
                return False
            assert isinstance(error, UVMapError), "nothing was refused"
            assert error.failure.code == self.code.value, error
            assert all(word in error.failure.message for word in self.words), error
            assert error.failure.hint, error
            return True

    return Refused


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server = FileServer()
    with running(server):
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store's folder, which does not exist yet."""
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "store"))
    return tmp_path / "store"
