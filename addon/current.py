"""What lives from `register` to `unregister`, for whoever needs it: the one place where the extension keeps state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .faces import FaceChecks
from .link.errors import Failure
from .session import Session
from .snapshot import Snapshot

if TYPE_CHECKING:
    from .casting import Casting
    from .history import History


@dataclass(slots=True)
class Current:
    """What lives.

    Attributes:
        session: The jobs.
        faces: What is known of photos.
        history: What was made.
        snapshot: What panels draw; made anew by each tick in which something changed.
        hashes: Of photos' contents, by the files' path, size and time.
        cast: The newest run of a cast.
        refused: Why the newest click came to nothing, by the scene's `session_uid`.
    """

    session: Session
    faces: FaceChecks
    history: History
    snapshot: Snapshot = field(default_factory=Snapshot)
    hashes: dict[tuple[str, int, int], str] = field(default_factory=dict)
    cast: Casting | None = None
    refused: dict[int, Failure] = field(default_factory=dict)


_current: Current | None = None


def begin(current: Current) -> None:
    """Called by `runtime.register`."""
    global _current
    _current = current


def end() -> Current | None:
    """Called by `runtime.unregister`. Returns what lived."""
    global _current
    ended, _current = _current, None
    return ended


def is_open() -> bool:
    """True between `register` and `unregister`."""
    return _current is not None


def current() -> Current:
    """All of it."""
    if _current is None:
        raise RuntimeError("The UVMap-ID extension is not enabled.")
    return _current


def session() -> Session:
    """The open session."""
    return current().session


def faces() -> FaceChecks:
    """What is known of photos."""
    return current().faces


def history() -> History:
    """What was made."""
    return current().history
