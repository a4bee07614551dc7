"""The command `uvmap-id train`: parses, shows how far it is, and leaves the rest to others."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvmap_id.cli_errors import EXIT_CANCELLED, errors_reported, print_failure
from uvmap_id.link.errors import ErrorCode, Failure, UVMapError

if TYPE_CHECKING:
    from uvmap_id.training.config import Config
    from uvmap_id.training.loop import Moment

_STEPS_BETWEEN_LINES = 50


def train(
    config: Annotated[Path, typer.Argument(help="The configuration, such as examples/train_uvmap_id.toml.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the latest checkpoint that is whole.")] = False,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change a setting; may be given several times."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run, instead of output.folder.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Read the configuration and the dataset, and end.")] = False,
) -> None:
    """Train UVMap-ID on a dataset. Ctrl-C ends it with a checkpoint. Prints the folder of the finished weights."""
    with errors_reported(), _packages_needed():
        from uvmap_id.training.config import read_config, with_folder

        settings = read_config(config, change or [])
        if out is not None:
            settings = with_folder(settings, out)
        if check:
            _check(settings)
        else:
            _train(settings, resume)


def _check(settings: Config) -> None:
    from uvmap_id.training.begin import identity_models
    from uvmap_id.training.data import read_training_data
    from uvmap_id.weights.store import WeightsStore

    data = read_training_data(settings.data, identity_models(WeightsStore()), _warn)
    typer.echo(f"{len(data.examples)} textures of {len(data.identities())} people. A text: {data.examples[0].prompt}")


def _train(settings: Config, resume: bool) -> None:
    from uvmap_id.training.run import train as run_training

    with _display() as display:
        outcome = run_training(settings, display, resume=resume)
    if not outcome.main:
        return
    if outcome.finished:
        typer.echo(outcome.model)
        return
    words = [word for word in _started_as() if word != "--resume"]
    again = f"Go on with: {shlex.join([*words, '--resume'])}"
    print_failure(Failure(ErrorCode.CANCELLED.value, f"Stopped after step {outcome.step}; all of it is kept.", again))
    raise typer.Exit(EXIT_CANCELLED)


def _started_as() -> list[str]:
    """The words of this command as they were typed."""
    import sys

    return ["uvmap-id", *sys.argv[1:]]


def _warn(text: str) -> None:
    typer.echo(f"warning: {text}", err=True)


class _Display:
    """A bar in a terminal, otherwise a line now and then."""

    def __init__(self, bar: Any, shown: bool) -> None:
        self._bar = bar
        self._shown = shown
        self._task = bar.add_task("Starting", total=None, loss="", speed="")
        self._said = ""

    def stage(self, text: str, done: int = 0, total: int = 0) -> None:
        """See `Observer`."""
        self._bar.reset(self._task, description=text, total=total or None, completed=done)
        if not self._shown and text != self._said:
            self._said = text
            typer.echo(text, err=True)

    def step(self, moment: Moment) -> None:
        """See `Observer`."""
        figures = moment.figures
        loss, speed = f"loss {figures.loss:.4f}", f"{moment.steps_per_second:.2f} steps/s"
        self._bar.update(self._task, completed=figures.step, total=moment.steps, loss=loss, speed=speed)
        if not self._shown and (figures.step % _STEPS_BETWEEN_LINES == 0 or figures.step == moment.steps):
            typer.echo(f"step {figures.step} of {moment.steps}: {loss}, {speed}", err=True)

    def warn(self, text: str) -> None:
        """See `Observer`."""
        self._bar.console.print(f"[yellow]warning:[/] {text}") if self._shown else _warn(text)


@contextlib.contextmanager
def _display() -> Iterator[_Display]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    # accelerate's launcher numbers its processes; one of them draws.
    shown = console.is_terminal and os.environ.get("LOCAL_RANK", "0") == "0"
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        yield _Display(bar, shown)


@contextlib.contextmanager
def _packages_needed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UVMapError(
            ErrorCode.PACKAGE_MISSING, f"Training needs the package {error.name}.", 'pip install "uvmap-id[train]"'
        ) from None
