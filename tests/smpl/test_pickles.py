"""The restricted reader of pickles: it reads what numpy, scipy and chumpy wrote, and runs nothing."""

from __future__ import annotations

import builtins
import os
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from addon.smpl.arrays import array_of
from addon.smpl.inert import GLOBALS, Inert
from addon.smpl.pickles import load_inert
from addon.smpl.refusal import RefusedError
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from smpl_files import make_model, write_python2_pickle

PROTOCOLS = (2, 3, 4, 5)
NUMBERS = st.sampled_from(["<f4", ">f8", "<u4", "<i8", "u1", "<f2"])


@given(
    array=st_numpy.arrays(NUMBERS, st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)),
    protocol=st.sampled_from(PROTOCOLS),
    fortran=st.booleans(),
)
def test_arrays_come_as_they_were_written(array: np.ndarray, protocol: int, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran else array
    read = array_of(load_inert(pickle.dumps({"x": array}, protocol))["x"])
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@given(
    dense=st_numpy.arrays(
        np.float64,
        st_numpy.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.sampled_from([0.0, 0.0, 0.0, 1.0, -2.5]),
    ),
    kind=st.sampled_from(["csc_matrix", "csr_matrix", "coo_matrix", "csc_array", "csr_array", "coo_array"]),
    protocol=st.sampled_from(PROTOCOLS),
)
def test_sparse_matrices_come_dense(dense: np.ndarray, kind: str, protocol: int) -> None:
    matrix = getattr(scipy.sparse, kind)(dense)
    np.testing.assert_array_equal(array_of(load_inert(pickle.dumps(matrix, protocol))), dense)


def test_what_python_2_and_chumpy_wrote(tmp_path: Path) -> None:
    arrays = make_model("SMPL", correctives=False)
    model = load_inert(write_python2_pickle(tmp_path / "smpl.pkl", arrays).read_bytes())
    assert model["bs_style"] == "lbs"
    for name, array in arrays.items():
        np.testing.assert_array_equal(array_of(model[name]), array)


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.call[0], self.call[1:])


def _hostile(marker: Path) -> dict[str, bytes]:
    """Pickles that would make the file `marker`, or get closer to it, in any reader that trusts them."""
    touch = f"open({str(marker)!r}, 'w')"
    calls = {
        "os.system": Calls(os.system, f"touch {marker}"),
        "eval": Calls(builtins.eval, touch),
        "exec": Calls(builtins.exec, touch),
        "getattr": Calls(builtins.getattr, "os", "system"),
        "numpy.load": Calls(np.load, str(marker)),
        "numpy.fromfile": Calls(np.fromfile, str(marker)),
        "bytearray": Calls(bytearray, 2**40),
        "import": Calls(__import__, "antigravity"),
    }
    found = {f"{name} {number}": pickle.dumps(call, number) for name, call in calls.items() for number in PROTOCOLS}
    by_name = {
        "numpy.f2py": b"cnumpy.f2py.crackfortran\nmyeval\n.",
        "numpy's exec": b"cnumpy.testing._private.utils\nrunstring\n(U\x00}tR.",
        "attribute": b"\x80\x04\x8c\x05numpy\x8c\x0bload.system\x93.",
        "attribute of a stand-in": b"\x80\x04\x8c\x05numpy\x8c\x0fdtype.__class__\x93.",
        "own module": b"caddon.smpl.inert\nInert\n.",
        "not text": b"\x80\x04K\x01K\x02\x93.",
        "old class": b"(ios\nsystem\n.",
        "object": b"(cos\nsystem\no.",
        "extension": b"\x82\x01.",
        "persistent": b"Pname\n.",
        "buffer": b"\x80\x05\x97.",
        "new with keywords": b"\x80\x04cnumpy\ndtype\n)}\x92.",
    }
    return found | by_name


@pytest.mark.parametrize("name", list(_hostile(Path("x"))))
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "ran"
    hostile = _hostile(marker)[name]
    with pytest.raises(RefusedError) as caught:
        load_inert(hostile)
    assert not marker.exists()
    if name.startswith("os.system"):
        assert 'asks for "posix.system"' in caught.value.reason or 'asks for "nt.system"' in caught.value.reason


