"""The process that does the work: reads a job, runs its stages, and says on stdout how it goes, in lines of JSON."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from ...link.errors import ErrorCode, Failure, UVMapError
from .job import STAGES, Job, Run, Task
from .stages import Work, run_stage


def main(arguments: list[str]) -> int:
    """Run the job in a file. Returns the exit code: 0, or 1 where it failed."""
    run = Run(Job.read(Path(arguments[0])))
    try:
        with _alone(run.root, make=run.job.task != Task.REMOVE):
            work, said = Work(), ""
            for stage in STAGES[Task(run.job.task)]:
                run.begin(stage)
                run.check()
                said = run_stage(run, stage, work)
                run.report(1.0, said)
        run.end(said)
    except UVMapError as error:
        run.fail(error.failure)
        return 1
    except Exception as error:  # noqa: BLE001 - the other side waits for a sentence, and the log takes the rest.
        run.note(traceback.format_exc())
        run.fail(
            Failure(
                ErrorCode.INTERNAL.value,
                f"Something unexpected happened ({type(error).__name__}: {error}).",
                "The file setup.log in the set-up's folder says more; please report it.",
            )
        )
        return 1
    finally:
        run.close()
    return 0


@contextlib.contextmanager
def _alone(root: Path, make: bool) -> Iterator[None]:
    """Keep others out of the folder. The lock goes with this process, however it ends."""
    made = not root.exists()
    if made and not make:
        yield
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"{root} can't be written: {error.strerror or error}.",
            "Choose another folder in the preferences.",
        ) from error
    try:
        if not _lock(descriptor):
            raise UVMapError(
                ErrorCode.SETUP_BUSY,
                "The backend is being set up already, by another Blender or a terminal.",
                "Wait until that has ended.",
            )
        yield
    finally:
        os.close(descriptor)
        _tidy(root)


def _lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _tidy(root: Path) -> None:
    """Leave no folder behind that holds nothing but the lock."""
    with contextlib.suppress(OSError):
        if [path.name for path in root.iterdir()] == ["lock"]:
            (root / "lock").unlink()
        root.rmdir()
