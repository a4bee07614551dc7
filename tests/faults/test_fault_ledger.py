"""The table adds up, and it shows what must never happen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ledger import LEDGER_VARIABLE, Entry, percentile, read, tables, total


def test_entries_are_written_read_and_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.jsonl"
    monkeypatch.setenv(LEDGER_VARIABLE, str(path))
    Entry("a", faults=9).write()
    Entry("b", faults=2, accepted=3, ended=3, kill_s=[0.5]).write()
    Entry("a", faults=1, accepted=1, ended=1, kill_s=[1.5], figures={"growth": "1 MB"}).write()
    entries = read([path])
    assert [entry.scenario for entry in entries] == ["a", "b"]
    whole = total(entries)
    assert (whole.faults, whole.accepted, whole.ended, whole.kill_s) == (3, 4, 4, [1.5, 0.5])
    assert whole.is_clean
    assert "| a | 1 | 0 | 1 | 0, 0, 0 | growth 1 MB |" in tables(entries)


@pytest.mark.parametrize("name", ["lost", "twice", "wrong", "strangers", "personal_bytes", "orphans", "accepted"])
def test_whatever_must_not_happen_is_not_clean(name: str) -> None:
    entry = dataclasses.replace(Entry("a"), **{name: 1})
    assert not entry.is_clean
    assert getattr(total([entry]), name) == 1


def test_percentiles() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(range(1000), 0.99) == 990
