"""Out of memory, in the words of whoever noticed it. Knows none of the libraries that it knows the words of."""

from __future__ import annotations

import errno

# torch on a graphics card, torch on the CPU, OpenCV, ONNX Runtime, C++.
_SIGNS = (
    "out of memory",
    "DefaultCPUAllocator",
    "OutOfMemoryError",
    "Failed to allocate memory",
    "bad_alloc",
)


def ran_out_of_memory(error: Exception) -> bool:
    """True where an exception of an engine, whatever its type, says that there was not enough memory."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    names = {cls.__name__ for cls in type(error).__mro__}
    return "OutOfMemoryError" in names or any(sign in str(error) for sign in _SIGNS)
