"""One texture set in the making, as the session follows it."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from .link.errors import Failure
from .link.request import TextureRequest

# Before so much has been done in so many seconds, nothing can be said of the time that is left.
_FIRST_ESTIMATE, _FIRST_SECONDS = 0.005, 1.0
# The pace is that of the last reports, which are remembered this far apart.
_REMEMBERED, _APART_S = 24, 0.5


class JobState(StrEnum):
    """Where a job is. The last three are final."""

    STARTING = "starting"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True for the last three."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a job was asked for, so that its result finds its way back, also to a file that was opened again.

    Attributes:
        scene: The scene's `session_uid`.
        body: The body's `session_uid`.
        scene_name: The scene's name.
        body_name: The body's name.
        blend: The .blend's path; empty while it was not saved.
        home: The folder in which the maps' folder is to lie.
        place: The maps' folder itself, where it is not to be named by the job.
        faces: The files of the photos, as far as they are known.
    """

    scene: int = 0
    body: int = 0
    scene_name: str = ""
    body_name: str = ""
    blend: str = ""
    home: Path | None = None
    place: Path | None = None
    faces: tuple[str, ...] = ()


@dataclass(slots=True)
class Job:
    """One texture set in the making.

    Attributes:
        request: What was asked for.
        owner: The `session_uid` of the scene that asked.
        body: The `session_uid` of the object that gets the material.
        started: The clock's time at submission.
        id: The backend's name for it; empty until it was sent.
        state: Where it is.
        stage: What the engine does at the moment, for a person.
        fraction: How far it is, 0 to 1.
        preview: What the texture looks like so far, a PNG's content; empty while there is none.
        failure: Why it failed.
        folder: Where its maps lie when it is done.
        warnings: What the user should know of a finished texture, such as what its prompt said in vain.
        seconds: How long it took, once it has ended.
        origin: Where it was asked for.
        photos: The contents of the files that the request names; let go of when they are not needed any more.
        notice: What happened on the way and did not end it, such as a backend that had to be started again.
        restarts: How often the backend was lost while it had this job.
        cancelling: The user wants it to end.
        key: This session's own name for it, the same from the first moment to the last.
    """

    request: TextureRequest
    owner: int
    body: int
    started: float
    id: str = ""
    state: JobState = JobState.STARTING
    stage: str = "Starting the backend"
    fraction: float = 0.0
    preview: bytes = b""
    failure: Failure | None = None
    folder: Path | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    origin: Origin = Origin()
    photos: tuple[bytes, ...] = ()
    notice: str = ""
    restarts: int = 0
    cancelling: bool = False
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    _pace: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED), repr=False)

    @property
    def ended(self) -> bool:
        """True once nothing more will happen to this job."""
        return self.state.ended

    def progress(self, stage: str, fraction: float, now: float) -> None:
        """Take note of how far it is."""
        if self._pace and fraction < self._pace[-1][1]:
            # It had to begin anew.
            self._pace.clear()
        if len(self._pace) > 1 and now - self._pace[-2][0] < _APART_S:
            self._pace.pop()
        self._pace.append((now, fraction))
        self.state, self.stage, self.fraction = JobState.RUNNING, stage, fraction

    def time_left(self, now: float) -> float | None:
        """Seconds that it will take at its recent pace; None while nothing can be said."""
        if self.state is not JobState.RUNNING or len(self._pace) < 2:
            return None
        (began, first), (last, fraction) = self._pace[0], self._pace[-1]
        if fraction - first < _FIRST_ESTIMATE or last - began < _FIRST_SECONDS:
            return None
        left = (last - began) / (fraction - first) * (1 - fraction)
        return max(0.0, left - (now - last))

    def time_needed(self) -> float | None:
        """Seconds that all of it takes at its recent pace; None while nothing can be said."""
        if len(self._pace) < 2 or self._pace[-1][1] - self._pace[0][1] < _FIRST_ESTIMATE:
            return None
        return (self._pace[-1][0] - self._pace[0][0]) / (self._pace[-1][1] - self._pace[0][1])
