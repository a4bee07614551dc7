"""What runs beside Blender for the backend itself: its set-up, its weights, its diagnosis, a test of a remote one.

It lives from `register` to `unregister`, is moved by a timer while something is under way, and never waits.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from . import preferences
from .errors import attempt
from .link.client import error_of
from .link.connection import state_dir
from .link.errors import ErrorCode, Failure, UVMapError
from .link.launcher import LOG_NAME
from .properties import newest_job, settings_of
from .setup import diagnose, remote
from .setup.errand import TICK_S, Errand
from .setup.weights import Shelf, ShelfState

if TYPE_CHECKING:
    from .setup.installer.machine import Setup

_WORKER_LOG = "worker.log"


class Upkeep:
    """All of it, one of each kind at a time."""

    def __init__(self) -> None:
        self.setup: Setup | None = _make_setup()
        self.shelf = Shelf(preferences.backend_command)
        self.remote_said: str | Failure = ""
        self.report = ""
        self._doctor: Errand | None = None
        self._remote: remote.RemoteTest | None = None

    @property
    def diagnosing(self) -> bool:
        """True while the backend's own check runs."""
        return self._doctor is not None

    @property
    def testing(self) -> bool:
        """True while a remote backend is being tested."""
        return self._remote is not None

    def diagnose(self) -> None:
        """Begin to collect the report."""
        if self._doctor is None:
            self.report = ""
            self._doctor = Errand([*preferences.backend_command(), "doctor", "--json"])

    def test_remote(self, host: str, port: int, key: str) -> None:
        """Begin to test a backend elsewhere. Raises what `remote.test` raises."""
        if self._remote is not None:
            self._remote.close()
        self.remote_said = ""
        self._remote = remote.test(host, port, key)

    def tick(self) -> float | None:
        """Move all of it one step. Returns the seconds until the next call, or None when nothing is under way."""
        delays = [self._tick_setup(), self.shelf.tick(), self._tick_doctor(), self._tick_remote()]
        busy = [delay for delay in delays if delay is not None]
        return min(busy) if busy else None

    def wait(self) -> None:
        """Tick until nothing is under way: for scripts without windows."""
        delay = self.tick()
        while delay is not None:
            time.sleep(delay)
            delay = self.tick()

    def close(self) -> None:
        """End all that is under way."""
        if self.setup is not None:
            self.setup.close()
        self.shelf.close()
        if self._doctor is not None:
            self._doctor.cancel()
        if self._remote is not None:
            self._remote.close()
        self._doctor = self._remote = None

    def _tick_setup(self) -> float | None:
        if self.setup is None or not self.setup.busy:
            return None
        delay = self.setup.tick()
        if delay is None and self.setup.failure is None and not self.shelf.busy and not bpy.app.background:
            # A new backend may know other weights.
            attempt(self.shelf.refresh)
        return delay

    def _tick_doctor(self) -> float | None:
        if self._doctor is None:
            return None
        if not self._doctor.tick():
            return TICK_S
        answer, failure = self._doctor.answer(), self._doctor.failure
        self._doctor = None
        checks = answer.get("checks") if isinstance(answer, dict) else None
        failures = _failures(self.setup, self.shelf)
        if checks is None and failure is not None:
            failures.append(failure)
        self.report = diagnose.describe(_versions(), checks, failures, _logs(), _secrets())
        bpy.context.window_manager.clipboard = self.report
        return None

    def _tick_remote(self) -> float | None:
        if self._remote is None:
            return None
        test = self._remote
        answer = attempt(test.poll)
        if answer is None:
            return TICK_S
        self.remote_said = answer if isinstance(answer, Failure) else f"Backend {answer} answers."
        test.close()
        self._remote = None
        return None


_upkeep: Upkeep | None = None


def register() -> None:
    """Nothing is started before somebody asks for it."""
    global _upkeep
    _upkeep = Upkeep()


def unregister() -> None:
    """End what is under way, and stop the timer."""
    global _upkeep
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    if _upkeep is not None:
        _upkeep.close()
    _upkeep = None


