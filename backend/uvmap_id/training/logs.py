"""The loss of every step as CSV, and for TensorBoard if wanted."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, UVMapError

LOSSES = "loss.csv"


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What is known after a step.

    Attributes:
        step: Counted from 1.
        loss: instance + prior weight x prior, the mean over all processes and batches of the step.
        instance: Of the textures.
        prior: Of the class images; 0 where there are none.
        learning_rate: That the step was made with.
        gradient: The gradient's length before it was shortened.
    """

    step: int
    loss: float
    instance: float
    prior: float
    learning_rate: float
    gradient: float


_COLUMNS = tuple(part.name for part in fields(StepFigures))


class Logs:
    """Writes both; numbers are written such that they read back exactly."""

    def __init__(self, folder: Path, first_step: int, *, tensorboard: bool) -> None:
        """Go on after `first_step`; later rows of a run that was cut off are removed.

        Raises:
            UVMapError: disk_full, output_not_writable; package_missing: TensorBoard.
        """
        self._path = folder / LOSSES
        self._board: Any = _board(folder / "tensorboard", first_step) if tensorboard else None
        kept = [row for row in read_losses(folder) if row.step <= first_step]
        part = self._path.with_suffix(".part")
        try:
            with part.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(_COLUMNS)
                writer.writerows([repr(value) for value in asdict(row).values()] for row in kept)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
            self._file = self._path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise disk_error(error, self._path) from error
        self._writer = csv.writer(self._file, lineterminator="\n")

    def write(self, figures: StepFigures, steps_per_second: float) -> None:
        """Note a step. The speed goes to TensorBoard alone: `loss.csv` is the same for the same run on any machine."""
        try:
            self._writer.writerow([repr(value) for value in asdict(figures).values()])
            self._file.flush()
        except OSError as error:
            raise disk_error(error, self._path) from error
        if self._board is not None:
            values = asdict(figures) | {"steps_per_second": steps_per_second}
            for name, value in values.items():
                if name != "step":
                    self._board.add_scalar(f"training/{name}", value, figures.step)

    def add_picture(self, name: str, picture: Any, step: int) -> None:
        """Show a sample, (H, W, 3) uint8, in TensorBoard."""
        if self._board is not None:
            self._board.add_image(name, picture, step, dataformats="HWC")

    def __enter__(self) -> Logs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_losses(folder: Path) -> list[StepFigures]:
    """All rows of a run's `loss.csv` that are whole; none where there is no such file."""
    try:
        lines = (folder / LOSSES).read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return []
    found = []
    for row in csv.reader(line for line in lines[1:] if line.endswith("\n")):
        try:
            found.append(StepFigures(int(row[0]), *map(float, row[1:])))
        except (ValueError, TypeError, IndexError):
            continue
    return found


def _board(folder: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as error:
        raise UVMapError(
            ErrorCode.PACKAGE_MISSING,
            "TensorBoard's files need the package tensorboard.",
            'pip install "uvmap-id[train]"',
        ) from error
    return SummaryWriter(str(folder), purge_step=first_step + 1)
