"""The commands `uvmap-id weights ...`: parses, prints, and leaves the rest to others."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uvmap_id.cli_errors import EXIT_CANCELLED, errors_reported, print_failure
from uvmap_id.link.errors import ErrorCode, UVMapError

if TYPE_CHECKING:
    import torch

    from uvmap_id.weights.catalogue import Entry
    from uvmap_id.weights.fetch import Progress
    from uvmap_id.weights.store import WeightsStore

_LINE_EVERY_S = 0.2

weights = typer.Typer(help="Weights: fetch, check and remove what the diffusion engine needs.", no_args_is_help=True)


@weights.command("list")
def list_weights(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show which weights there are, what for, under which licence, and which are installed."""
    with errors_reported():
        from uvmap_id.weights.store import WeightsStore

        store = WeightsStore()
        rows = [_row_of_entry(store, entry) for entry in store.catalogue.entries] + _rows_of_imports(store)
        if as_json:
            typer.echo(json.dumps({"folder": str(store.folder), "weights": rows}, indent=2))
        else:
            _print_table(rows)


def _row_of_entry(store: WeightsStore, entry: Entry) -> dict[str, str | bool | int]:
    from uvmap_id.weights import licences

    return {
        "id": entry.id,
        "title": entry.title,
        "for": entry.purpose.value,
        "about": entry.about,
        "licence": entry.licence.id,
        "licence_name": entry.licence.name,
        "licence_url": entry.licence.url,
        "terms": entry.licence.terms,
        "commercial": entry.licence.commercial,
        "accepted": licences.is_accepted(store.folder, entry.licence),
        "needs": " ".join(entry.needs),
        "page": entry.page,
        "steps": entry.steps,
        "state": _state(store, entry.id, "manual" if entry.manual else "not installed"),
        "size": _size(entry),
    }


def _size(entry: Entry) -> int:
    """Bytes of the download; 0 where not all of it is known for certain."""
    sizes = [file.size or 0 for file in entry.files]
    return sum(sizes) if all(sizes) else 0


def _rows_of_imports(store: WeightsStore) -> list[dict[str, str | bool | int]]:
    return [
        {
            "id": each.id,
            "title": each.id,
            "for": each.purpose,
            "about": f"Imported; {each.kind}.",
            "licence": each.licence,
            "licence_name": each.licence,
            "licence_url": "",
            "terms": "",
            "commercial": False,
            "accepted": True,
            "needs": "",
            "page": "",
            "steps": "",
            "state": "installed",
            "size": 0,
        }
        for each in store.installed()
        if store.catalogue.find(each.id) is None
    ]


def _state(store: WeightsStore, weights_id: str, otherwise: str) -> str:
    if store.recorded(weights_id):
        return "installed" if any(each.id == weights_id for each in store.installed()) else "damaged"
    partial = store.partial(weights_id)
    if partial is None:
        return otherwise
    if partial.total is None:
        return f"partial {partial.done / 1e6:.0f} MB"
    return f"partial {100 * partial.done // partial.total} %"


