"""A file server for the tests of weights, and an environment without proxies, tokens and stores of the user's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import FileServer, running

from uvmap_id.weights.store import DIR_VARIABLE

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "hf_endpoint", "hf_token")


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
