"""A dead worker's ways, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from uvmap_id.engines.memory import ran_out_of_memory
from uvmap_id.link.errors import ErrorCode
from uvmap_id.server.deaths import DeathKind, Remains, describe, last_words

LOG = Path("worker-1.log")

DEATHS = {
    "killed": (-9, True, DeathKind.KILLED, "most often means that the memory ran out"),
    "killed before it spoke": (-9, False, DeathKind.KILLED, "SIGKILL"),
    "a wrong instruction": (-4, True, DeathKind.CRASHED, "this processor doesn't have"),
    "a signal without a sentence": (-31, True, DeathKind.CRASHED, "SIGSYS"),
    "a signal without a name": (-62, True, DeathKind.CRASHED, "signal 62"),
    "an exit": (3, True, DeathKind.CRASHED, "ended with exit code 3: ValueError: a reason"),
    "an exit at start": (1, False, DeathKind.START_FAILED, "could not be started"),
    "a crash at start": (-11, False, DeathKind.START_FAILED, "segmentation fault"),
    "Windows: a crash": (0xC0000005, True, DeathKind.CRASHED, "access violation, 0xC0000005"),
    "not waited for": (None, True, DeathKind.CRASHED, "ended"),
}


@pytest.mark.parametrize(("code", "spoke", "kind", "sentence"), DEATHS.values(), ids=DEATHS.keys())
def test_each_way_has_its_words(code: int | None, spoke: bool, kind: DeathKind, sentence: str) -> None:
    remains = Remains(code, spoke, False, ("Traceback", "ValueError: a reason"), LOG)
    found, failure = describe(remains)
    assert found is kind
    assert sentence in failure.message
    assert failure.code == ErrorCode.WORKER_DIED
    assert failure.hint
    assert "{log}" not in failure.hint


def test_the_systems_own_count_makes_it_certain() -> None:
    _, failure = describe(Remains(-9, True, True, (), LOG))
    assert failure.message.startswith("The memory ran out")


@pytest.mark.parametrize("verdict", [DeathKind.STALLED, DeathKind.IGNORED_CANCEL, DeathKind.NONSENSE])
def test_what_the_server_killed_for_is_what_is_told(verdict: DeathKind) -> None:
    kind, failure = describe(Remains(-9, True, True, (), LOG, 61.4), verdict)
    assert kind is verdict
    assert "memory" not in failure.message
    assert (failure.code == ErrorCode.WORKER_STALLED) == (verdict is DeathKind.STALLED)
    assert str(LOG) in failure.hint


def test_the_best_line_is_our_own_error() -> None:
    assert last_words(("error: no disk", "a later line")) == "no disk"
    assert last_words(("first", "", "last ", " ")) == "last"
    assert last_words(()) == ""


class OutOfMemoryError(RuntimeError):
    """As torch has one."""


ERRORS = {
    "Python's": (MemoryError(), True),
    "the system's": (OSError(12, "Cannot allocate memory"), True),
    "torch's": (OutOfMemoryError("CUDA"), True),
    "torch's on the CPU": (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), True),
    "OpenCV's": (
        Exception("error: (-4:Insufficient memory) no 9 in function 'OutOfMemoryError'"),
        True,
    ),
    "a full disk": (OSError(28, "No space left on device"), False),
    "another": (ValueError("a mistake"), False),
}


@pytest.mark.parametrize(("error", "is_memory"), ERRORS.values(), ids=ERRORS.keys())
def test_out_of_memory_is_known_by_many_words(error: Exception, is_memory: bool) -> None:
    assert ran_out_of_memory(error) is is_memory
