"""How every command tells a person that something failed, and with which exit code it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer

from uvmap_id.link.errors import ErrorCode, Failure, UVMapError

EXIT_FAILED = 1
EXIT_BAD_ARGUMENTS = 2
EXIT_CANCELLED = 130

_BAD_ARGUMENTS = frozenset(
    {
        ErrorCode.FACE_FILE_MISSING,
        ErrorCode.FACE_FILE_TOO_LARGE,
        ErrorCode.PROMPT_EMPTY,
        ErrorCode.PROMPT_TOO_LONG,
        ErrorCode.SUBJECT_TOO_LONG,
        ErrorCode.TEXT_INVALID,
        ErrorCode.SIZE_NOT_OFFERED,
        ErrorCode.SEED_OUT_OF_RANGE,
        ErrorCode.RELIGHT_OUT_OF_RANGE,
        ErrorCode.SETTINGS_UNREADABLE,
        ErrorCode.CONFIG_INVALID,
        ErrorCode.SETTING_OUT_OF_RANGE,
        ErrorCode.REGION_INCOMPLETE,
        ErrorCode.SCHEDULER_UNKNOWN,
        ErrorCode.EMBEDDING_INVALID,
        ErrorCode.COUNTS_DIFFER,
        ErrorCode.WEIGHTS_UNKNOWN,
        ErrorCode.ENGINE_UNKNOWN,
        ErrorCode.METRIC_UNKNOWN,
    }
)


def exit_code(failure: Failure) -> int:
    """2 for what was wrong with the arguments, 1 for what went wrong afterwards."""
    return EXIT_BAD_ARGUMENTS if failure.code in _BAD_ARGUMENTS else EXIT_FAILED


@contextlib.contextmanager
def errors_reported() -> Iterator[None]:
    """Turn a failure into its code and sentence on stderr and an exit code. Every command runs in it."""
    try:
        yield
    except UVMapError as error:
        print_failure(error.failure)
        raise typer.Exit(exit_code(error.failure)) from None
    except KeyboardInterrupt:
        print_failure(Failure(ErrorCode.CANCELLED.value, "Cancelled; nothing was written."))
        raise typer.Exit(EXIT_CANCELLED) from None


def print_failure(failure: Failure) -> None:
    """Say on stderr what went wrong, and the way out."""
    typer.echo(f"error: {failure.code}: {failure.message}", err=True)
    if failure.hint:
        typer.echo(f"  {failure.hint}", err=True)
