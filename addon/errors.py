"""From exceptions to sentences: the one place where the unexpected is caught."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from .link.errors import ErrorCode, Failure, UVMapError

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


def attempt(action: Callable[[], Result], context: str = "") -> Result | Failure:
    """Do something for a person; what goes wrong comes back as a `Failure`, and the unexpected is logged.

    Args:
        action: What to do.
        context: Who does it to what, for the log.
    """
    try:
        return action()
    except UVMapError as error:
        return error.failure
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody at a button, and a timer that raises is lost.
        _log.exception("unexpected%s", f" in {context}" if context else "")
        return Failure(
            ErrorCode.INTERNAL.value,
            f"Something unexpected happened ({type(error).__name__}: {error}).",
            "The extension's log says more; please report it.",
        )
