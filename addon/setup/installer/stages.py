"""What each stage of the set-up does. Every stage may be run again: it keeps what is done, and makes the rest.

A stage that fails takes back what it has made itself. The environment in use stays as it is until another one has
been verified in full, so that an update that fails leaves a backend that works.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...link.disk import disk_error
from ...link.errors import ErrorCode, UVMapError
from .intact import damaged_packages, doctor, note_packages
from .job import Run, Stage, Task
from .locks import Requirement, digest, read_lock
from .packages import Packages
from .pips import Pip, no_room
from .places import (
    LOG,
    Installed,
    check_path,
    environment_python,
    environments,
    our_entries,
    read_installed,
    write_installed,
)
from .pythons import Python, choose
from .variants import TORCH, Recipe, Variant, detect, recipe_of

STAMP = "uvmap_id-setup.json"
_MIB = 2**20
# What the log, the tools and a safety margin need.
_MARGIN_MB = 200
# Its own stage installs it again.
_BACKEND = "uvmap-id"

Value = TypeVar("Value")


@dataclass
class Work:
    """What the stages of one run tell each other."""

    variant: Variant = Variant.BASIC
    recipe: Recipe | None = None
    python: Python | None = None
    environment: Path = Path()


@dataclass(frozen=True, slots=True)
class Stamp:
    """How far an environment is: the packages and the backend's wheel that it has, by their fingerprints."""

    packages: str = ""
    package: str = ""

    @classmethod
    def read(cls, environment: Path) -> Stamp:
        """What an environment says; empty where it says nothing."""
        try:
            return cls(**json.loads((environment / STAMP).read_bytes()))
        except (OSError, ValueError, TypeError):
            return cls()

    def write(self, environment: Path) -> None:
        """Note it. Raises `OSError`."""
        (environment / STAMP).write_text(json.dumps({"packages": self.packages, "package": self.package}))


def run_stage(run: Run, stage: Stage, work: Work) -> str:
    """Run one stage. Returns a sentence about what was done.

    Raises:
        UVMapError: It failed, and what it has made is gone again.
    """
    try:
        return _STAGES[stage](run, work)
    except OSError as error:
        raise disk_error(error, run.root) from error


def _checking(run: Run, work: Work) -> str:
    run.report(0.0, "Looking at this computer")
    if run.job.variant == "auto":
        found = detect()
        work.variant = found.variant
        run.note(f"{found.variant}: {found.why}")
        run.report(0.2, f"Chose {found.variant}: {found.why}")
    else:
        work.variant = Variant(run.job.variant)
    work.recipe = recipe_of(work.variant)
    check_path(run.root)
    # Now, and not after gigabytes have been downloaded.
    wheel_digest(Path(run.job.wheel))
    fresh = all(path.name in ("lock", LOG) for path in our_entries(run.root))
    try:
        _try_to_write(run.root)
        _check_room(run.root, work.recipe)
        run.report(0.4, "Fetching the tools")
        Pip(run).bring()
    except (UVMapError, OSError):
        if fresh:
            run.close()
            _remove_root(run.root)
        raise
    return "This computer will do."


def _try_to_write(root: Path) -> None:
    probe = root / "tmp"
    probe.mkdir(exist_ok=True)
    (probe / "probe").write_bytes(b"probe")
    (probe / "probe").unlink()


def _check_room(root: Path, recipe: Recipe) -> None:
    here = sum(path.stat().st_size for path in (root / "downloads").glob("*.whl")) / _MIB
    wanted = recipe.disk_mb + recipe.download_mb + _MARGIN_MB - here
    if any(Stamp.read(environment).packages for environment in environments(root)):
        # Most likely nothing but the backend itself is to be exchanged; if not, pip will tell.
        wanted = _MARGIN_MB
    free = shutil.disk_usage(root).free / _MIB
    if free < wanted:
        raise no_room(wanted, free)


def _python(run: Run, work: Work) -> str:
    work.python = choose(run)
    return f"Uses Python {work.python.version}."


