"""Texts that can be made unreadable for good: each is sealed with a key that can be overwritten in its place.

A database leaves copies of what it deletes in unused parts of its pages and in its log, and no setting of SQLite
prevents all of them. So prompts and the like go into it sealed, and what is forgotten is the job's key. The keys
stand in a file of slots of one size, which is changed only in place.

A seal is `nonce + check + text XOR SHAKE256(key + nonce)`. It keeps nobody out who can read the key file.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

KEY_SIZE = 32

_NONCE_SIZE = 16
_CHECK_SIZE = 8
_GROW_SLOTS = 128
_EMPTY = bytes(KEY_SIZE)


class SealError(Exception):
    """A sealed text can't be read: its key is gone or not the right one, or the text was damaged."""


class KeyFile:
    """The keys of all jobs whose texts are still needed, each in a slot with a number."""

    def __init__(self, path: Path, used: Iterable[int]) -> None:
        """Open or create the file, and overwrite keys that an interrupted change left behind. Raises `OSError`.

        Args:
            path: The file; readable by its owner alone.
            used: The slots that are still needed.
        """
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor = os.open(path, flags, 0o600)
        content = os.read(self._descriptor, os.fstat(self._descriptor).st_size)
        keys = [content[start : start + KEY_SIZE] for start in range(0, len(content), KEY_SIZE)]
        wanted = set(used)
        self._keys = {slot: keys[slot] for slot in wanted if slot < len(keys) and len(keys[slot]) == KEY_SIZE}
        # A slot that is needed but not there is no free one: its key may come back with a backup of the file.
        self._slots = len(content) // KEY_SIZE
        self._free = [slot for slot in range(self._slots) if slot not in wanted]
        self._reserved = wanted
        self.forget([slot for slot in self._free if keys[slot] != _EMPTY])
        heapq.heapify(self._free)

    def new(self, count: int) -> list[int]:
        """The slots of so many new keys, which are on the disk when this returns. Raises `OSError`."""
        self._grow(count)
        slots = heapq.nsmallest(count, self._free)
        made = {slot: secrets.token_bytes(KEY_SIZE) for slot in slots}
        for slot, key in made.items():
            self._write(slot, key)
        _sync(self._descriptor)
        for _ in slots:
            heapq.heappop(self._free)
        self._keys |= made
        return slots

    def forget(self, slots: Sequence[int]) -> None:
        """Overwrite keys, and wait until the disk has it. Raises `OSError`."""
        if not slots:
            return
        for slot in slots:
            self._write(slot, _EMPTY)
        _sync(self._descriptor)
        for slot in slots:
            if self._keys.pop(slot, None) is not None:
                heapq.heappush(self._free, slot)

    def seal(self, slot: int, text: bytes) -> bytes:
        """The text, readable only with the slot's key. Raises `SealError` where that is gone."""
        key, nonce = self._key(slot), secrets.token_bytes(_NONCE_SIZE)
        return nonce + _check(key, nonce, text) + _mask(key, nonce, text)

    def open(self, slot: int, sealed: bytes) -> bytes:
        """The text that was sealed. Raises `SealError`."""
        key, nonce = self._key(slot), sealed[:_NONCE_SIZE]
        check, masked = sealed[_NONCE_SIZE : _NONCE_SIZE + _CHECK_SIZE], sealed[_NONCE_SIZE + _CHECK_SIZE :]
        text = _mask(key, nonce, masked)
        if _check(key, nonce, text) != check:
            raise SealError(f"What was sealed with the key in slot {slot} is damaged.")
        return text

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _key(self, slot: int) -> bytes:
        try:
            return self._keys[slot]
        except KeyError:
            raise SealError(f"There is no key in slot {slot}.") from None

    def _grow(self, count: int) -> None:
        while len(self._free) < count:
            fresh = [slot for slot in range(self._slots, self._slots + _GROW_SLOTS) if slot not in self._reserved]
            self._write(self._slots, _EMPTY * _GROW_SLOTS)
            self._slots += _GROW_SLOTS
            for slot in fresh:
                heapq.heappush(self._free, slot)

    def _write(self, slot: int, content: bytes) -> None:
        os.lseek(self._descriptor, slot * KEY_SIZE, os.SEEK_SET)
        while content:
            content = content[os.write(self._descriptor, content) :]


def _check(key: bytes, nonce: bytes, text: bytes) -> bytes:
    return hashlib.blake2b(text, key=key, salt=nonce, digest_size=_CHECK_SIZE).digest()


def _mask(key: bytes, nonce: bytes, text: bytes) -> bytes:
    size = len(text)
    stream = hashlib.shake_256(key + nonce).digest(size)
    return (int.from_bytes(text, "little") ^ int.from_bytes(stream, "little")).to_bytes(size, "little")


def _sync(descriptor: int) -> None:
    # Windows and macOS don't have the one that leaves out the times.
    getattr(os, "fdatasync", os.fsync)(descriptor)