def _global(name: str) -> bytes:
    return f"c{name}\n".encode()


@pytest.mark.parametrize(
    "tampering",
    [
        # BUILD on a class, on an instance with attributes to set, and on plain values.
        _global("numpy\ndtype") + b"}U\x0b__setstate__I1\nsb.",
        _global("numpy\ndtype") + b"N}U\x08__init__I1\ns\x86b.",
        b"]}U\x06appendI1\nsb.",
        b"}}U\x03getI1\nsb.",
        # A stand-in is no function, no list, no dictionary, no set.
        _global("chumpy.ch\nCh") + b")RI1\n\x85R.",
        _global("chumpy.ch\nCh") + b")RI1\na.",
        _global("chumpy.ch\nCh") + b")RI1\nI2\ns.",
        _global("chumpy.ch\nCh") + b")R(I1\n\x90.",
        b"U\x02os)R.",
    ],
)
def test_stand_ins_can_not_be_tampered_with(tampering: bytes) -> None:
    with pytest.raises(RefusedError):
        load_inert(tampering)


def test_a_stand_ins_state_reaches_nothing() -> None:
    names = (b"__class__", b"__reduce__", b"arguments", b"find_class")
    state = b"}" + b"".join(b"U" + bytes([len(name)]) + name + b"I1\ns" for name in names)
    held = load_inert(_global("chumpy.ch\nCh") + b")R" + state + b"b.")
    assert type(held) is GLOBALS["chumpy.ch", "Ch"]
    assert held.arguments == ()
    assert set(held.state) == {name.decode() for name in names}
    assert all(issubclass(kind, Inert) and not callable(kind()) for kind in GLOBALS.values())


class _Claims:
    """An array with whatever shape it claims."""

    def __init__(self, shape: tuple[int, ...], data: bytes, dtype: str) -> None:
        self.state = (1, shape, np.dtype(dtype), False, data)

    def __reduce__(self) -> tuple[Any, ...]:
        maker = np.zeros(1).__reduce__()
        return (maker[0], maker[1], self.state)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((2**40,), "f8"),
        ((2**31, 2**31, 2**31), "f8"),
        ((-1,), "f8"),
        ((2,), "O"),
        ((1, 1, 1, 1, 1), "f8"),
        ((3,), "M8"),
    ],
)
def test_arrays_that_claim_more_than_they_hold(shape: tuple[int, ...], dtype: str) -> None:
    held = load_inert(pickle.dumps(_Claims(shape, bytes(8), dtype), 2))
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError):
            array_of(held)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "greedy",
    [
        b"Nr\xff\xff\xff\x7f.",  # The memo's end.
        b"Np999999999\n.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",  # A bytearray of a terabyte.
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",
        b"I" + b"9" * 1_000_000 + b"\n.",
        b")" + b"\x85" * 100_000 + b"}" + b".",  # Tuples in tuples, deep enough for a crash when hashed.
        b"]" * 100_000 + b".",
    ],
)
def test_greedy_pickles_are_refused_before_they_run(greedy: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError):
            load_inert(greedy)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [3, 40, 10**6])
def test_frames_hold_whole_instructions(size: int) -> None:
    """The machine would be left with a buffer in use by a bytearray that ends behind its frame."""
    whole = pickle.dumps({"x": np.arange(6.0)}, 5)
    start = whole.index(b"\x95") + 1
    with pytest.raises(RefusedError):
        load_inert(whole[:start] + struct.pack("<Q", size) + whole[start + 8 :])


@given(data=st.binary(max_size=200))
@example(b"")
@example(b".")
@example(b"(.")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        array_of(load_inert(data))
    except RefusedError:
        return


@given(cut=st.integers(0, 2000), value=st.integers(0, 255), place=st.integers(0, 2000))
def test_damaged_pickles_are_read_or_refused(cut: int, value: int, place: int) -> None:
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    whole = bytearray(pickle.dumps({"a": np.arange(4.0), "b": matrix}, 2))
    whole[place % len(whole)] = value
    damaged = bytes(whole[: max(cut % (2 * len(whole)), 1)])
    try:
        model = load_inert(damaged)
        for item in model.values() if isinstance(model, dict) else ():
            array_of(item)
    except RefusedError:
        return
