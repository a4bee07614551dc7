"""How a worker died, in words for a person."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from uvmap_id.link.errors import ErrorCode, Failure

_SENTENCE_LIMIT = 300
_MEMORY_HINT = "Choose a smaller size or close other programs, then try again."


class DeathKind(StrEnum):
    """What ended a worker."""

    CRASHED = "crashed"
    KILLED = "killed"
    STALLED = "stalled"
    IGNORED_CANCEL = "ignored_cancel"
    NONSENSE = "nonsense"
    START_FAILED = "start_failed"


@dataclass(frozen=True, slots=True)
class Remains:
    """What is known of a dead worker.

    Attributes:
        code: As from `Popen.returncode`: the exit code, or the signal's number negated. None for a worker that was
            killed and could not be waited for.
        spoke: It had said a word.
        memory_ran_out: The system has ended a process for want of memory while it lived.
        tail: The last lines of its log.
        log: Where they are.
        silence_s: How long it had not reported.
    """

    code: int | None
    spoke: bool
    memory_ran_out: bool
    tail: Sequence[str]
    log: Path
    silence_s: float = 0.0


# What ended the process, and what to do about it; "" points to the log.
_SIGNALS = {
    "SIGSEGV": ("it crashed in a library's native code (segmentation fault", ""),
    "SIGBUS": ("a file that it had open was cut short, or the disk is full (bus error", "See that the disk has space."),
    "SIGILL": (
        "a library uses instructions that this processor doesn't have (illegal instruction",
        "Install a build of that library for this processor. The worker's log names it: {log}",
    ),
    "SIGFPE": ("it crashed in a library's native code (arithmetic error", ""),
    "SIGABRT": ("a library gave up, often for want of memory or of a working graphics card (abort", ""),
    "SIGTERM": ("another program ended it (terminated", "Try again."),
    "SIGINT": ("another program ended it (interrupted", "Try again."),
    "SIGHUP": ("another program ended it (hung up", "Try again."),
    "SIGXCPU": ("it used up the processor time that it may have (limit reached", "Raise the limit: ulimit -t"),
    "SIGXFSZ": ("it wrote a file longer than it may (limit reached", "Raise the limit: ulimit -f"),
}
# Windows has no signals; the codes with which it ends a process are NTSTATUS values.
_STATUSES = {
    0xC0000005: "it crashed in a library's native code (access violation",
    0xC000001D: "a library uses instructions that this processor doesn't have (illegal instruction",
    0xC0000017: "the memory ran out (no memory",
    0xC00000FD: "it crashed in a library's native code (stack overflow",
    0xC0000135: "a library's DLL was not found (DLL not found",
    0xC0000142: "a library's DLL could not be started (DLL initialisation failed",
    0xC000013A: "another program ended it (interrupted",
    0xC0000409: "it crashed in a library's native code (stack overrun",
}
_KILLED = frozenset(("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"))


def describe(remains: Remains, verdict: DeathKind | None = None) -> tuple[DeathKind, Failure]:
    """How a worker died, and the failure of what it was doing.

    Args:
        remains: What is left of it.
        verdict: Why the server killed it, where it did.
    """
    if verdict is not None:
        return verdict, _sentenced(remains, verdict)
    name = _signal_name(remains.code)
    if name == "SIGKILL":
        return DeathKind.KILLED, _killed(remains.memory_ran_out)
    kind = DeathKind.CRASHED if remains.spoke else DeathKind.START_FAILED
    if name:
        cause, hint = _SIGNALS.get(name, ("a signal ended it (unexpected", ""))
        kind = DeathKind.KILLED if name in _KILLED else kind
        return kind, _failure(f"The worker died: {cause}, {name}).", hint, remains.log)
    return kind, _exited(remains)


def last_words(lines: Sequence[str]) -> str:
    """The line that says best what went wrong; "" if there is none.

    Our own errors are printed as "error: ..."; otherwise it is the last line, where Python names the exception.
    """
    said = [line.strip() for line in lines if line.strip()]
    ours = [line for line in said if line.startswith("error:")]
    best = (ours or said or [""])[-1]
    return best.removeprefix("error:").strip()[:_SENTENCE_LIMIT]


def _signal_name(code: int | None) -> str:
    if code is None or code >= 0:
        return ""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _killed(memory_ran_out: bool) -> Failure:
    message = (
        "The memory ran out, so the system killed the worker (SIGKILL)."
        if memory_ran_out
        else "The worker was killed (SIGKILL), which most often means that the memory ran out."
    )
    return Failure(ErrorCode.WORKER_DIED.value, message, _MEMORY_HINT)


def _exited(remains: Remains) -> Failure:
    if remains.code in _STATUSES:
        return _failure(f"The worker died: {_STATUSES[remains.code]}, 0x{remains.code:08X}).", "", remains.log)
    said = last_words(remains.tail)
    what = "could not be started: it ended" if not remains.spoke else "ended"
    message = f"The worker {what} with exit code {remains.code}" + (f": {said}" if said else ".")
    return _failure(message, "Run: uvmap-id doctor. The worker's log: {log}", remains.log)


def _sentenced(remains: Remains, verdict: DeathKind) -> Failure:
    if verdict is DeathKind.STALLED:
        return Failure(
            ErrorCode.WORKER_STALLED.value,
            f"The worker had made no progress for {remains.silence_s:.0f} s and was ended.",
            f"Try again. The worker's log says where it stood: {remains.log}",
        )
    messages = {
        DeathKind.IGNORED_CANCEL: "The worker did not stop when it was asked to, and was ended.",
        DeathKind.NONSENSE: "The worker said something that makes no sense, and was ended.",
    }
    return _failure(messages.get(verdict, "The worker was ended."), "", remains.log)


def _failure(message: str, hint: str, log: Path) -> Failure:
    hint = hint or "Try again. The worker's log: {log}"
    return Failure(ErrorCode.WORKER_DIED.value, message, hint.format(log=log))
