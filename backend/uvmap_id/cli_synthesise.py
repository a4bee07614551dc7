"""The command `uvmap-id dataset synthesise`: a dataset of people who don't exist."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from uvmap_id.cli_errors import EXIT_CANCELLED, errors_reported, print_failure
from uvmap_id.link.errors import ErrorCode, Failure


def synthesise(
    out: Annotated[Path, typer.Argument(help="Folder of the dataset: new, empty, or begun with the same settings.")],
    identities: Annotated[int, typer.Option(help="How many people. Every run of six is balanced.")] = 500,
    textures: Annotated[int, typer.Option(help="How many textures of each, in different clothes.")] = 2,
    photos: Annotated[int, typer.Option(help="How many photos of each; 0 makes none.")] = 1,
    size: Annotated[int, typer.Option(help="Side of the textures: 64, 128, 256, 512, 1024 or 2048.")] = 512,
    photo_size: Annotated[int, typer.Option(help="Side of the photos in pixels.")] = 512,
    seed: Annotated[int, typer.Option(help="Of the crowd; the same seed gives the same people.")] = 0,
    embedding: Annotated[
        str, typer.Option(help="Who a person is: parameters (no recogniser), or buffalo_l of the photos.")
    ] = "parameters",
    workers: Annotated[int | None, typer.Option(help="Processes.", show_default="one for each processor core")] = None,
    mannequin: Annotated[
        Path | None, typer.Option(help="The mannequin's file.", show_default="the one of this installation")
    ] = None,
) -> None:
    """Draw people who don't exist: photos, textures, embeddings. Stop and start again as you like; CC0."""
    with errors_reported():
        from uvmap_id.datasets.synthetic.embedding import BUFFALO
        from uvmap_id.datasets.synthetic.maker import Wish
        from uvmap_id.datasets.synthetic.synthesise import Tools
        from uvmap_id.datasets.synthetic.synthesise import synthesise as make

        wish = Wish(seed, textures, photos, size, photo_size, embedding)
        tools = Tools(mannequin, _identity_models() if embedding == BUFFALO else None)
        processes = (os.cpu_count() or 1) if workers is None else workers
        try:
            with _progress_bar() as progress:
                rows = make(out, identities, wish, tools, processes, progress)
        except KeyboardInterrupt:
            kept = Failure(
                ErrorCode.CANCELLED.value, "Stopped; finished people are kept.", "Go on with the same command."
            )
            print_failure(kept)
            raise typer.Exit(EXIT_CANCELLED) from None
        typer.echo(f"{identities} people, {len(rows)} textures: {out}")


def _identity_models() -> Path | None:
    """The folder of buffalo_l's files, where they are installed."""
    from uvmap_id.engines.diffusion.choice import identity_weights
    from uvmap_id.weights.store import WeightsStore

    store = WeightsStore()
    weights = identity_weights(store)
    return None if weights is None else store.path(weights)


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while it leads to a terminal, nothing otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("People"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("People")
        yield lambda done, total: bar.update(task, completed=done, total=total)