def _environment(run: Run, work: Work) -> str:
    python = _known(work.python)
    work.environment = run.root / _environment_name(run, work)
    run.report(0.1, "Making the environment")
    if _runs(run, work.environment) and _matches(run, work.environment):
        return "The environment is there."
    _make_environment(run, python, work.environment)
    return "The environment is made."


def _make_environment(run: Run, python: Python, environment: Path) -> None:
    shutil.rmtree(environment, ignore_errors=True)
    try:
        code, said = run.process([str(python.path), "-I", "-m", "venv", "--without-pip", str(environment)])
        if code != 0 or not _runs(run, environment):
            raise UVMapError(
                ErrorCode.SETUP_FAILED,
                f"The environment can't be made with {python.path}: {(said or ['it ended without a word'])[-1][:200]}",
                "Choose another Python in the preferences, or leave the field empty.",
            )
    except (UVMapError, OSError):
        shutil.rmtree(environment, ignore_errors=True)
        raise


def _environment_name(run: Run, work: Work) -> str:
    python = _known(work.python)
    return f"e{digest(work.variant, _fingerprint(run, work), python.version, str(python.path))[:8]}"


def _fingerprint(run: Run, work: Work) -> str:
    recipe = _known(work.recipe)
    locks = [(each.name, each.text) for name in recipe.locks for each in _lock(run, name)]
    return digest(recipe.torch_index, TORCH if recipe.torch_index else "", *(text for pair in locks for text in pair))


def _lock(run: Run, name: str) -> list[Requirement]:
    return read_lock(Path(run.job.requirements, f"{name}.txt"))


def _runs(run: Run, environment: Path) -> bool:
    python = environment_python(environment)
    return python.exists() and run.process([str(python), "-I", "-c", "import ssl, ctypes, zlib"])[0] == 0


def _matches(run: Run, environment: Path) -> bool:
    """False for an environment whose packages were only half installed when a run was killed."""
    if Stamp.read(environment).packages:
        return True
    return not any(Packages(run, environment).installed())


def _packages(run: Run, work: Work) -> str:
    recipe, wanted = _known(work.recipe), _fingerprint(run, work)
    packages = Packages(run, work.environment)
    locks = [_lock(run, name) for name in recipe.locks]
    if Stamp.read(work.environment).packages == wanted:
        if run.job.task != Task.REPAIR:
            return "The packages are there."
        return _repair(run, work, packages, locks)
    try:
        packages.install(locks, recipe)
    except (UVMapError, OSError):
        # What has been downloaded stays; what has been installed goes.
        if packages.installed():
            _make_environment_again(run, work)
        raise
    note_packages(run, work.environment)
    Stamp(wanted).write(work.environment)
    packages.forget_downloads()
    return "The packages are installed."


def _make_environment_again(run: Run, work: Work) -> None:
    shutil.rmtree(work.environment, ignore_errors=True)
    run.note(f"took back {work.environment.name}")


def _repair(run: Run, work: Work, packages: Packages, locks: list[list[Requirement]]) -> str:
    run.report(0.0, "Looking for damage")
    damaged = damaged_packages(run, work.environment)
    if not damaged:
        return "The packages are whole."
    recipe = _known(work.recipe)
    known = {each.name for lock in locks for each in lock}
    bad = [[each for each in lock if each.name in damaged] for lock in locks]
    run.note(f"damaged: {', '.join(sorted(damaged))}")
    packages.forget_unrecorded()
    packages.install(bad, recipe, again=True, torch=bool(damaged - known - {_BACKEND}))
    packages.forget_downloads()
    return f"Repaired {', '.join(sorted(damaged))}."


def _package(run: Run, work: Work) -> str:
    wheel = Path(run.job.wheel)
    fingerprint = wheel_digest(wheel)
    stamp = Stamp.read(work.environment)
    if stamp.package == fingerprint and run.job.task != Task.REPAIR:
        return "The backend is installed."
    run.report(0.1, "Installing the backend")
    # Until it is done, this environment has no backend that could be relied on.
    Stamp(stamp.packages).write(work.environment)
    exactly = ["--no-deps", "--no-index", "--force-reinstall", str(wheel)]
    Pip(run).call(environment_python(work.environment), "install", exactly)
    Stamp(stamp.packages, fingerprint).write(work.environment)
    return "The backend is installed."


