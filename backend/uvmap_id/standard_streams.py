"""The standard streams of a process that speaks with another one over stdin and stdout."""

from __future__ import annotations

import os
from typing import IO

STDIN, STDOUT, STDERR = 0, 1, 2


def take_standard_streams() -> tuple[IO[bytes], IO[bytes]]:
    """What was stdin and stdout, for us alone.

    Libraries print to stdout, from C too: from now on they get stderr, and an empty stdin.
    """
    lines = os.fdopen(os.dup(STDIN), "rb")
    out = os.fdopen(os.dup(STDOUT), "wb")
    os.dup2(STDERR, STDOUT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, STDIN)
    os.close(nothing)
    return lines, out
