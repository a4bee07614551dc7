"""The first words between a client and the server: which protocol to speak, or one sentence why there is none."""

from __future__ import annotations

import dataclasses

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import OLDEST_PROTOCOL, PROTOCOL, Hello, Welcome


def agreed(hello: Hello, welcome: Welcome) -> Welcome:
    """The answer to `Hello`: `welcome`, with the highest protocol that both sides speak.

    Raises:
        UVMapError: `backend_incompatible`: there is none.
    """
    lowest = hello.lowest or hello.protocol
    protocol = min(hello.protocol, PROTOCOL)
    if protocol < max(lowest, OLDEST_PROTOCOL):
        raise incompatible(hello)
    return dataclasses.replace(welcome, protocol=protocol)


def incompatible(hello: Hello) -> UVMapError:
    """The one sentence for a client of another major version."""
    older, newer = ("client", "backend") if hello.protocol < OLDEST_PROTOCOL else ("backend", "client")
    return UVMapError(
        ErrorCode.BACKEND_INCOMPATIBLE,
        f"The {older} is too old for its {newer}: the client speaks protocol {hello.protocol}, the backend {PROTOCOL}.",
        'Update both to the same version, then run "uvmap-id stop".',
    )