def wheel_digest(wheel: Path) -> str:
    """The SHA-256 of the backend's wheel.

    Raises:
        UVMapError: `setup_failed`: it is missing or damaged.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            damaged = archive.testzip()
        if damaged is None:
            return hashlib.sha256(wheel.read_bytes()).hexdigest()
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError):
        pass
    raise UVMapError(
        ErrorCode.SETUP_FAILED,
        f"The backend's package in the extension, {wheel.name}, is missing or damaged.",
        "Install the extension again.",
    )


def _verifying(run: Run, work: Work) -> str:
    task = Task(run.job.task)
    environment = work.environment if task is not Task.VERIFY else _present(run)
    if task is not Task.INSTALL:
        run.report(0.1, "Comparing every file with its hash")
        damaged = damaged_packages(run, environment)
        if damaged:
            raise UVMapError(
                ErrorCode.SETUP_INCOMPLETE,
                f"Damaged or missing in the backend's environment: {', '.join(sorted(damaged)[:8])}.",
                "Choose Repair.",
            )
    run.report(0.5, "Starting the backend's own check")
    version = doctor(run, environment)
    if task is not Task.VERIFY:
        _use(run, work, version)
    return f"The backend {version} works."


def _present(run: Run) -> Path:
    installed = read_installed(run.root)
    if installed is None:
        raise UVMapError(ErrorCode.BACKEND_NOT_FOUND, "No backend is set up.", "Choose Set Up.")
    environment = run.root / installed.environment
    if not _runs(run, environment):
        raise UVMapError(ErrorCode.SETUP_INCOMPLETE, "The backend's Python does not start any more.", "Choose Repair.")
    return environment


def _use(run: Run, work: Work, version: str) -> None:
    """Switch to a verified environment, and let go of earlier ones."""
    stamp = Stamp.read(work.environment)
    before = read_installed(run.root)
    python = _known(work.python).version
    now = Installed(work.environment.name, work.variant.value, python, stamp.package, version)
    if before is not None and before != now:
        # The next job starts the new one. Where none runs, this does nothing.
        old = environment_python(run.root / before.environment)
        if old.exists():
            run.process([str(old), "-I", "-m", "uvmap_id", "stop"])
    write_installed(run.root, now)
    for environment in environments(run.root):
        if environment != work.environment:
            shutil.rmtree(environment, ignore_errors=True)


def _removing(run: Run, work: Work) -> str:  # noqa: ARG001 - as every stage.
    run.report(0.1, "Ending the backend")
    installed = read_installed(run.root)
    if installed is not None:
        python = environment_python(run.root / installed.environment)
        if python.exists():
            run.process([str(python), "-I", "-m", "uvmap_id", "stop"])
    run.report(0.3, "Removing the environment")
    run.close()
    left = _remove_root(run.root)
    if left:
        raise UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"{left[0]} can't be removed.",
            "Close programs that use it, and choose Remove again.",
        )
    return "The backend is removed. Weights and textures are where they were."


def _remove_root(root: Path) -> list[Path]:
    """Remove what the set-up made, and its folder if nothing else is in it. Returns what could not be removed."""
    for path in our_entries(root):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "lock":
            path.unlink(missing_ok=True)
    return [path for path in our_entries(root) if path.name != "lock"]


def _known(value: Value | None) -> Value:
    if value is None:
        raise RuntimeError("a stage was passed over")
    return value


_STAGES: dict[Stage, Callable[[Run, Work], str]] = {
    Stage.CHECKING: _checking,
    Stage.PYTHON: _python,
    Stage.ENVIRONMENT: _environment,
    Stage.PACKAGES: _packages,
    Stage.PACKAGE: _package,
    Stage.VERIFYING: _verifying,
    Stage.REMOVING: _removing,
}
