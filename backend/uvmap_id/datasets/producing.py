"""Makes a dataset: plans the items, has them made, and writes what came out. Goes on where it was stopped."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from uvmap_id.datasets.card import Census
from uvmap_id.datasets.folder import Row, read_dataset
from uvmap_id.datasets.making import FATAL, Outcome
from uvmap_id.datasets.people import Person
from uvmap_id.datasets.plan import Item, Planned, Recipe, plan, portions
from uvmap_id.datasets.workshop import Workshop
from uvmap_id.datasets.writing import keep_photo, write_dataset
from uvmap_id.link.disk import disk_error, remove
from uvmap_id.link.errors import ErrorCode, Failure, UVMapError

FAILURES = "failures.jsonl"


class Workers(Protocol):
    """Whoever makes items: processes on this machine, or a cluster."""

    def run(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """The outcomes of items, as they come."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for.

    Attributes:
        folder: The dataset's.
        people: Who.
        recipe: What of them.
        each_photo: A choice of textures for each photo; otherwise for each person.
        keep_photos: Copy the photos into the dataset.
        prune: Remove textures of earlier photos and settings.
        how: Sentences about how it is made, for the card.
    """

    folder: Path
    people: tuple[Person, ...]
    recipe: Recipe
    each_photo: bool = True
    keep_photos: bool = False
    prune: bool = False
    how: tuple[str, ...] = ()


@dataclass
class Tally:
    """How it goes, and in the end how it went.

    Attributes:
        total: Items that were asked for.
        made: Items that were made now.
        found: Items that were there already.
        failed: Items that could not be made.
        twice: Photos that were left out because they are a copy of another one.
        left: Items of other photos or settings that lie in the folder as well.
        pruned: Textures of such items that were removed.
        census: What the dataset holds.
    """

    total: int
    made: int = 0
    found: int = 0
    failed: int = 0
    twice: list[str] = field(default_factory=list)
    left: int = 0
    pruned: int = 0
    census: Census = field(default_factory=Census)

    @property
    def done(self) -> int:
        """Items that are behind us, in whatever way."""
        return self.made + self.found + self.failed + len(self.twice)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the rows of an item need, beside its record."""

    key: str
    person: Person
    photo: Path


class _Run:
    """One command's work on a dataset."""

    def __init__(self, order: Order, workshop: Workshop, on_progress: Callable[[Tally], None]) -> None:
        self.tally = Tally(sum(len(portions(person, order.each_photo)) for person in order.people))
        self._order = order
        self._workshop = workshop
        self._on_progress = on_progress
        self._entries: dict[str, _Entry] = {}
        self._missing: deque[Item] = deque()
        self._failures = order.folder / FAILURES

    def plan(self) -> None:
        """Look at all photos, and at what is there already. Raises `UVMapError`."""
        for planned in plan(self._order.people, self._order.recipe, self._order.each_photo):
            item = self._new(planned)
            if item is None:
                self._on_progress(self.tally)
            else:
                self._missing.append(item)

    def items(self) -> Iterator[Item]:
        """What is to be made; each is forgotten once it is given out."""
        while self._missing:
            yield self._missing.popleft()

    def _new(self, planned: Planned) -> Item | None:
        item = planned.item
        if planned.failure is not None:
            self._fail(planned.person.name, planned.photos[0], planned.failure)
        if item is None:
            return None
        if item.key in self._entries:
            first = self._entries[item.key]
            self.tally.twice.append(f"{planned.photos[0]} is a copy of {first.photo}, and was left out.")
            return None
        self._entries[item.key] = _Entry(item.key, planned.person, planned.photos[0])
        if self._workshop.finished(item.key) is None:
            return item
        self.tally.found += 1
        return None

    def take(self, outcome: Outcome) -> None:
        """Count an outcome. Raises `UVMapError` for one after which nothing can be made."""
        if not outcome.code:
            self.tally.made += 1
        elif outcome.code in FATAL:
            raise UVMapError(ErrorCode(outcome.code), outcome.message, outcome.hint)
        else:
            entry = self._entries.pop(outcome.key)
            self._fail(entry.person.name, entry.photo, Failure(outcome.code, outcome.message, outcome.hint))
        self._on_progress(self.tally)

    def _fail(self, identity: str, photo: Path, failure: Failure) -> None:
        self.tally.failed += 1
        row = {"identity": identity, "photo": str(photo), "code": failure.code, "message": failure.message}
        try:
            with self._failures.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row | {"hint": failure.hint}, ensure_ascii=False) + "\n")
        except OSError as error:
            raise disk_error(error, self._failures) from error

    def write(self) -> None:
        """Write the rows of all items that are finished, and the card."""
        self.tally.census = write_dataset(self._order.folder, self._rows(), self._order.folder.name, self._order.how)

    def _rows(self) -> Iterator[Row]:
        measured = _embeddings_in(self._order.folder)
        for entry in self._entries.values():
            finished = self._workshop.finished(entry.key, thorough=False)
            if finished is None:
                continue
            photo = keep_photo(self._order.folder, entry.photo, finished.photos[0]) if self._order.keep_photos else ""
            for made in finished.textures:
                yield Row(
                    file_name=made.file,
                    identity=entry.person.name,
                    prompt=made.prompt,
                    group=entry.person.group,
                    gender=entry.person.gender,
                    embedding=finished.embedding or measured.get(made.file, ()),
                    photo=photo,
                    seed=made.seed,
                    consent=entry.person.consent,
                    licence=entry.person.licence,
                    scores=made.scores,
                    photo_sha256=finished.photos[0],
                )

    def tidy(self) -> None:
        """Count what lies in the folder from earlier photos or settings, and remove it if that was asked for."""
        for key in self._workshop.items():
            if key in self._entries:
                continue
            if self._order.prune:
                self.tally.pruned += self._workshop.forget(key)
            else:
                self.tally.left += 1


def _embeddings_in(folder: Path) -> dict[str, tuple[float, ...]]:
    """Embeddings by texture of the rows that are there: those that were computed afterwards are in no record."""
    try:
        return {row.file_name: row.embedding for row in read_dataset(folder).rows if row.embedding}
    except UVMapError:
        return {}


def produce(
    order: Order,
    workers: Callable[[Workshop], contextlib.AbstractContextManager[Workers]],
    on_progress: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Make a dataset, or what is missing of it.

    Args:
        order: What is asked for.
        workers: Makes the workers, which end with it.
        on_progress: Called after each item.

    Raises:
        UVMapError: disk_full, output_not_writable, worker_crash_loop, package_missing: what is finished is kept.
        KeyboardInterrupt: What is finished is kept, and is a dataset.
    """
    workshop = Workshop(order.folder)
    with workshop.alone():
        workshop.prepare()
        remove(order.folder / FAILURES)
        run = _Run(order, workshop, on_progress)
        on_progress(run.tally)
        run.plan()
        try:
            with workers(workshop) as crew:
                for outcome in crew.run(run.items()):
                    run.take(outcome)
        except KeyboardInterrupt:
            run.write()
            raise
        run.write()
        run.tidy()
        return run.tally
