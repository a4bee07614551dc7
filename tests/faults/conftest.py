"""Rigs for the fault tests. `UVMAP_ID_FAULTS=full` tries every fault as often as docs/reliability.md says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rig import Rig


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Makes a rig for a scenario; no process of it outlives the test."""
    rigs: list[Rig] = []

    def make(scenario: str, *options: str) -> Rig:
        folder = tmp_path / f"rig{len(rigs)}"
        folder.mkdir()
        rigs.append(Rig(folder, scenario, *options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.stop()
