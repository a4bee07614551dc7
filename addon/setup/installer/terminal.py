"""The set-up from a terminal, in one line."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from ...link.errors import ErrorCode, Failure, UVMapError
from .job import Job, Task
from .machine import Setup, State
from .places import command_of, default_root, read_installed
from .variants import Variant, detect

_HERE = Path(__file__).parent
EXIT_CANCELLED = 130


def main(arguments: list[str]) -> int:
    """Run `python addon/setup/installer`. Returns the exit code: 0, 2 for bad arguments, 130 cancelled, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python addon/setup/installer", description="Set the UVMap-ID backend up in an environment of its own."
    )
    add_options(parser)
    return run(parser.parse_args(arguments))


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options, for this command and Blender's."""
    tasks = [*Task, "status"]
    parser.add_argument("task", nargs="?", choices=tasks, default=Task.INSTALL, help="default: install", metavar="TASK")
    parser.add_argument(
        "--variant", default="auto", choices=["auto", *Variant], metavar="NAME", help=f"auto, {', '.join(Variant)}"
    )
    parser.add_argument("--python", default="", metavar="FILE", help="a Python 3.11 or 3.12; one is found or fetched")
    parser.add_argument("--root", type=Path, default=None, metavar="DIR", help="the folder that it goes to")
    parser.add_argument("--wheel", type=Path, default=None, metavar="FILE", help="the backend's wheel")


def run(options: argparse.Namespace) -> int:
    """Run what was asked for, with its progress on stderr and its outcome on stdout. Returns the exit code."""
    root = options.root.absolute() if options.root is not None else default_root()
    if options.task == "status":
        sys.stdout.write(f"{status_text(root)}\n")
        return 0 if command_of(root) else 1
    setup = Setup()
    try:
        setup.start(make_job(Task(options.task), root, options.variant, options.python, options.wheel))
        follow(setup)
    except UVMapError as error:
        return _failed(error.failure)
    finally:
        setup.close()
    if setup.state is State.DONE:
        sys.stdout.write(f"{setup.sentence}\n")
        return 0
    return _failed(setup.failure or Failure(ErrorCode.INTERNAL.value, "The set-up ended without a word."))


def make_job(task: str, root: Path, variant: str, python: str, wheel: Path | None = None) -> Job:
    """A job with the requirements and the wheel that came with the extension, or lie in this checkout."""
    return Job(Task(task).value, str(root), variant, python, str(requirements_folder()), str(wheel or bundled_wheel()))


def requirements_folder() -> Path:
    """Where the locked requirements lie: beside this file in the built zip, else in the checkout."""
    beside = _HERE / "requirements"
    return beside if beside.is_dir() else _HERE.parents[2] / "requirements"


def bundled_wheel() -> Path:
    """The backend's wheel beside this file, or the newest that was built in the checkout; it may be missing."""
    found = [*_HERE.glob("uvmap_id-*.whl"), *(_HERE.parents[2] / "dist").glob("uvmap_id-*.whl")]
    return max(found, key=lambda path: path.stat().st_mtime) if found else _HERE / "uvmap_id.whl"


def follow(setup: Setup) -> None:
    """Tick until it has ended, with its progress on stderr. Ctrl-C cancels it."""
    said = ""
    delay: float | None = 0.0
    while delay is not None:
        try:
            time.sleep(delay)
            delay = setup.tick()
        except KeyboardInterrupt:
            setup.cancel()
            continue
        line = f"{setup.progress.fraction:4.0%} {setup.state}: {setup.progress.text}{speed_text(setup)}"
        if setup.busy and line != said:
            sys.stderr.write(f"{line}\n")
            said = line


def speed_text(setup: Setup) -> str:
    """The download's speed and time left, in brackets; "" where nothing is downloaded."""
    progress = setup.progress
    if progress.bytes_per_second <= 0:
        return ""
    left = f", {time_text(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    return f" ({progress.bytes_per_second / 1e6:.1f} MB/s{left})"


def time_text(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def status_text(root: Path) -> str:
    """What is installed in a folder, and what fits this computer."""
    installed, found, command = read_installed(root), detect(), command_of(root)
    lines = [f"folder: {root}", f"fits this computer: {found.variant} ({found.why})"]
    if installed is None:
        return "\n".join([*lines, "installed: nothing"])
    lines.append(f"installed: {installed.version}, {installed.variant}, Python {installed.python}")
    return "\n".join([*lines, f"command: {' '.join(command) if command else 'missing; choose repair'}"])


def _failed(failure: Failure) -> int:
    sys.stderr.write(f"error: {failure}\n")
    return EXIT_CANCELLED if failure.code == ErrorCode.CANCELLED else 1
