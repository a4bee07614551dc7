"""Keys in slots: what is sealed with one that was replaced can't be read again."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.server.seals import KEY_SIZE, KeyFile, SealError


@given(st.binary(max_size=3000))
def test_what_is_sealed_can_be_opened(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    with closing(KeyFile(tmp_path_factory.mktemp("keys") / "keys", [])) as keys:
        (slot,) = keys.take(1)
        sealed, again = keys.seal(slot, text), keys.seal(slot, text)
        assert keys.open(slot, sealed) == keys.open(slot, again) == text
        assert sealed != again, "the same text never looks the same"
        assert len(text) < 8 or text not in sealed


def test_slots_are_used_again_with_other_keys(tmp_path: Path) -> None:
    with closing(KeyFile(tmp_path / "keys", [])) as keys:
        slots = keys.take(300)
        assert len(set(slots)) == 300
        sealed = {slot: keys.seal(slot, b"text") for slot in slots}
        keys.forget(slots[:10])
        assert sorted(keys.take(10)) == sorted(slots[:10])
        for slot in slots[:10]:
            with pytest.raises(SealError):
                keys.open(slot, sealed[slot])
        assert keys.open(slots[10], sealed[slots[10]]) == b"text"


def test_keys_outlive_the_process_and_others_dont(tmp_path: Path) -> None:
    with closing(KeyFile(tmp_path / "keys", [])) as keys:
        wanted, other = keys.take(2)
        sealed = {slot: keys.seal(slot, b"text") for slot in (wanted, other)}
    with closing(KeyFile(tmp_path / "keys", [wanted])) as keys:
        assert keys.open(wanted, sealed[wanted]) == b"text"
        with pytest.raises(SealError):
            keys.open(other, sealed[other])
        assert wanted not in keys.take(400)


@pytest.mark.parametrize("size", [0, 1, KEY_SIZE, 5 * KEY_SIZE + 7])
def test_a_key_file_that_was_cut_off_loses_only_what_it_lacks(tmp_path: Path, size: int) -> None:
    with closing(KeyFile(tmp_path / "keys", [])) as keys:
        slots = keys.take(10)
        sealed = {slot: keys.seal(slot, b"text") for slot in slots}
    os.truncate(tmp_path / "keys", size)
    with closing(KeyFile(tmp_path / "keys", slots)) as keys:
        for slot in slots:
            if slot < size // KEY_SIZE:
                assert keys.open(slot, sealed[slot]) == b"text"
            else:
                with pytest.raises(SealError):
                    keys.open(slot, sealed[slot])
        assert not set(keys.take(200)) & set(slots)
        for slot in slots[5:]:
            with pytest.raises(SealError):
                keys.open(slot, sealed[slot])
        keys.forget(slots)
        assert set(keys.take(10)) == set(slots)


@pytest.mark.parametrize("place", [0, 16, 24, -1])
def test_an_altered_seal_is_noticed(tmp_path: Path, place: int) -> None:
    with closing(KeyFile(tmp_path / "keys", [])) as keys:
        (slot,) = keys.take(1)
        sealed = bytearray(keys.seal(slot, b"text"))
        sealed[place] ^= 1
        with pytest.raises(SealError):
            keys.open(slot, bytes(sealed))
        with pytest.raises(SealError):
            keys.open(slot, b"")
