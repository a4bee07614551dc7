"""Arrays from numpy's files, also from strangers: no object is made, and nothing at all before its size is known."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .smpl.refusal import RefusedError

# Kinds of items, as numpy's `dtype.kind` has them.
NUMBERS, NUMBERS_AND_TEXT = "fiub", "fiubUS"

_MOST_MEMBERS = 1_000
_LARGEST_NUMBER = 8
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_arrays(path: Path, names: Collection[str], limit: int, kinds: str = NUMBERS) -> dict[str, NDArray[Any]]:
    """The arrays of these names that are in an .npz file; what else it holds is not looked at.

    Args:
        path: The file.
        names: What to look for.
        limit: The most bytes that all of them may have.
        kinds: What they may hold.

    Raises:
        RefusedError: The file is damaged, too large, or one of the arrays holds something else.
        OSError: The file can't be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if item.filename.removesuffix(".npy") in names]
            if len(archive.infolist()) > _MOST_MEMBERS or sum(item.file_size for item in members) > limit:
                raise RefusedError(f"it unpacks to more than {limit // 1_000_000} MB")
            return {item.filename.removesuffix(".npy"): _member(archive, item, kinds) for item in members}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError("it is no .npz file, or a damaged one") from error


def array_in(data: bytes, name: str, kinds: str = NUMBERS) -> NDArray[Any]:
    """The array in the content of an .npy file.

    Raises:
        RefusedError: It holds objects, something else than `kinds`, or another number of bytes than it says.
    """
    dtype, shape, fortran, start = npy_header(data)
    if dtype.hasobject:
        raise RefusedError(
            f'its array "{name}" holds Python objects, which could run a program',
            "Save that array as plain numbers, or use the model's .pkl file, which is read without running anything.",
        )
    if dtype.kind not in kinds or (dtype.kind in NUMBERS and dtype.itemsize > _LARGEST_NUMBER):
        raise RefusedError(f'its array "{name}" holds something else than numbers')
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise RefusedError(f'the size of its array "{name}" differs from its content')
    if dtype.itemsize == 0:
        # Texts without a letter: numpy makes no array of a buffer without bytes.
        return np.zeros(shape, dtype)
    return np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")


def npy_header(data: bytes) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """(dtype, shape, whether in Fortran's order, where the content starts) of an .npy file.

    Raises:
        RefusedError: It is no .npy file.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran, dtype = _HEADERS[version](stream)
    except (ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError) as error:
        raise RefusedError("it is no .npy file, or a damaged one") from error
    if any(size < 0 for size in shape):
        raise RefusedError("it holds an array of an impossible shape")
    return dtype, shape, fortran, stream.tell()


def _member(archive: zipfile.ZipFile, item: zipfile.ZipInfo, kinds: str) -> NDArray[Any]:
    # What unpacks to more than its entry says is cut there, and then its checksum is wrong.
    with archive.open(item) as file:
        return array_in(file.read(item.file_size), item.filename.removesuffix(".npy"), kinds)
