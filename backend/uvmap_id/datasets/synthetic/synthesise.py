"""Makes a dataset of synthetic people, on several processes; what is finished is not made again."""

from __future__ import annotations

import functools
import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2

from uvmap_id.datasets.folder import METADATA, Row, metadata_of
from uvmap_id.datasets.synthetic.card import card
from uvmap_id.datasets.synthetic.embedding import BUFFALO, EMBEDDINGS
from uvmap_id.datasets.synthetic.maker import Maker, Wish
from uvmap_id.datasets.synthetic.shelf import IDENTITIES, Entry, Shelf
from uvmap_id.link.errors import ErrorCode, Failure, UVMapError

CARD = "README.md"
_LIMITS = {
    "identities": (1, 1_000_000),
    "textures": (1, 100),
    "photos": (0, 100),
    "photo_size": (128, 2048),
    "seed": (0, 2**31 - 1),
    "workers": (1, 256),
}
_SIZES = (64, 128, 256, 512, 1024, 2048)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Tools:
    """Where a worker finds what it needs; None for what comes with the package, or is not needed."""

    mannequin: Path | None = None
    identity_models: Path | None = None


def synthesise(
    folder: Path, identities: int, wish: Wish, tools: Tools, workers: int, progress: Progress
) -> tuple[Row, ...]:
    """Make a dataset of the people 0 to `identities` - 1 of a seed.

    Args:
        folder: New, empty, or begun with the same wish.
        identities: How many people.
        wish: What is made of each.
        tools: Files that are needed.
        workers: Processes; 1 works in this one.
        progress: Is told how many people are finished, and of how many.

    Returns:
        The rows of the finished dataset.

    Raises:
        UVMapError: setting_out_of_range, output_not_writable, disk_full, body_missing, body_unreadable,
            identity_unavailable, face_not_found, worker_died. What is finished stays for the next try.
    """
    check(identities, wish, workers)
    shelf = Shelf(folder)
    shelf.open(wish)
    shelf.sweep()
    missing = [number for number in range(identities) if shelf.finished(number) is None]
    done = identities - len(missing)
    progress(done, identities)
    made = _alone(shelf, wish, tools, missing) if workers == 1 else _together(shelf, wish, tools, missing, workers)
    for count, _ in enumerate(made, done + 1):
        progress(count, identities)
    return _finish(shelf, wish, identities)


def check(identities: int, wish: Wish, workers: int) -> None:
    """Refuse what can't be made.

    Raises:
        UVMapError: setting_out_of_range, with what is offered.
    """
    values = {
        "identities": identities,
        "textures": wish.textures,
        "photos": wish.photos,
        "photo_size": wish.photo_size,
        "seed": wish.seed,
        "workers": workers,
    }
    for name, value in values.items():
        low, high = _LIMITS[name]
        if not low <= value <= high:
            raise _out_of_range(f"--{name.replace('_', '-')} is {value}.", f"It has to be {low} to {high}.")
    if wish.size not in _SIZES:
        raise _out_of_range(f"--size is {wish.size}.", f"Choose one of {', '.join(map(str, _SIZES))}.")
    if wish.embedding not in EMBEDDINGS:
        raise _out_of_range(f"There is no embedding {wish.embedding}.", f"Choose one of {', '.join(EMBEDDINGS)}.")
    if wish.embedding == BUFFALO and not wish.photos:
        raise _out_of_range("Without photos nobody can be recognised.", "Choose --photos 1, or --embedding parameters.")


def _alone(shelf: Shelf, wish: Wish, tools: Tools, numbers: list[int]) -> Iterator[int]:
    if not numbers:
        return
    maker = Maker(wish, tools.mannequin, tools.identity_models)
    for number in numbers:
        shelf.put(maker.make(number))
        yield number


def _together(shelf: Shelf, wish: Wish, tools: Tools, numbers: list[int], workers: int) -> Iterator[int]:
    # Forked processes inherit locks of threads that they don't have.
    context = multiprocessing.get_context("spawn")
    left = iter(numbers)
    with ProcessPoolExecutor(min(workers, max(1, len(numbers))), context, _let_the_parent_decide) as pool:
        running: set[Future[Failure | None]] = set()
        try:
            while True:
                # A short queue: nothing waits in memory, and an error stops everything soon.
                for number in left:
                    running.add(pool.submit(_make, shelf.folder, wish, tools, number))
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    _raise(future.result())
                    yield 1
        except BrokenProcessPool as error:
            raise UVMapError(
                ErrorCode.WORKER_DIED,
                "A process that makes people ended without a word; perhaps the memory is full.",
                "Run the command again: what is finished is kept. Fewer --workers need less memory.",
            ) from error
        finally:
            for future in running:
                future.cancel()


def _let_the_parent_decide() -> None:
    """In a worker. Ctrl-C reaches all processes of a terminal; this one is to finish its person.

    Where the parent dies instead, so does the worker: nobody else would ever end it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _make(folder: Path, wish: Wish, tools: Tools, number: int) -> Failure | None:
    """In a worker. A failure is returned, because exceptions of ours don't survive the way back."""
    try:
        Shelf(folder).put(_maker(wish, tools).make(number))
    except UVMapError as error:
        return error.failure
    return None


@functools.lru_cache(maxsize=1)
def _maker(wish: Wish, tools: Tools) -> Maker:
    cv2.setNumThreads(1)
    return Maker(wish, tools.mannequin, tools.identity_models)


def _raise(failure: Failure | None) -> None:
    if failure is not None:
        raise UVMapError(ErrorCode(failure.code), failure.message, failure.hint)


def _finish(shelf: Shelf, wish: Wish, identities: int) -> tuple[Row, ...]:
    """Write what lists the people: the card first, the rows last, so that a dataset that has rows is complete."""
    entries: list[Entry] = []
    for number in range(identities):
        entry = shelf.finished(number)
        if entry is None:
            raise UVMapError(
                ErrorCode.DATASET_UNREADABLE,
                f"Files of person {number} in {shelf.folder} are missing or were changed while others were made.",
                "Run the command again.",
            )
        entries.append(entry)
    rows = tuple(row for entry in entries for row in entry.rows)
    shelf.write(IDENTITIES, json.dumps([entry.parameters for entry in entries], indent=1).encode())
    shelf.write(CARD, card(wish, rows).encode())
    shelf.write(METADATA, metadata_of(rows).encode())
    return rows


def _out_of_range(what: str, hint: str) -> UVMapError:
    return UVMapError(ErrorCode.SETTING_OUT_OF_RANGE, what, hint)
