"""Body models from files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..link.errors import ErrorCode, UVMapError
from ..npz import npy_header, read_arrays
from .arrays import array_of, object_in
from .model import WANTED, BodyModel, model_from
from .pickles import load_inert
from .refusal import RefusedError

# SMPL-X with 400 directions in double precision has 0.3 GB; SUPR 0.4 GB.
MOST_BYTES = 700_000_000
_HINT = "Choose a .npz or .pkl file of SMPL, SMPL-H, SMPL-X or STAR, or SUPR's .npy, as it was published."


def read_model(path: Path) -> BodyModel:
    """Read a body model's file; nothing that is in it is run.

    Args:
        path: `.npz` or `.pkl`; `.npy` for SUPR, which comes as a dictionary in one.

    Raises:
        UVMapError: `body_unreadable`: it is damaged, hostile, too large, or no body model of a known family.
    """
    reader = READERS.get(path.suffix.lower())
    try:
        if reader is None:
            raise RefusedError(f'files ending in "{path.suffix}" hold no body model')
        if path.stat().st_size > MOST_BYTES:
            raise RefusedError(f"it has more than {MOST_BYTES // 10**6} MB, which no body model has")
        return model_from(reader(path))
    except RefusedError as error:
        raise _unreadable(path, error.reason, error.hint) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except MemoryError as error:
        raise _unreadable(path, "there is too little memory", "Close other programs.") from error


def _from_npz(path: Path) -> dict[str, NDArray[Any]]:
    return read_arrays(path, WANTED, MOST_BYTES)


def _from_pickle(path: Path) -> dict[str, NDArray[Any]]:
    return _arrays_in(load_inert(path.read_bytes()))


def _from_npy(path: Path) -> dict[str, NDArray[Any]]:
    data = path.read_bytes()
    dtype, shape, _, start = npy_header(data)
    if dtype != np.dtype(object) or shape != ():
        raise RefusedError("it holds no body model")
    return _arrays_in(object_in(load_inert(data[start:])))


def _arrays_in(found: Any) -> dict[str, NDArray[Any]]:
    if not isinstance(found, dict):
        raise RefusedError("it holds no body model")
    return {name: array_of(found[name]) for name in WANTED if name in found}


def _unreadable(path: Path, reason: str, hint: str = "") -> UVMapError:
    return UVMapError(ErrorCode.BODY_UNREADABLE, f"{path} can't be read as a body model: {reason}.", hint or _HINT)


READERS: dict[str, Callable[[Path], dict[str, NDArray[Any]]]] = {
    ".npz": _from_npz,
    ".pkl": _from_pickle,
    ".npy": _from_npy,
}
