"""Readers of numpy's own files that make nothing before its size is known, and never an object."""

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

from .refusal import RefusedError

# SMPL-X with 400 directions in double precision has 0.3 GB; SUPR 0.4 GB.
MOST_BYTES = 700_000_000
_MOST_MEMBERS = 1_000
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """The arrays of these names that are in an .npz file; what else it holds is not looked at.

    Raises:
        RefusedError: The file is damaged, unpacks to more than a body model, or one of the arrays holds objects.
        OSError: The file can't be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if item.filename.removesuffix(".npy") in names]
            if len(archive.infolist()) > _MOST_MEMBERS or sum(item.file_size for item in members) > MOST_BYTES:
                raise RefusedError("it unpacks to far more than a body model has")
            return {item.filename.removesuffix(".npy"): _member(archive, item) for item in members}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError("it is no .npz file, or a damaged one") from error


def array_in(data: bytes, name: str) -> NDArray[Any]:
    """The array of numbers in the content of an .npy file.

    Raises:
        RefusedError: It holds objects, something else than numbers, or another number of bytes than it says.
    """
    dtype, shape, fortran, start = npy_header(data)
    if dtype.hasobject:
        raise RefusedError(
            f'its array "{name}" holds Python objects, which could run a program',
            "Save that array as plain numbers, or use the model's .pkl file, which is read without running anything.",
        )
    if dtype.kind not in "fiub" or dtype.itemsize > np.dtype(np.float64).itemsize:
        raise RefusedError(f'its array "{name}" holds something else than numbers')
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise RefusedError(f'the size of its array "{name}" differs from its content')
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


def _member(archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> NDArray[Any]:
    # What unpacks to more than its entry says is cut there, and then its checksum is wrong.
    with archive.open(item) as file:
        return array_in(file.read(item.file_size), item.filename.removesuffix(".npy"))