def _print_table(rows: list[dict[str, str | bool | int]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in ("Id", "For", "About", "Licence", "State"):
        # An id that is cut off can't be typed.
        table.add_column(title, overflow="fold")
    for row in rows:
        licence = f"{row['licence'] or 'unknown'}{'' if row['commercial'] else ' (not commercial)'}"
        table.add_row(*(escape(str(row[key])) for key in ("id", "for", "about")), escape(licence), str(row["state"]))
    Console().print(table)


@weights.command()
def get(
    ids: Annotated[list[str], typer.Argument(help="One or more ids of the list.", metavar="ID...")],
    accept_licence: Annotated[
        list[str] | None, typer.Option(help="Id of a licence that you have read and accept.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the progress as lines of JSON for programs.")] = False,
) -> None:
    """Download weights, or go on with it. Ctrl-C keeps what has come. Prints the folders."""
    with errors_reported():
        from uvmap_id.link.errors import Failure
        from uvmap_id.weights import licences
        from uvmap_id.weights.fetch import fetch
        from uvmap_id.weights.store import WeightsStore

        store = WeightsStore()
        entries = [store.catalogue.get(weights_id) for weights_id in ids]
        for entry in entries:
            if entry.licence.id in (accept_licence or []) and not licences.is_accepted(store.folder, entry.licence):
                licences.accept(store.folder, entry.licence)
        try:
            for entry in entries:
                with _progress_lines(entry.id) if as_json else _progress_bar(entry.id) as report:
                    folder = fetch(store, entry.id, report, lambda text: typer.echo(text, err=True))
                typer.echo(json.dumps({"id": entry.id, "folder": str(folder)}) if as_json else folder)
        except KeyboardInterrupt:
            again = f"Go on with: uvmap-id weights get {' '.join(ids)}"
            print_failure(Failure(ErrorCode.CANCELLED.value, "Cancelled; what has come is kept.", again))
            raise typer.Exit(EXIT_CANCELLED) from None
        _name_needs(store, entries)


def _name_needs(store: WeightsStore, entries: list[Entry]) -> None:
    installed = {each.id for each in store.installed()}
    for need in dict.fromkeys(need for entry in entries for need in entry.needs if need not in installed):
        typer.echo(f"It also needs {need}: uvmap-id weights get {need}", err=True)


@contextlib.contextmanager
def _progress_lines(weights_id: str) -> Iterator[Callable[[Progress], None]]:
    """A line of JSON a moment; each has all that there is to know."""
    written = -_LINE_EVERY_S

    def report(progress: Progress) -> None:
        nonlocal written
        if time.monotonic() - written >= _LINE_EVERY_S:
            written = time.monotonic()
            said = {"id": weights_id, "file": progress.file, "done": progress.done, "total": progress.total}
            typer.echo(json.dumps({**said, "bytes_per_second": round(progress.bytes_per_second)}))

    yield report


@contextlib.contextmanager
def _progress_bar(title: str) -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr while it leads to a terminal, nothing otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as ProgressBar

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda progress: bar.update(task, completed=progress.done, total=progress.total)


@weights.command()
def verify(
    ids: Annotated[
        list[str] | None, typer.Argument(help="All that are installed, unless told.", metavar="[ID...]")
    ] = None,
) -> None:
    """Hash every file again and name those that are damaged or missing. Ends with 1 if there are any."""
    with errors_reported():
        from uvmap_id.weights.store import WeightsStore

        store = WeightsStore()
        damaged = []
        for weights_id in ids or store.ids():
            damage = store.verify(weights_id)
            typer.echo(f"{weights_id}: {'damaged' if damage else 'ok'}")
            for each in damage:
                typer.echo(f"  {each.path}: {each.fault.value}")
            damaged += [weights_id] if damage else []
        if damaged:
            raise UVMapError(
                ErrorCode.WEIGHTS_INCOMPLETE,
                f"Damaged: {', '.join(damaged)}.",
                f"Get them again: uvmap-id weights get {' '.join(damaged)}",
            )


@weights.command("import")
def import_command(
    path: Annotated[Path, typer.Argument(help="A file, a folder or a zip archive.")],
    weights_id: Annotated[str | None, typer.Option("--as", help="Id to give it.", show_default=False)] = None,
    purpose: Annotated[
        str | None, typer.Option("--for", help='"texture" or "base", for a Stable Diffusion.', show_default=False)
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Use it where it is instead of copying.")] = False,
) -> None:
    """Check weights that you have and bring them into the store. Prints where they are."""
    with errors_reported():
        from uvmap_id.weights.importing import Import, import_weights
        from uvmap_id.weights.store import WeightsStore

        imported = import_weights(WeightsStore(), Import(path, weights_id, _purpose(purpose), link))
        typer.echo(f"{imported.id}: {imported.kind or imported.purpose}, for {imported.purpose}", err=True)
        typer.echo(imported.folder)


def _purpose(text: str | None):
    from uvmap_id.weights.catalogue import Purpose

    if text is None:
        return None
    if text not in list(Purpose):
        raise UVMapError(
            ErrorCode.WEIGHTS_UNKNOWN,
            f'Nobody knows the purpose "{text[:40]}".',
            f"Choose one of {', '.join(Purpose)}.",
        )
    return Purpose(text)


@weights.command()
def remove(weights_id: Annotated[str, typer.Argument(help="An id of the list.", metavar="ID")]) -> None:
    """Remove weights, and what has been downloaded of them. Linked files stay where they are."""
    with errors_reported():
        from uvmap_id.weights.store import WeightsStore

        WeightsStore().remove(weights_id)
        typer.echo(f"{weights_id} is removed.", err=True)


@weights.command()
def convert(
    source: Annotated[str, typer.Argument(help="Path or id of the weights.", metavar="SRC")],
    destination: Annotated[Path, typer.Argument(help="Folder for the converted weights.", metavar="DST")],
    vae: Annotated[str | None, typer.Option(help="Path or id of a VAE to take.", show_default=False)] = None,
    base: Annotated[
        str | None, typer.Option(help="Path or id of the base, for an adapter.", show_default=False)
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="auto, float16, bfloat16 or float32; auto is what this machine runs them in.")
    ] = "auto",
) -> None:
    """Write weights in this project's own format, which loads with nothing left to compute."""
    with errors_reported(), _diffusion_needed():
        # Before torch is loaded, which takes seconds.
        weights_path = _place(source)
        base_path, vae_path = _place(base) if base else None, _place(vae) if vae else None
        from uvmap_id.weights.convert import convert as convert_weights

        convert_weights(weights_path, destination, base=base_path, vae=vae_path, dtype=_dtype(dtype))
        typer.echo(destination)


@weights.command()
def make_tiny(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="DIR")],
) -> None:
    """Write small weights full of random numbers, in every layout that is accepted, for trying things out."""
    with errors_reported(), _diffusion_needed():
        from uvmap_id.weights.tiny import make_tiny as write_tiny

        write_tiny(folder)
        typer.echo(folder)


@contextlib.contextmanager
def _diffusion_needed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UVMapError(
            ErrorCode.PACKAGE_MISSING, f"This needs the package {error.name}.", 'pip install "uvmap-id[diffusion]"'
        ) from None


def _place(text: str) -> Path:
    """A path as it is, or where the weights of that id are."""
    from uvmap_id.weights.store import WeightsStore

    path = Path(text).expanduser()
    return path if path.exists() or len(path.parts) != 1 else WeightsStore().path(text)


def _dtype(name: str) -> torch.dtype:
    import torch

    from uvmap_id.pipelines.hardware import best_device, best_dtype

    known = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
    known["auto"] = best_dtype(best_device())
    if name not in known:
        raise UVMapError(
            ErrorCode.SETTING_OUT_OF_RANGE,
            f'There is no dtype "{name[:40]}" here.',
            f"Choose one of {', '.join(known)}.",
        )
    return known[name]
