"""What a body model's pickle may name, and the inert stand-in that each name gets.

Nothing that a pickle names is ever imported. A stand-in holds what it was called with and the state that it was
given; what that means is decided afterwards, in `arrays`, by code that looks at data only.
"""

from __future__ import annotations

from typing import Any


class Inert:
    """A value of a pickle that is not plain Python.

    Attributes:
        arguments: What the global was called with.
        state: What the pickle's BUILD gave it, or None.
    """

    # Without a dictionary of their own, and with a `__setstate__`, BUILD can reach no other attribute.
    __slots__ = ("arguments", "state")

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Inert:
        """Hold the arguments."""
        made = super().__new__(cls)
        made.arguments, made.state = arguments, None
        return made

    def __setstate__(self, state: Any) -> None:
        """Hold the state."""
        self.state = state


class Reconstruct(Inert):
    """numpy's and copyreg's makers of empty objects: the first argument is the class."""

    __slots__ = ()


class Array(Inert):
    """numpy's array."""

    __slots__ = ()


class Buffer(Inert):
    """numpy's array from a buffer: (buffer, dtype, shape, order)."""

    __slots__ = ()


class Dtype(Inert):
    """numpy's type of an array's items."""

    __slots__ = ()


class Encoded(Inert):
    """Bytes that Python 3 wrote for Python 2 to read: (text, "latin1"), or nothing for none."""

    __slots__ = ()


class Sparse(Inert):
    """A matrix of scipy.sparse."""

    __slots__ = ()


class SparseColumns(Sparse):
    """By compressed columns: "data", "indices", "indptr"."""

    __slots__ = ()


class SparseRows(Sparse):
    """By compressed rows: "data", "indices", "indptr"."""

    __slots__ = ()


class SparseCoordinates(Sparse):
    """By coordinates: "data", and "row" and "col", or "coords" with both."""

    __slots__ = ()


class Ch(Inert):
    """chumpy's array: its state holds the values as "x"."""

    __slots__ = ()


class Select(Inert):
    """chumpy's reordering by indices: "a", "idxs", "preferred_shape"."""

    __slots__ = ()


class Reshape(Inert):
    """chumpy's reshaping: "a", "newshape"."""

    __slots__ = ()


class Transpose(Inert):
    """chumpy's transposition: "a", "axes"."""

    __slots__ = ()


class Other(Inert):
    """Named by real files beside their arrays, and of no use here: scalars, sets, the class `object`."""

    __slots__ = ()


_SPARSE = {"csc": SparseColumns, "csr": SparseRows, "coo": SparseCoordinates}

GLOBALS: dict[tuple[str, str], type[Inert]] = {
    # numpy 2 moved `core` to `_core`; Python 3 renamed `copy_reg` and `__builtin__`.
    **{(f"numpy.{core}.multiarray", "_reconstruct"): Reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): Other for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): Buffer for core in ("core", "_core")},
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): Dtype,
    ("_codecs", "encode"): Encoded,
    **{(module, "bytes"): Encoded for module in ("__builtin__", "builtins")},
    **{(module, "_reconstructor"): Reconstruct for module in ("copy_reg", "copyreg")},
    **{(module, name): Other for module in ("__builtin__", "builtins") for name in ("object", "set")},
    **{
        (f"scipy.sparse.{hidden}{name}", f"{name}_{shape}"): kind
        for hidden in ("", "_")
        for name, kind in _SPARSE.items()
        for shape in ("matrix", "array")
    },
    ("chumpy.ch", "Ch"): Ch,
    ("chumpy.reordering", "Select"): Select,
    ("chumpy.reordering", "Reshape"): Reshape,
    ("chumpy.reordering", "transpose"): Transpose,
}
