"""Which engines there are, by the name that a request calls them."""

from __future__ import annotations

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import ENGINES

from .base import Engine


def create_engine(name: str) -> Engine:
    """A new engine, with what it needs loaded.

    Args:
        name: One of `ENGINES`; "auto" is the best one that can run.

    Raises:
        UVMapError: `engine_unknown`, `engine_unavailable`, or what the engine needs is missing.
    """
    if name in ("auto", "projection"):
        # Imported here, so that a worker loads the one engine that it runs.
        from uvmap_id.engines.projection.engine import ProjectionEngine

        return ProjectionEngine()
    if name == "uvmap-id":
        raise UVMapError(
            ErrorCode.ENGINE_UNAVAILABLE,
            'The engine "uvmap-id" is not part of this version.',
            'Choose the engine "projection", which needs no weights.',
        )
    raise UVMapError(ErrorCode.ENGINE_UNKNOWN, f'There is no engine "{name}".', f"Choose one of {', '.join(ENGINES)}.")
