"""Face embeddings as files: 512 numbers that say who somebody is, as insightface's `buffalo_l` measures them."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from uvmap_id.link.errors import ErrorCode, UVMapError

EMBEDDING_SIZE = 512
_NPY_MAGIC = b"\x93NUMPY"
_HINT = "Save `face.normed_embedding` of insightface's buffalo_l with numpy.save, or choose a photo instead."


def is_embedding(content: bytes) -> bool:
    """True for a numpy file, whatever it is called."""
    return content.startswith(_NPY_MAGIC)


def read_embedding(content: bytes) -> NDArray[np.float32]:
    """(512,) float32, L2-normalised, from a numpy file of shape (512,) or (1, 512).

    Raises:
        UVMapError: embedding_invalid, with what is wrong with it.
    """
    try:
        values = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise _invalid("can't be read: it is damaged, or holds Python objects") from error
    if values.dtype not in (np.float32, np.float64):
        raise _invalid(f"holds {values.dtype} and not float32")
    if values.shape not in ((EMBEDDING_SIZE,), (1, EMBEDDING_SIZE)):
        raise _invalid(f"has the shape {values.shape} and not ({EMBEDDING_SIZE},)")
    if not np.isfinite(values).all():
        raise _invalid("holds numbers that are not finite")
    if not values.any():
        raise _invalid("is zero all over")
    return normalised(values.ravel())


def normalised(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """The same direction at length 1."""
    # The largest first: squares of what fits a float64 may not fit it.
    wide = values.astype(np.float64)
    wide /= np.abs(wide).max()
    return (wide / np.linalg.norm(wide)).astype(np.float32)


def _invalid(what: str) -> UVMapError:
    return UVMapError(ErrorCode.EMBEDDING_INVALID, f"The face embedding {what}.", _HINT)
