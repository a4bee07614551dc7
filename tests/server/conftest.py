"""The pool of the tests beside this file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pool_bench import TEST_VARIABLE, Bench, marked


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A pool with the scripted worker; no process of it outlives the test."""
    monkeypatch.setenv(TEST_VARIABLE, str(tmp_path))
    bench = Bench(tmp_path)
    yield bench
    bench.close()
    assert marked(tmp_path) == []
