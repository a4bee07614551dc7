"""Texts that can be made unreadable for good: each is sealed with a key that can be replaced in its place.

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


class SealError(Exception):
    """A sealed text can't be read: its key is gone or not the right one, or the text was damaged."""


class KeyFile:
    """Random keys in numbered slots. All slots hold one, also those that nothing is sealed with yet.

    So a new job needs no change of the file, and a key that is forgotten is replaced by the next one.
    """

    def __init__(self, path: Path, used: Iterable[int]) -> None:
        """Open or create the file, and replace all keys that nothing readable should be sealed with. Raises `OSError`.

        Args:
            path: The file; readable by its owner alone.
            used: The slots that are still needed. One that the file lacks stays reserved; its text can't be read.
        """
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor = os.open(path, flags, 0o600)
        self._table = bytearray(os.read(self._descriptor, os.fstat(self._descriptor).st_size))
        self._table = self._table[: len(self._table) // KEY_SIZE * KEY_SIZE]
        self._reserved = set(used)
        self._free: list[int] = []
        # A server that died may have been about to forget any of them.
        self.forget([slot for slot in range(self._slots) if slot not in self._reserved])

    def take(self, count: int) -> list[int]:
        """So many slots whose keys are new and on the disk. Raises `OSError`."""
        while len(self._free) < count:
            self._grow()
        return [heapq.heappop(self._free) for _ in range(count)]

    def forget(self, slots: Sequence[int]) -> None:
        """Replace keys, and wait until the disk has it; then the slots are free. Raises `OSError`."""
        if not slots:
            return
        for slot in slots:
            if slot < self._slots:
                self._write(slot, secrets.token_bytes(KEY_SIZE))
        _sync(self._descriptor)
        for slot in slots:
            self._reserved.discard(slot)
            if slot < self._slots:
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
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    @property
    def _slots(self) -> int:
        return len(self._table) // KEY_SIZE

    def _key(self, slot: int) -> bytes:
        if not 0 <= slot < self._slots:
            raise SealError(f"There is no key in slot {slot}.")
        return bytes(self._table[slot * KEY_SIZE : (slot + 1) * KEY_SIZE])

    def _grow(self) -> None:
        first = self._slots
        self._write(first, secrets.token_bytes(KEY_SIZE * _GROW_SLOTS))
        _sync(self._descriptor)
        for slot in range(first, first + _GROW_SLOTS):
            if slot not in self._reserved:
                heapq.heappush(self._free, slot)

    def _write(self, slot: int, keys: bytes) -> None:
        start = slot * KEY_SIZE
        os.lseek(self._descriptor, start, os.SEEK_SET)
        rest = memoryview(keys)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._table[start : start + len(keys)] = keys


def _check(key: bytes, nonce: bytes, text: bytes) -> bytes:
    return hashlib.blake2b(text, key=key, salt=nonce, digest_size=_CHECK_SIZE).digest()


def _mask(key: bytes, nonce: bytes, text: bytes) -> bytes:
    size = len(text)
    stream = hashlib.shake_256(key + nonce).digest(size)
    return (int.from_bytes(text, "little") ^ int.from_bytes(stream, "little")).to_bytes(size, "little")


def _sync(descriptor: int) -> None:
    # Windows and macOS don't have the one that leaves out the times.
    getattr(os, "fdatasync", os.fsync)(descriptor)