def upkeep() -> Upkeep:
    """The one that belongs to this Blender."""
    if _upkeep is None:
        raise RuntimeError("The UVMap-ID extension is not enabled.")
    return _upkeep


def watch() -> None:
    """Have Blender move it until nothing is under way; without windows, wait for that."""
    if bpy.app.background:
        upkeep().wait()
    elif not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=TICK_S, persistent=True)


def has_installer() -> bool:
    """False in the edition for the official extensions site, which installs nothing."""
    return importlib.util.find_spec(f"{__package__}.setup.installer") is not None


def check_online() -> None:
    """Raise `online_access_off` where the user keeps Blender offline."""
    if not bpy.app.online_access:
        raise UVMapError(
            ErrorCode.ONLINE_ACCESS_OFF,
            "Blender is set to stay offline, so nothing is downloaded.",
            "Switch on Preferences > System > Network > Allow Online Access, or start Blender with --online-mode.",
        )


def setup_of() -> Setup:
    """The set-up. Raises `setup_unsupported` in the edition that has none."""
    setup = upkeep().setup
    if setup is None:
        raise UVMapError(
            ErrorCode.SETUP_UNSUPPORTED,
            "This edition of the extension does not install the backend.",
            "Install it with: pip install uvmap-id. Then choose its program in the preferences.",
        )
    return setup


def _make_setup() -> Setup | None:
    if not has_installer():
        return None
    machine = importlib.import_module(".setup.installer.machine", __package__)
    return machine.Setup(python=sys.executable)


def _on_timer() -> float | None:
    if _upkeep is None:
        return None
    delay = attempt(_upkeep.tick)
    if isinstance(delay, Failure):
        # Whatever it is, it must not come five times a second.
        _upkeep.close()
        delay = None
    _redraw()
    return delay


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("PREFERENCES", "VIEW_3D"):
                area.tag_redraw()


def _versions() -> dict[str, str]:
    # The manifest's version is the package's, which the backend tells with its own checks.
    return {
        "Extension": preferences.version(),
        "Blender": f"{bpy.app.version_string} ({bpy.app.build_platform.decode(errors='replace')})",
        **diagnose.system_versions(),
        "Online access": "on" if bpy.app.online_access else "off",
        "Backend from": preferences.backend_source(),
    }


def _failures(setup: Setup | None, shelf: Shelf) -> list[Failure]:
    jobs = [newest_job(scene) for scene in bpy.data.scenes]
    found = [setup.failure if setup is not None else None, shelf.failure, *(job.failure for job in jobs if job)]
    return [failure for failure in found if failure is not None]


def _logs() -> list[Path]:
    logs = [state_dir() / LOG_NAME, state_dir() / _WORKER_LOG]
    return [*logs, *([preferences.setup_root() / "setup.log"] if has_installer() else [])]


def _secrets() -> list[str]:
    """What the user has typed and chosen: none of it is anybody else's business."""
    found = [bpy.data.filepath, Path(bpy.data.filepath).stem]
    for scene in bpy.data.scenes:
        settings = settings_of(scene)
        faces = [settings.face_image, *(face.path for face in settings.more_faces)]
        found += [settings.cast.source, settings.cast.out, Path(settings.cast.source).stem]
        found += [settings.prompt, settings.subject, settings.diffusion.negative_prompt, *faces]
        found += [name for face in faces for name in (Path(face).name, Path(face).stem)]
    return found


Action = Callable[[Shelf], None]


def with_shelf(action: Action) -> Shelf:
    """Begin something with the weights, and have it followed. Raises what the action raises."""
    shelf = upkeep().shelf
    if bpy.app.background and not shelf.rows and shelf.state is ShelfState.IDLE:
        # A script has seen no table yet.
        shelf.refresh()
        upkeep().wait()
        if shelf.failure is not None:
            raise error_of(shelf.failure)
    action(shelf)
    watch()
    return shelf
