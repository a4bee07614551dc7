"""The command `uvmap-id evaluate`: how good the textures in a folder are."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uvmap_id.cli_errors import EXIT_FAILED, errors_reported, print_failure
from uvmap_id.link.errors import ErrorCode, UVMapError

if TYPE_CHECKING:
    from uvmap_id.metrics.evaluation import Evaluation
    from uvmap_id.metrics.registry import Resources
    from uvmap_id.metrics.sources import Source

EXIT_PARTLY = 3
"""Some metrics were skipped, or some textures left out: see what was printed."""
_DEVICES = ("auto", "cpu", "cuda", "mps")
_METRICS = "is_uv,is_r,ssp,dfr,clipt,skin,seams,sharpness,anchor"


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A dataset, results of generate, or PNGs.")],
    metrics: Annotated[
        str, typer.Option(help="Names with commas between. Also: identity, is_r_back, is_r_three_quarter, is_r_face.")
    ] = _METRICS,
    report: Annotated[Path | None, typer.Option(help="Write a page with tables, plots and contact sheets.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures for programs.", show_default="beside the report")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Measure so many textures, evenly from all.")] = None,
    splits: Annotated[int, typer.Option(min=1, max=100, help="Of the Inception Score.")] = 10,
    photos: Annotated[
        Path | None, typer.Option(help="Folder with the photos that results of generate were made from.")
    ] = None,
    parser: Annotated[Path | None, typer.Option(help="Folder of a human parser, for SSP.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder of a CLIP, for CLIPT.")] = None,
    inception: Annotated[Path | None, typer.Option(help="File of Inception's weights, for IS.")] = None,
    body: Annotated[Path | None, typer.Option(help="Body in SMPL's atlas, OBJ, in place of the mannequin.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.", show_default="the best")] = "auto",
) -> None:
    """Measure textures. Ends with 0 if all was measured, 3 if only a part was, 1 if nothing was."""
    with errors_reported():
        from uvmap_id.metrics.evaluation import evaluate as measure
        from uvmap_id.metrics.registry import Resources, check_names, names_of
        from uvmap_id.metrics.report import check_report
        from uvmap_id.metrics.sources import spread_out

        if report is not None:
            check_report()
        names = names_of(word.strip() for word in metrics.split(",") if word.strip())
        check_names(names)
        targets = [path for path in (report, json_file or (report and report.with_suffix(".json"))) if path]
        for path in targets:
            _try_out(path)
        sources = spread_out(_sources(folder, photos), limit)
        resources = Resources(
            parser=parser, clip=clip, inception=inception, body=body, splits=splits, device=_device(device)
        )
        with _progress_bar() as on_progress:
            evaluation = measure(sources, names, resources, on_progress)
        _print_figures(evaluation)
        _write(evaluation, folder.resolve().name, sources, resources, report, targets)
        if not evaluation.complete:
            raise typer.Exit(EXIT_FAILED if evaluation.empty else EXIT_PARTLY)


def _sources(folder: Path, photos: Path | None) -> tuple[Source, ...]:
    from uvmap_id.datasets.folder import METADATA, read_dataset
    from uvmap_id.metrics.sources import Source, pictures, texture_sets

    for place in (folder, photos):
        if place is not None and not place.is_dir():
            raise UVMapError(ErrorCode.DATASET_UNREADABLE, f"There is no folder {place}.", "Name one that is there.")
    if (folder / METADATA).is_file():
        dataset = read_dataset(folder)
        return tuple(
            Source(
                row.file_name,
                dataset.texture(row),
                row.prompt,
                row.identity,
                dataset.photo(row),
                dataset.embedding(row),
            )
            for row in dataset.rows
        )
    return texture_sets(folder, photos) or pictures(folder)


def _device(wanted: str) -> str:
    if wanted not in _DEVICES:
        raise UVMapError(
            ErrorCode.SETTING_OUT_OF_RANGE,
            f'There is no device "{wanted[:40]}".',
            f"Choose one of {', '.join(_DEVICES)}.",
        )
    try:
        import torch
    except ImportError:
        return "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if not there[wanted]:
        raise UVMapError(
            ErrorCode.SETTING_OUT_OF_RANGE,
            f"torch finds no {wanted} device here.",
            "Leave out --device, or: --device cpu",
        )
    return wanted


def _print_figures(evaluation: Evaluation) -> None:
    from uvmap_id.metrics.report import number

    for outcome in evaluation.outcomes:
        figure = outcome.figure
        if figure is None:
            continue
        spread = "" if figure.spread is None else f" ± {number(figure.spread)}"
        unit = f" {figure.unit}" if figure.unit else ""
        typer.echo(f"{outcome.name}: {number(figure.value)}{spread}{unit} ({figure.count} textures)")
        for note in figure.notes:
            typer.echo(f"  {note}")
        if outcome.left_out:
            first, failure = next(iter(outcome.left_out.items()))
            typer.echo(f"  {len(outcome.left_out)} textures are left out, such as {first}: {failure.message}", err=True)
    for outcome in evaluation.outcomes:
        if outcome.failure is not None:
            typer.echo(f"skipped: {outcome.name}", err=True)
            print_failure(outcome.failure)
    for name, failure in evaluation.unreadable.items():
        typer.echo(f"unreadable: {name}: {failure.message}", err=True)


def _write(
    evaluation: Evaluation,
    name: str,
    sources: tuple[Source, ...],
    resources: Resources,
    report: Path | None,
    targets: list[Path],
) -> None:
    from uvmap_id.metrics.report import report_html, report_json

    # The JSON first: it is there even where the page's packages are not.
    for path in reversed(targets):
        text = report_html(evaluation, name, sources, resources) if path == report else report_json(evaluation, name)
        _publish(path, text)
        typer.echo(path, err=True)


def _try_out(path: Path) -> None:
    """Make sure that a file can be written before hours of work go into it."""
    from uvmap_id.link.disk import disk_error, write_synced

    probe = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_synced(probe, b"probe")
        probe.unlink()
    except OSError as error:
        raise disk_error(error, path) from error
    if path.is_dir():
        raise UVMapError(ErrorCode.OUTPUT_NOT_WRITABLE, f"{path} is a folder.", "Name a file.")


def _publish(path: Path, text: str) -> None:
    """Write a file in place of one that may be there: whole or not at all."""
    from uvmap_id.link.disk import disk_error, remove, sync_folder, write_synced

    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        write_synced(part, text.encode())
        os.replace(part, path)  # noqa: PTH105
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        remove(part)


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while it leads to a terminal, nothing otherwise."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Measuring", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
