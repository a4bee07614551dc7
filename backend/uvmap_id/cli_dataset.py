"""The commands `uvmap-id dataset ...`: parses, prints, and leaves the rest to others."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uvmap_id.cli_errors import EXIT_CANCELLED, EXIT_FAILED, errors_reported, print_failure
from uvmap_id.link.errors import ErrorCode, Failure

if TYPE_CHECKING:
    from uvmap_id.datasets.balance import Balance
    from uvmap_id.datasets.checking import Report
    from uvmap_id.datasets.people import Person
    from uvmap_id.datasets.plan import Recipe
    from uvmap_id.datasets.producing import Order, Tally, Workers
    from uvmap_id.datasets.workshop import Workshop

EXIT_PARTLY = 3
"""Some photos could not be used; the rest is there."""

dataset = typer.Typer(
    help="Datasets: make textures of many people, choose the best, check what came out.", no_args_is_help=True
)

_People = Annotated[
    Path, typer.Argument(help="A CSV of people (name, group, gender, photos, consent, licence), or a folder of photos.")
]
_Consent = Annotated[
    bool, typer.Option("--i-have-consent", help="You have consent wherever the list names none; that is noted.")
]
_Prompts = Annotated[Path | None, typer.Option(help="A file with one prompt a line.", show_default="our own")]
_Engine = Annotated[str | None, typer.Option(help="auto, projection or uvmap-id.", show_default="auto")]
_Size = Annotated[str | None, typer.Option(help="Side of the textures.", show_default="512")]
_Seed = Annotated[int, typer.Option(help="Another one varies all textures.")]
_Settings = Annotated[Path | None, typer.Option(help="A manifest.json, or JSON or TOML with its fields.")]
_Weights = Annotated[
    str | None, typer.Option(help="Installed weights of the engine uvmap-id.", show_default="the best")
]
_Steps = Annotated[str | None, typer.Option(help="Denoising steps of the engine uvmap-id.", show_default="50")]
_Words = Annotated[
    str,
    typer.Option(help="Text for the model: knows {name}, {description}, {prompt}.", show_default="by weights"),
]
_Metrics = Annotated[str, typer.Option(help="Those that choose, with commas; empty for none.", show_default="see docs")]
_KeepPhotos = Annotated[bool, typer.Option("--keep-photos", help="Copy the photos into the dataset.")]
_Balance = Annotated[bool, typer.Option("--require-balance", help="Refuse what is not balanced by group and gender.")]
_Prune = Annotated[bool, typer.Option("--prune", help="Remove textures of earlier photos and settings.")]
_Workers = Annotated[int | None, typer.Option(min=1, help="Processes.", show_default="cards or cores")]
_Ray = Annotated[str | None, typer.Option(help='A Ray cluster, HOST:PORT, "auto", or "local".')]
_Gpus = Annotated[float | None, typer.Option(min=0, help="Graphics cards for each process on Ray.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@dataset.command()
def build(
    people: _People,
    out: Annotated[Path, typer.Option(help="Folder for the candidates; made if need be.")],
    candidates: Annotated[int, typer.Option(help="Textures of each person.")] = 50,
    keep: Annotated[int, typer.Option(help="How many of them are suggested.")] = 5,
    prompts: _Prompts = None,
    engine: _Engine = None,
    size: _Size = None,
    seed: _Seed = 0,
    weights: _Weights = None,
    steps: _Steps = None,
    words: _Words = "",
    settings: _Settings = None,
    metrics: _Metrics = "default",
    i_have_consent: _Consent = False,
    keep_photos: _KeepPhotos = False,
    require_balance: _Balance = False,
    prune: _Prune = False,
    workers: _Workers = None,
    ray: _Ray = None,
    gpus_per_worker: _Gpus = None,
) -> None:
    """Make candidates of each person, and suggest which to keep. Then look at the page, and finish."""
    asked = _Asked(engine, size, weights, steps, words, settings, metrics, prompts, seed)
    with errors_reported(), _goes_on():
        found = _people(people, i_have_consent, require_balance)
        recipe, how = asked.recipe((candidates, candidates))
        order = _order(out, found, recipe, how, each_photo=False, keep_photos=keep_photos, prune=prune)
        tally = _produced(order, _Crew(workers, ray, gpus_per_worker))
        if not tally.census.rows:
            _end(tally)
        _suggest(out, min(keep, candidates), recipe.directions)
        typer.echo(f"Look at {out / 'contact_sheet.html'}, then:")
        typer.echo(f"uvmap-id dataset finish {out} --out DATASET")
        _end(tally)


@dataset.command()
def choose(
    folder: Annotated[Path, typer.Argument(help="Candidates, from `build`, or any dataset.")],
    keep: Annotated[int, typer.Option(min=1, help="How many textures of each person.")] = 5,
    metrics: _Metrics = "default",
) -> None:
    """Suggest anew which candidates to keep: writes choice.json and contact_sheet.html."""
    with errors_reported():
        _suggest(folder, keep, _directions(metrics)[0])
        typer.echo(folder / "contact_sheet.html")


@dataset.command()
def finish(
    folder: Annotated[Path, typer.Argument(help="Candidates, from `build`.")],
    out: Annotated[Path, typer.Option(help="A new folder for the dataset.")],
    choice: Annotated[
        Path | None, typer.Option(help="What to keep, as saved from the page.", show_default="FOLDER/choice.json")
    ] = None,
    keep_photos: _KeepPhotos = False,
    require_balance: _Balance = False,
) -> None:
    """Write the chosen textures as a dataset of their own."""
    with errors_reported():
        from uvmap_id.datasets.card import CARD, made_how
        from uvmap_id.datasets.choosing import CHOICE, read_choice
        from uvmap_id.datasets.choosing import finish as write
        from uvmap_id.datasets.folder import read_dataset

        found = read_dataset(folder)
        chosen = read_choice(choice or folder / CHOICE, found)
        card = folder / CARD
        how = made_how(card.read_text(encoding="utf-8")) if card.is_file() else ()
        selected = write(found, chosen, out, out.absolute().name, keep_photos, require_balance, how)
        for identity in selected.dropped:
            typer.echo(f"warning: Nothing is kept of {identity}.", err=True)
        _print_balance(selected.census.balance)
        typer.echo(selected.census.sentence())
        typer.echo(out)


@dataset.command()
def produce(
    people: _People,
    out: Annotated[Path, typer.Option(help="The dataset's folder; made if need be.")],
    candidates: Annotated[int, typer.Option(help="Textures that are made of each photo.")] = 10,
    keep: Annotated[int, typer.Option(help="How many of them stay, the best by the metrics.")] = 2,
    prompts: _Prompts = None,
    engine: _Engine = None,
    size: _Size = None,
    seed: _Seed = 0,
    weights: _Weights = None,
    steps: _Steps = None,
    words: _Words = "",
    settings: _Settings = None,
    metrics: _Metrics = "default",
    i_have_consent: _Consent = False,
    keep_photos: _KeepPhotos = False,
    require_balance: _Balance = False,
    prune: _Prune = False,
    workers: _Workers = None,
    ray: _Ray = None,
    gpus_per_worker: _Gpus = None,
) -> None:
    """Make textures of each photo and keep the best. The same command goes on where it was stopped."""
    asked = _Asked(engine, size, weights, steps, words, settings, metrics, prompts, seed)
    with errors_reported(), _goes_on():
        found = _people(people, i_have_consent, require_balance)
        recipe, how = asked.recipe((candidates, keep))
        order = _order(out, found, recipe, how, each_photo=True, keep_photos=keep_photos, prune=prune)
        tally = _produced(order, _Crew(workers, ray, gpus_per_worker))
        _print_balance(tally.census.balance)
        typer.echo(out)
        _end(tally)


@dataset.command()
def check(
    folder: Annotated[Path, typer.Argument(help="The dataset.")],
    require_balance: _Balance = False,
    as_json: _Json = False,
) -> None:
    """Read all of a dataset: corrupt pictures, doubles, embeddings, balance. Ends with 1 if something is broken."""
    with errors_reported():
        from uvmap_id.datasets.checking import check_dataset
        from uvmap_id.datasets.folder import read_dataset

        found = read_dataset(folder)
        with _bar("Reading", len(found.rows)) as on_progress:
            report = check_dataset(found, on_progress)
        _print_report(report, as_json)
        if require_balance:
            report.balance.require()
        if not report.is_usable:
            raise typer.Exit(EXIT_FAILED)


@dataset.command()
def embed(
    folder: Annotated[Path, typer.Argument(help="The dataset.")],
    photos: Annotated[
        Path | None, typer.Option(help="The list of people, or the folder of photos, that it was made from.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure those as well that are there.")] = False,
) -> None:
    """Compute the embeddings that are missing, from the dataset's photos or those of a list."""
    with errors_reported():
        from uvmap_id.datasets.embedding import add_embeddings
        from uvmap_id.datasets.folder import read_dataset
        from uvmap_id.datasets.people import read_people

        found = read_dataset(folder)
        # Consent was asked for when the dataset was made.
        people = () if photos is None else read_people(photos, declared=True)
        with _bar("Recognising", len(found.rows)) as on_progress:
            done = add_embeddings(found, people, again, on_progress=on_progress)
        for identity, why in done.failed.items():
            typer.echo(f"warning: {identity}: {why}", err=True)
        typer.echo(f"{done.added} textures have a new embedding.")
        if done.failed:
            raise typer.Exit(EXIT_PARTLY)


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """What was typed about how to make textures."""

    engine: str | None
    size: str | None
    weights: str | None
    steps: str | None
    words: str
    settings: Path | None
    metrics: str
    prompts: Path | None
    seed: int

    def recipe(self, counts: tuple[int, int]) -> tuple[Recipe, tuple[str, ...]]:
        """The recipe, and sentences about it for the card."""
        from uvmap_id.datasets.recipes import make_recipe, read_prompts, sentences
        from uvmap_id.settings import requested

        # The prompt is filled in for each texture; textures are made at the model's own size unless somebody says more.
        size = self.size or (None if self.settings else "512")
        given = {"prompt": "a person", "engine": self.engine, "size": size}
        request = requested(self.settings, given, {"weights": self.weights, "steps": self.steps})
        prompts = read_prompts(self.prompts)
        directions, left_out = _directions(self.metrics)
        recipe = make_recipe(request, prompts, counts, directions, self.words, self.seed)
        return recipe, sentences(recipe, left_out)


