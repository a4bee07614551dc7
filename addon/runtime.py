"""The session that belongs to this Blender: it lives from `register` to `unregister` and is moved by a timer."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy

from . import current, material, preferences, recall, results, thumbnails
from .current import Current, session
from .errors import attempt
from .faces import FaceChecks
from .history import History, body_of, scene_of
from .launching import Elsewhere, Launching
from .link.errors import Failure
from .link.launcher import Launch
from .session import EAGER_S, Delivery, Job, Session, Step, connect
from .snapshot import snapshot_of

__all__ = ["deliver", "register", "session", "unregister", "watch"]

_ICONS_S = 0.05


def register() -> None:
    """Open the session. Nothing is started or connected before the first job."""
    current.begin(
        Current(
            Session(deliver, _launch, wake=_wake),
            FaceChecks(_face_command, _faces_folder, recall.absolute, wake=_wake),
            History(),
        )
    )
    for handlers in _handlers():
        handlers.append(_restore_history)


def unregister() -> None:
    """Close the session and stop its timer."""
    for handlers in _handlers():
        if _restore_history in handlers:
            handlers.remove(_restore_history)
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    ended = current.end()
    if ended is not None:
        ended.session.close()
        ended.faces.close()


def watch() -> None:
    """Have Blender move the session until its jobs have ended."""
    if not bpy.app.timers.is_registered(_on_timer):
        # Persistent, or opening another file would lose the jobs.
        bpy.app.timers.register(_on_timer, first_interval=EAGER_S, persistent=True)


def deliver(job: Job, folder: Path) -> Delivery:
    """Keep a finished texture set in the user's own place and put it on its body, in small steps.

    The body may have been deleted meanwhile, or another file opened; the maps are kept all the same.

    Returns:
        The folder where the maps lie now.

    Raises:
        UVMapError: The maps could not be kept.
    """
    # Beside the file as it is called now, unless another one is open.
    home = results.home() if scene_of(job.origin) is not None else job.origin.home
    kept = yield from results.kept_in_steps(folder, job.origin.place or results.place_of(job.id, home))
    maps = results.maps_in(kept)
    yield Step.MORE
    if body_of(job.origin) is not None:
        for _ in material.load_in_steps(maps):
            yield Step.NEXT_TICK
    current.history().record(job, kept)
    yield Step.NEXT_TICK
    # Looked up once more: ticks have passed.
    target = body_of(job.origin)
    if target is not None:
        material.assign(target, maps)
        yield Step.NEXT_TICK
    if target is not None and not bpy.app.background:
        push_undo()
    return kept


def push_undo() -> None:
    """The assignment is one step to undo; what it changed is already there."""
    bpy.ops.ed.undo_push(message="UVMap-ID texture")


def tick() -> float | None:
    """Move jobs and photos one step, and make a new snapshot. Returns the seconds until the next call, or None."""
    now = current.current()
    before = _changes(now)
    delay = attempt(now.session.tick)
    if isinstance(delay, Failure):
        now.session.fail_all(delay)
        delay = None
    looking = attempt(now.faces.tick)
    casting = _move_cast(now)
    # A picture that can't be shown is no reason for a job to fail.
    more_icons = attempt(lambda: thumbnails.update(now.session.running)) is True
    refresh(drawn_anew=_changes(now) != before)
    delays = [each for each in (delay, looking, casting, _ICONS_S if more_icons else None) if isinstance(each, float)]
    return min(delays, default=None)


def refresh(*, drawn_anew: bool = True) -> None:
    """Make a new snapshot, and have panels draw it."""
    now = current.current()
    fresh = snapshot_of(now.session.jobs, now.session.now, thumbnails.icon_of)
    if drawn_anew or fresh != now.snapshot:
        now.snapshot = fresh
        _redraw()


def icon_of_file(path: str) -> int:
    """The icon of a picture that stays where it is; 0 until it has been loaded. May be called in `draw`."""
    icon = thumbnails.icon_of_file(path)
    if thumbnails.is_wanted(path):
        _wake()
    return icon


def _changes(now: Current) -> int:
    cast = now.cast.changes if now.cast is not None else 0
    return now.session.changes + now.faces.changes + thumbnails.changes() + cast


def _move_cast(now: Current) -> float | None:
    if now.cast is None or now.cast.ended:
        return None
    delay = attempt(now.cast.tick)
    if isinstance(delay, Failure):
        now.cast.give_up(delay)
        delay = None
    if now.cast.ended and not bpy.app.background:
        bpy.ops.ed.undo_push(message="UVMap-ID cast")
    return delay


def _on_timer() -> float | None:
    if current.is_open():
        delay = attempt(tick)
        return None if isinstance(delay, Failure) else delay
    return None


def _launch() -> Launching:
    """Looks for the backend that the preferences name, and starts one on this computer."""
    elsewhere = preferences.remote_backend()
    return Launch(preferences.backend_command(), connect=connect) if elsewhere is None else Elsewhere(elsewhere)


def _face_command() -> list[str]:
    """The program that looks at photos; none where textures are made elsewhere and no backend is here."""
    command, chosen = preferences.backend_command(), preferences.preferences_of()
    elsewhere = chosen is not None and chosen.place == "REMOTE"
    return [] if elsewhere and shutil.which(command[0]) is None else command


def _wake() -> None:
    # Without windows timers never fire, and one that is left keeps some Blenders from ending.
    if not bpy.app.background:
        watch()


def _handlers() -> tuple[list, ...]:  # pyright: ignore[reportMissingTypeArgument] - the stubs name no type either
    return (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post, bpy.app.handlers.load_post)


@bpy.app.handlers.persistent
def _restore_history(*_arguments: object) -> None:
    if current.is_open():
        attempt(current.history().restore)


def _faces_folder() -> Path:
    return Path(bpy.utils.extension_path_user(__package__ or "", path="faces", create=False))


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            # The sidebar alone: drawing a large scene anew for a progress bar would make Blender slow.
            for region in area.regions if area.type == "VIEW_3D" else ():
                if region.type == "UI":
                    region.tag_redraw()
