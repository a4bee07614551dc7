"""From exceptions to sentences: the one place where the unexpected is caught."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from .link.errors import ErrorCode, Failure, UVMapError

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


def attempt(action: Callable[[], Result]) -> Result | Failure:
    """Do something for a person; what goes wrong comes back as a `Failure`, and the unexpected is logged."""
    try:
        return action()
    except UVMapError as error:
        return error.failure
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody at a button, and a timer that raises is lost.
        _log.exception("unexpected")
        return Failure(
            ErrorCode.INTERNAL.value,
            f"Something unexpected happened ({type(error).__name__}: {error}).",
            "Blender's console says more; please report it.",
        )
