"""How the session comes by a backend."""

from __future__ import annotations

from typing import Protocol

from .link.client import Client
from .link.connection import Connection


class Launching(Protocol):
    """What the session needs of `link.launcher.Launch`."""

    def poll(self) -> Connection | None:
        """The connection of a server that answers, or None while there is none yet."""
        ...

    def take_client(self) -> Client | None:
        """The client that such a server has answered already, if there is one: the caller's from now on."""
        ...

    def close(self) -> None:
        """Stop looking."""
        ...


class Elsewhere:
    """In the place of a launch: a backend on another computer is there or not, and can't be started from here."""

    def __init__(self, connection: Connection) -> None:
        """How to reach it."""
        self._connection = connection

    def poll(self) -> Connection:
        """The connection."""
        return self._connection

    def take_client(self) -> None:
        """None has been connected."""

    def close(self) -> None:
        """Nothing is held."""
