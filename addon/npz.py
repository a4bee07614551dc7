"""Arrays from .npz files of strangers: nothing is unpickled, and every size is known before it is read."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

_SUFFIX = ".npy"
_LONGEST_HEADER = 1024
# Numbers, texts and bytes; not "O", Python's objects. Old Pythons wrote their long integers with an "L".
_HEADER = re.compile(
    rb"\{'descr': '([<>|=][biufUS]\d{1,4})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,19}L?(?:, ?\d{1,19}L?)*)?,?)\), \}\s*"
)


def read_arrays(path: Path, names: Collection[str], limit: int) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file that have one of some names; the others are not looked at.

    Args:
        path: The file.
        names: What to look for.
        limit: The most bytes that all of them may have.

    Raises:
        OSError: The file can't be read.
        ValueError: It is no .npz file, too large, or holds objects where numbers belong; says which.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(_SUFFIX): info for info in archive.infolist()}
            wanted = {name: members[name] for name in names if name in members}
            if sum(info.file_size for info in wanted.values()) > limit:
                raise ValueError(f"its arrays have more than {limit // 1_000_000} MB")
            return {name: _read(archive, info, name) for name, info in wanted.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"it is no sound .npz file ({error})") from error
    except (NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is packed in a way that numpy never writes ({error})") from error


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> NDArray[Any]:
    with archive.open(info) as file:
        kind, order, shape = _header(file, name)
        # Python's integers don't overflow, whatever the header claims.
        size = math.prod(shape) * kind.itemsize
        content = file.read(size) if size <= info.file_size else b""
    if len(content) != size:
        raise ValueError(f'its array "{name}" is shorter than it says')
    return np.frombuffer(content, dtype=kind).reshape(shape, order=order)


def _header(file: IO[bytes], name: str) -> tuple[np.dtype[Any], Literal["C", "F"], tuple[int, ...]]:
    """What numpy's own `.npy` header says, which is the only thing that is understood: no Python is evaluated."""
    start = file.read(8)
    width = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}.get(start)
    if width is None:
        raise ValueError(f'its array "{name}" is none of numpy\'s')
    length = int.from_bytes(file.read(width), "little")
    found = _HEADER.fullmatch(file.read(min(length, _LONGEST_HEADER)))
    if found is None:
        raise ValueError(f'its array "{name}" holds something else than plain numbers')
    kind, fortran, shape = (group.decode("ascii") for group in found.groups())
    sides = tuple(int(side) for side in re.findall(r"\d+", shape))
    try:
        return np.dtype(kind), "F" if fortran == "True" else "C", sides
    except TypeError as error:
        raise ValueError(f'its array "{name}" holds the unknown kind of number {kind}') from error
