"""The run of a cast: a few jobs at a time, then a body that wears each finished texture set, a step a tick."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy

from . import body, cast_bodies, material, results
from .cast import Row, request_hash
from .cast_report import Line, Report, RowState
from .errors import attempt
from .jobs import Job, JobState, Origin
from .link.errors import ErrorCode, Failure, UVMapError
from .link.photo import read_photos, with_photos
from .mannequin import ASSET
from .mannequin_asset import Asset, read
from .session import BUSY_S, EAGER_S, Session

# So many are with the backend or being dressed at once: their photos are in memory, the others' are not.
WINDOW = 8
_REPORT_EVERY_S = 2.0
_SHORT = 12
# What fails for all characters alike.
_FOR_ALL = (ErrorCode.BACKEND_NOT_FOUND, ErrorCode.BACKEND_START_FAILED, ErrorCode.BACKEND_INCOMPATIBLE)


@dataclass(frozen=True, slots=True)
class Options:
    """How a cast is made.

    Attributes:
        out: The folder for the report and the texture sets.
        sliders: Whether bodies keep their shape keys; they take 13 MB of memory each then.
    """

    out: Path
    sliders: bool = False


class Casting:
    """One run. It holds no bpy data between ticks, and goes on after whatever happens to single rows."""

    def __init__(
        self,
        rows: list[Row],
        scene: bpy.types.Scene,
        session: Session,
        options: Options,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin; `tick` does the work.

        Args:
            rows: From `cast.read_cast`.
            scene: Where the characters go.
            session: Makes the texture sets.
            options: How.
            clock: Seconds that never go backwards.

        Raises:
            UVMapError: `output_not_writable`, or `body_unreadable` for a damaged extension.
        """
        self.lines = [Line(row) for row in rows]
        self.options = options
        self.failure: Failure | None = None
        self.changes = 0
        self._scene = scene.session_uid
        self._session, self._clock = session, clock
        self._asset: Asset = read(ASSET)
        self._waiting = deque(self.lines)
        self._jobs: list[tuple[Line, Job]] = []
        self._to_dress: deque[Line] = deque()
        self._dressing: tuple[Line, Iterator[None]] | None = None
        self._began: dict[int, float] = {}
        self._reported, self._reported_at = 0, self._clock()
        self._report_file = Report(self.lines, options.out)
        self._report_file.write()

    @property
    def ended(self) -> bool:
        """True once nothing more will happen."""
        return all(line.state.ended for line in self.lines)

    def count(self, state: RowState) -> int:
        """How many characters are in a state."""
        return sum(line.state is state for line in self.lines)

    def stop(self) -> None:
        """End it; what is done stays, and another run goes on with the rest."""
        for _, job in self._jobs:
            self._session.cancel(job)
        for line in self.lines:
            if not line.state.ended:
                self._end(line, RowState.STOPPED)
        self._waiting.clear()
        self._jobs.clear()
        self._to_dress.clear()
        self._dressing = None
        self._report()

    def give_up(self, failure: Failure) -> None:
        """End it for a reason that concerns all of it."""
        self.failure = failure
        self.stop()

    def tick(self) -> float | None:
        """Move it one step. Returns the seconds until the next call, or None when it has ended."""
        if self.ended:
            return None
        scene = next((each for each in bpy.data.scenes if each.session_uid == self._scene), None)
        if scene is None:
            self.give_up(
                Failure(
                    ErrorCode.BODY_MISSING.value,
                    "The scene of the cast is not open any more.",
                    "Open its file and start the cast again: it goes on where it was.",
                )
            )
            return None
        self._collect()
        if self.ended:
            self._report()
            return None
        # Each of them takes some milliseconds.
        if self._report_due():
            self._report()
        elif self._dressing is not None or self._to_dress:
            self._dress(scene)
        elif self._waiting and len(self._jobs) < WINDOW:
            self._begin_next(scene)
        if self.ended:
            self._report()
            return None
        eager = self._dressing or self._to_dress or (self._waiting and len(self._jobs) < WINDOW)
        return EAGER_S if eager else BUSY_S

    def _collect(self) -> None:
        """Take what the session has finished, one way or another."""
        for line, job in [each for each in self._jobs if each[1].ended]:
            self._jobs.remove((line, job))
            # The cast tells of it; the queue need not.
            self._session.dismiss(job)
            line.folder, line.warnings = job.folder, job.warnings
            if job.state is JobState.DONE:
                self._to_dress.append(line)
            elif job.state is JobState.CANCELLED:
                self._end(line, RowState.STOPPED)
            else:
                self._end(line, RowState.FAILED, job.failure)
                if job.failure is not None and job.failure.code in _FOR_ALL:
                    self.give_up(job.failure)
                    return

    def _begin_next(self, scene: bpy.types.Scene) -> None:
        line = self._waiting.popleft()
        line.state = RowState.WORKING
        self._began[line.row.number] = self._clock()
        self.changes += 1
        begun = attempt(lambda: self._begin(line, scene), f"row {line.row.number} of a cast")
        if isinstance(begun, Failure):
            self._end(line, RowState.FAILED, begun)

    def _begin(self, line: Line, scene: bpy.types.Scene) -> None:
        if line.row.problem is not None:
            self._end(line, RowState.FAILED, line.row.problem)
            return
        photos = read_photos([line.row.face])
        request = with_photos(line.row.request, photos)
        line.request = request_hash(request)
        place = self.options.out / "textures" / f"{line.row.file_name}-{line.request[:_SHORT]}"
        if not isinstance(attempt(lambda: results.maps_in(place)), Failure):
            line.folder, line.found = place, True
            self._to_dress.append(line)
            return
        origin = Origin(
            *(scene.session_uid, 0, scene.name, "", bpy.data.filepath, place.parent, place),
            faces=(str(line.row.face),),
        )
        (job,) = self._session.submit_all([request], photos, origin)
        self._jobs.append((line, job))

    def _dress(self, scene: bpy.types.Scene) -> None:
        if self._dressing is None:
            line = self._to_dress.popleft()
            self._dressing = (line, self._steps(line, scene))
        line, steps = self._dressing
        stepped = attempt(lambda: next(steps, line), f"row {line.row.number} of a cast")
        if stepped is None:
            return
        self._dressing = None
        if isinstance(stepped, Failure):
            self._end(line, RowState.FAILED, stepped)
        else:
            self._end(line, RowState.DONE)

    def _steps(self, line: Line, scene: bpy.types.Scene) -> Iterator[None]:
        """Put a texture set on the row's character. Nothing is in the scene before its files are known to be there."""
        if line.folder is None:
            raise UVMapError(ErrorCode.IMAGE_UNREADABLE, "The texture set is missing.", "Start the cast again.")
        maps = results.maps_in(line.folder)
        for _ in material.load_in_steps(maps):
            yield
        wearer = cast_bodies.body_of(scene, line.row)
        if wearer is None:
            count, sliders = len(self.lines), self.options.sliders
            wearer = cast_bodies.add(scene, line.row, count, self._asset, sliders=sliders)
        line.body = wearer.session_uid
        yield
        # Looked up again: the user may have deleted it.
        target = body.by_uid(line.body)
        if target is None:
            raise UVMapError(ErrorCode.BODY_MISSING, "The body was deleted.", "Start the cast again.")
        if material.folder_of(target) != line.folder:
            material.assign(target, maps)

    def _end(self, line: Line, state: RowState, failure: Failure | None = None) -> None:
        line.state, line.failure = state, failure
        began = self._began.pop(line.row.number, None)
        line.seconds = self._clock() - began if began is not None else 0.0
        self.changes += 1

    def _report_due(self) -> bool:
        return self._reported != self.changes and self._clock() - self._reported_at >= _REPORT_EVERY_S

    def _report(self) -> None:
        if self._reported == self.changes:
            return
        self._reported, self._reported_at = self.changes, self._clock()
        written = attempt(self._report_file.write)
        if isinstance(written, Failure):
            # Maps are kept all the same, and recognised without it.
            self.failure = written
