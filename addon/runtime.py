"""The session that belongs to this Blender: it lives from `register` to `unregister` and is moved by a timer."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import body, material, preferences, results, thumbnails
from .errors import attempt
from .link.errors import Failure
from .link.launcher import Launch
from .session import BUSY_S, Job, Session

_session: Session | None = None


def register() -> None:
    """Open the session. Nothing is started or connected before the first job."""
    global _session
    _session = Session(deliver, lambda: Launch(preferences.backend_command()))


def unregister() -> None:
    """Close the session and stop its timer."""
    global _session
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    if _session is not None:
        _session.close()
    _session = None


def session() -> Session:
    """The open session."""
    if _session is None:
        raise RuntimeError("The UVMap-ID extension is not enabled.")
    return _session


def watch() -> None:
    """Have Blender move the session until its jobs have ended."""
    if not bpy.app.timers.is_registered(_on_timer):
        # Persistent, or opening another file would lose the jobs.
        bpy.app.timers.register(_on_timer, first_interval=BUSY_S, persistent=True)


def deliver(job: Job, folder: Path) -> Path:
    """Keep a finished texture set in the user's own place and put it on its body.

    The body may have been deleted meanwhile; its maps are kept all the same.

    Returns:
        The folder where the maps lie now.

    Raises:
        UVMapError: The maps could not be kept.
    """
    kept = results.keep(folder, results.place_of(job.id))
    target = body.by_uid(job.body)
    if target is not None:
        material.assign(target, results.maps_in(kept))
        if not bpy.app.background:
            bpy.ops.ed.undo_push(message="UVMap-ID texture")
    return kept


def _on_timer() -> float | None:
    if _session is None:
        return None
    delay = attempt(_session.tick)
    if isinstance(delay, Failure):
        _session.fail_all(delay)
        delay = None
    # A picture that can't be shown is no reason for a job to fail.
    attempt(lambda: thumbnails.update(session().running))
    _redraw()
    return delay


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
