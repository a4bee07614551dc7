"""A reader of pickles that runs nothing: every global is refused by name or becomes an inert stand-in.

A pickle is a program for a small stack machine. Before it runs, its instructions are read through: unknown ones,
names that no body model needs, and what would fill the memory are refused without anything having been made.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

from .inert import GLOBALS, Inert
from .refusal import RefusedError

# Instructions that files of the SMPL family are made of. Left out: extension codes, persistent ids, buffers from
# outside, and the instructions that make instances of old-style classes.
_OPCODES = frozenset(
    "PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 "
    "FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND "
    "APPENDS EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET ADDITEMS FROZENSET GET BINGET LONG_BINGET PUT BINPUT "
    "LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD".split()
)
_MEMO_WRITES = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_NESTING = frozenset(("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"))
_FRAME_HEAD = 9
# A real file has some hundreds of each.
_MOST_OPCODES = 20_000
# Python hashes nested tuples with recursion that nothing stops.
_MOST_TUPLES = 4_000


def load_inert(data: bytes) -> Any:
    """Read a pickle, of Python 2 or 3, as plain Python values and `Inert` stand-ins.

    Args:
        data: The whole pickle; Python 2's strings are read as Latin-1, which keeps their bytes.

    Raises:
        RefusedError: It names a global that no body model needs, is damaged, or would fill the memory.
    """
    _scan(data)
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except RefusedError:
        raise
    except (
        *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
        *(RecursionError, MemoryError),
    ) as error:
        raise RefusedError("its pickle is damaged") from error


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[Inert]:
        """The stand-in for a global; nothing is imported."""
        return _stand_in(module, name)


def _stand_in(module: str, name: str) -> type[Inert]:
    found = GLOBALS.get((module, name))
    if found is None:
        # What a hostile file calls itself is not to fill the screen.
        raise RefusedError(
            f'its pickle asks for "{module[:60]}.{name[:60]}", which no body model needs',
            "Don't trust this file: it may be hostile. Get the model from where it is published.",
        )
    return found


def _scan(data: bytes) -> None:
    """Read the instructions without following them. Raises `RefusedError`."""
    count = tuples = last = frame_end = 0
    try:
        for opcode, argument, position in pickletools.genops(data):
            start, is_frame = position or 0, opcode.name == "FRAME"
            # The machine takes in a frame at a time, and trips over an instruction that goes on behind it.
            if last < frame_end < start or (is_frame and start < frame_end):
                raise RefusedError("its pickle is damaged")
            if is_frame:
                frame_end = start + _FRAME_HEAD + int(argument or 0)
            last = start
            count += 1
            tuples += opcode.name in _NESTING
            if opcode.name not in _OPCODES:
                raise RefusedError(f"its pickle holds the instruction {opcode.name}, which no body model needs")
            if opcode.name == "GLOBAL":
                _stand_in(*str(argument).split(" ", 1))
            # The machine's memory grows to the index, whatever is in between.
            if opcode.name in _MEMO_WRITES and int(argument or 0) > count:
                raise RefusedError("its pickle is damaged")
            if count > _MOST_OPCODES or tuples > _MOST_TUPLES:
                raise RefusedError("its pickle holds far more objects than a body model has")
    except RefusedError:
        raise
    except (ValueError, ArithmeticError, LookupError, MemoryError) as error:
        raise RefusedError("its pickle is damaged or ends early") from error