@dataclasses.dataclass(frozen=True, slots=True)
class _Crew:
    """What was typed about who does the work."""

    workers: int | None
    ray: str | None
    gpus: float | None

    def start(self, workshop: Workshop, recipe: Recipe) -> contextlib.AbstractContextManager[Workers]:
        from uvmap_id.datasets.cluster import Cluster, ClusterOptions
        from uvmap_id.datasets.crew import Crew, CrewOptions
        from uvmap_id.server.devices import visible_devices

        paints = recipe.request.engine == "uvmap-id"
        cores = os.cpu_count() or 1
        if self.ray is not None:
            workers = self.workers or cores
            gpus = self.gpus if self.gpus is not None else 0.0
            return Cluster(workshop.folder, ClusterOptions(self.ray, workers, 1, gpus))
        devices = visible_devices() if paints else ()
        # A model fills a graphics card, or on the processor the memory.
        workers = self.workers or (max(1, len(devices)) if paints else cores)
        threads = max(1, cores // workers) if paints else 1
        return Crew(workshop.folder, workshop.logs, CrewOptions(workers, threads, devices))


def _directions(metrics: str) -> tuple[dict[str, bool], dict[str, str]]:
    from uvmap_id.datasets.judging import CHOOSING, ask

    wanted = CHOOSING if metrics == "default" else tuple(filter(None, (name.strip() for name in metrics.split(","))))
    if not wanted:
        return {}, {}
    directions, left_out = ask(wanted)
    for name, why in left_out.items():
        typer.echo(f"warning: The metric {name} is left out: {why}", err=True)
    return directions, left_out


def _people(source: Path, declared: bool, require_balance: bool) -> tuple[Person, ...]:
    from uvmap_id.datasets.balance import count
    from uvmap_id.datasets.people import read_people

    people = read_people(source, declared)
    balance = count((person.name, person.group, person.gender) for person in people)
    if require_balance:
        balance.require()
    elif not balance.is_balanced:
        typer.echo(f"warning: {balance.sentence()}", err=True)
    return people


def _order(out: Path, people: tuple[Person, ...], recipe: Recipe, how: tuple[str, ...], **options: bool) -> Order:
    from uvmap_id.datasets.producing import Order

    return Order(out.absolute(), people, recipe, how=how, **options)


def _produced(order: Order, crew: _Crew) -> Tally:
    from uvmap_id.datasets.producing import produce as make

    with _tally_shown("photos" if order.each_photo else "people") as on_progress:
        tally = make(order, lambda workshop: crew.start(workshop, order.recipe), on_progress)
    for sentence in tally.twice:
        typer.echo(f"warning: {sentence}", err=True)
    if tally.left:
        typer.echo(
            f"warning: Textures of {tally.left} earlier photos or settings lie beside; --prune removes them.", err=True
        )
    return tally


def _suggest(folder: Path, keep: int, directions: Mapping[str, bool]) -> None:
    from uvmap_id.datasets.choosing import CHOICE, suggest, write_choice
    from uvmap_id.datasets.folder import read_dataset
    from uvmap_id.datasets.sheet import SHEET, write_sheet

    found = read_dataset(folder)
    choice = suggest(found, keep, directions)
    write_choice(folder / CHOICE, choice)
    with _bar("Writing the page", len(found.rows)) as on_progress:
        write_sheet(folder / SHEET, found, choice, keep, on_progress)


def _end(tally: Tally) -> None:
    """Say what came out, and end with the code that tells whether all of it did."""
    said = f"{tally.made} made, {tally.found} were there, {tally.failed} failed"
    typer.echo(f"{said}; {tally.census.sentence()}", err=True)
    if tally.failed:
        typer.echo("What failed and why is in failures.jsonl.", err=True)
        raise typer.Exit(EXIT_PARTLY if tally.census.rows else EXIT_FAILED)


@contextlib.contextmanager
def _goes_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        sentence = "Stopped. What is finished is kept."
        print_failure(Failure(ErrorCode.CANCELLED.value, sentence, "The same command goes on where it stopped."))
        raise typer.Exit(EXIT_CANCELLED) from None


@contextlib.contextmanager
def _tally_shown(what: str) -> Iterator[Callable[[Tally], None]]:
    """A bar while stderr leads to a terminal, else a line now and then."""
    from uvmap_id.datasets.pace import Pace, sentence, shown

    pace = Pace()
    with shown() as update:
        yield lambda tally: update(tally.done, tally.total, sentence(tally, pace, what))


@contextlib.contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    from uvmap_id.datasets.pace import shown

    with shown(lines=False) as update:
        yield lambda done: update(done, total, f"{title}, {done} of {total}")


def _print_balance(balance: Balance) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    header, *rows = balance.table()
    table = Table(*map(escape, header), title="People (textures)")
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console(stderr=True)
    console.print(table)
    console.print(escape(balance.sentence()))


def _print_report(report: Report, as_json: bool) -> None:
    from uvmap_id.datasets.card import counted

    if as_json:
        balance = report.balance
        cells = [
            {"group": group, "gender": gender, "people": people, "textures": balance.textures[group, gender]}
            for (group, gender), people in sorted(balance.people.items())
        ]
        values = {
            "usable": report.is_usable,
            "textures": report.textures,
            "identities": report.identities,
            "sizes": {str(side): number for side, number in sorted(report.sizes.items())},
            "without_embedding": report.without_embedding,
            "without_consent": report.without_consent,
            "balanced": balance.is_balanced,
            "balance": cells,
            "problems": report.problems,
            "warnings": report.warnings,
        }
        typer.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    _print_balance(report.balance)
    for problem in report.problems:
        typer.echo(f"problem: {problem}")
    for warning in report.warnings:
        typer.echo(f"warning: {warning}")
    typer.echo(counted(report.textures, report.identities))
