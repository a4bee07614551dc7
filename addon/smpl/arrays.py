"""From inert stand-ins to numpy arrays: sizes are compared with the bytes that are there before anything is made."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .inert import (
    Array,
    Buffer,
    Ch,
    Dtype,
    Encoded,
    Inert,
    Reconstruct,
    Reshape,
    Select,
    Sparse,
    SparseColumns,
    SparseRows,
    Transpose,
)
from .refusal import RefusedError

_ITEM = re.compile(r"f[248]|[iu][1248]|b1")
_ORDERS = {"<": "<", ">": ">", "|": "=", "=": "="}
_MOST_DIMENSIONS = 4
_MOST_WRAPPERS = 8
# A dense regressor of SMPL-X's 55 joints has 0.6 million items, SUPR's has 7 million.
_MOST_DENSE_ITEMS = 64_000_000


def array_of(value: Any, depth: int = 0) -> NDArray[Any]:
    """The array that a stand-in stands for; sparse matrices come dense.

    Raises:
        RefusedError: It is no array of numbers, or what it says of itself does not fit.
    """
    if isinstance(value, np.ndarray):
        return value
    if depth > _MOST_WRAPPERS or not isinstance(value, Inert):
        raise RefusedError("it holds something else where an array should be")
    if isinstance(value, Buffer):
        return _from_buffer(value)
    kind = _kind_of(value)
    if kind is Array:
        return _from_state(value.state)
    fields = _fields(value)
    if issubclass(kind, Sparse):
        return _dense(kind, fields)
    if kind is Ch:
        return array_of(fields.get("x"), depth + 1)
    if kind in (Select, Reshape, Transpose):
        return _reordered(kind, array_of(fields.get("a"), depth + 1), fields)
    raise RefusedError("it holds something else where an array should be")


def object_in(value: Any) -> Any:
    """The one object in an array of objects without dimensions, as `numpy.save` keeps a dictionary."""
    state = value.state if isinstance(value, Inert) else None
    if isinstance(state, tuple) and len(state) == 5 and state[1] == () and isinstance(state[4], list) and state[4]:
        return state[4][0]
    raise RefusedError("it holds no body model")


def _kind_of(value: Inert) -> type:
    """Which class the stand-in is an instance of, also where a maker of empty objects made it."""
    if isinstance(value, Reconstruct):
        kind = value.arguments[0] if value.arguments else None
        return kind if isinstance(kind, type) else Reconstruct
    return type(value)


def _fields(value: Inert) -> dict[str, Any]:
    if not isinstance(value.state, dict):
        raise RefusedError("it holds an array without content")
    return value.state


def _from_state(state: Any) -> NDArray[Any]:
    """As numpy writes it: (version, shape, dtype, Fortran's order, bytes)."""
    if not isinstance(state, tuple) or len(state) != 5:
        raise RefusedError("it holds an array without content")
    _, shape, dtype, fortran, data = state
    return _shaped(_bytes_of(data), _dtype_of(dtype), shape, "F" if fortran else "C")


def _from_buffer(value: Buffer) -> NDArray[Any]:
    if len(value.arguments) != 4:
        raise RefusedError("it holds an array without content")
    data, dtype, shape, order = value.arguments
    return _shaped(_bytes_of(data), _dtype_of(dtype), shape, "F" if order == "F" else "C")


def _bytes_of(data: Any) -> bytes | bytearray:
    if isinstance(data, Encoded):
        data = data.arguments[0] if data.arguments else b""
    if isinstance(data, bytes | bytearray):
        return data
    if not isinstance(data, str):
        raise RefusedError("it holds objects instead of numbers", "Save the model's arrays as plain numbers.")
    try:
        return data.encode("latin1")
    except UnicodeEncodeError as error:
        raise RefusedError("it holds text instead of numbers") from error


def _dtype_of(value: Any) -> np.dtype[Any]:
    name = value.arguments[0] if isinstance(value, Dtype) and value.arguments else None
    state = value.state if isinstance(value, Dtype) else None
    order = _ORDERS.get(str(state[1])) if isinstance(state, tuple) and len(state) > 1 else "="
    if not isinstance(name, str) or order is None or not _ITEM.fullmatch(name):
        raise RefusedError("it holds an array of something else than numbers")
    return np.dtype(order + name)


def _shaped(data: bytes | bytearray, dtype: np.dtype[Any], shape: Any, order: Any) -> NDArray[Any]:
    shape = _shape_of(shape)
    if math.prod(shape) * dtype.itemsize != len(data):
        raise RefusedError("it holds an array whose size differs from its content")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _shape_of(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, tuple | list) else (value,)
    if len(items) > _MOST_DIMENSIONS or not all(type(item) is int and item >= 0 for item in items):
        raise RefusedError("it holds an array of an impossible shape")
    return tuple(items)


def _reordered(kind: type, array: NDArray[Any], fields: dict[str, Any]) -> NDArray[Any]:
    try:
        if kind is Reshape:
            return array.reshape(_counts(fields.get("newshape")))
        if kind is Transpose:
            axes = fields.get("axes")
            return array.transpose(None if axes is None else _shape_of(axes))
        chosen = array.ravel()[_indices(fields.get("idxs"), array.size)]
        shape = fields.get("preferred_shape")
        return chosen if shape is None else chosen.reshape(_counts(shape))
    except (ValueError, TypeError) as error:
        raise RefusedError("it holds an array of an impossible shape") from error


def _counts(value: Any) -> tuple[int, ...]:
    """A shape in which -1 may stand for what is left."""
    items = value if isinstance(value, tuple | list) else array_of(value).ravel().tolist()
    if len(items) > _MOST_DIMENSIONS or not all(isinstance(item, int) for item in items):
        raise RefusedError("it holds an array of an impossible shape")
    return tuple(items)


def _indices(value: Any, limit: int) -> NDArray[np.int64]:
    array = array_of(value)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise RefusedError("it holds indices that are no numbers")
    if array.size and (array.min() < 0 or array.max() >= limit):
        raise RefusedError("it holds indices that lead out of an array")
    return array.astype(np.int64)


def _dense(kind: type, fields: dict[str, Any]) -> NDArray[np.float64]:
    """A sparse matrix written out: by compressed columns, compressed rows, or coordinates."""
    shape = _shape_of(fields.get("_shape", fields.get("shape")))
    if len(shape) != 2 or math.prod(shape) > _MOST_DENSE_ITEMS:
        raise RefusedError("it holds a sparse matrix of an impossible shape")
    values = array_of(fields.get("data"))
    if kind is SparseColumns:
        columns = _expanded(fields, shape[1], values.size)
        rows = _indices(fields.get("indices"), shape[0])
    elif kind is SparseRows:
        rows = _expanded(fields, shape[0], values.size)
        columns = _indices(fields.get("indices"), shape[1])
    else:
        coords = fields.get("coords", (fields.get("row"), fields.get("col")))
        if not isinstance(coords, tuple) or len(coords) != 2:
            raise RefusedError("it holds a sparse matrix without content")
        rows, columns = (_indices(item, limit) for item, limit in zip(coords, shape, strict=True))
    if values.ndim != 1 or values.dtype.kind not in "fiu" or not len(values) == len(rows) == len(columns):
        raise RefusedError("it holds a sparse matrix whose parts differ in length")
    dense = np.zeros(shape)
    np.add.at(dense, (rows, columns), values)
    return dense


def _expanded(fields: dict[str, Any], count: int, stored: int) -> NDArray[np.int64]:
    """From where each row (or column) starts to the row (or column) of each item."""
    starts = _indices(fields.get("indptr"), stored + 1)
    lengths = np.diff(starts)
    if len(starts) != count + 1 or starts[0] != 0 or starts[-1] != stored or (lengths < 0).any():
        raise RefusedError("it holds a sparse matrix whose parts differ in length")
    return np.repeat(np.arange(count), lengths)
