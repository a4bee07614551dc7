"""The third stage: which of a person's textures go into the dataset. Metrics suggest, people decide."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uvmap_id.datasets.card import Census
from uvmap_id.datasets.folder import TEXTURES, Dataset, Row
from uvmap_id.datasets.ranking import best
from uvmap_id.datasets.workshop import PART, write_whole
from uvmap_id.datasets.writing import keep_photo, write_dataset
from uvmap_id.link.disk import disk_error, remove
from uvmap_id.link.errors import ErrorCode, UVMapError

CHOICE = "choice.json"
FORMAT = 1
_OTHERS = re.compile(r"[^a-z0-9]+")

Choice = Mapping[str, Sequence[str]]
"""File names of the textures that are kept, by the identity."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A dataset that was finished.

    Attributes:
        census: What it holds.
        dropped: People of whom nothing was chosen.
    """

    census: Census
    dropped: tuple[str, ...]


def suggest(dataset: Dataset, keep: int, directions: Mapping[str, bool]) -> dict[str, list[str]]:
    """What the metrics would choose: see `ranking`."""
    rows: dict[str, list[Row]] = {}
    for row in dataset.rows:
        rows.setdefault(row.identity, []).append(row)
    return {
        identity: [their[index].file_name for index in best([row.scores for row in their], directions, keep)]
        for identity, their in rows.items()
    }


def write_choice(path: Path, choice: Choice) -> None:
    """Write a choice as JSON that a person can edit. Raises `UVMapError`: output_not_writable, disk_full."""
    text = json.dumps({"format": FORMAT, "keep": choice}, indent=2, ensure_ascii=False) + "\n"
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise disk_error(error, path) from error


def read_choice(path: Path, dataset: Dataset) -> dict[str, list[str]]:
    """A choice from a dataset's textures.

    Raises:
        UVMapError: config_invalid, with what is wrong.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise _invalid(f"{path} can't be read as JSON: {error}") from error
    keep = values.get("keep") if isinstance(values, dict) else None
    if not isinstance(keep, dict) or values.get("format") != FORMAT:
        raise _invalid(f'{path} has no "keep", or another format than {FORMAT}')
    theirs = {row.file_name: row.identity for row in dataset.rows}
    chosen: dict[str, list[str]] = {}
    for identity, names in keep.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _invalid(f'{path} keeps of "{identity}" what is no list of files')
        for name in names:
            if theirs.get(name) != identity:
                raise _invalid(f'{path} keeps {name} of "{identity}", and the dataset has no such texture')
        chosen[identity] = list(dict.fromkeys(names))
    return chosen


def finish(
    dataset: Dataset,
    choice: Choice,
    out: Path,
    name: str,
    keep_photos: bool = False,
    require_balance: bool = False,
    how: Sequence[str] = (),
) -> Selected:
    """Write the chosen textures as a dataset of their own: the whole folder appears at once, or nothing.

    Raises:
        UVMapError: dataset_empty, dataset_unbalanced, photo_missing, output_not_writable, disk_full.
    """
    kept = {file for files in choice.values() for file in files}
    rows = [row for row in dataset.rows if row.file_name in kept]
    if not rows:
        raise UVMapError(ErrorCode.DATASET_EMPTY, "The choice keeps nothing.", "Keep at least one texture.")
    census = Census()
    for row in rows:
        census.add(row)
    if require_balance:
        census.balance.require()
    if keep_photos and not all(row.photo for row in rows):
        raise UVMapError(
            ErrorCode.PHOTO_MISSING,
            "The photos are not in the folder of the candidates.",
            "Build it again with --keep-photos, which makes nothing anew, or leave --keep-photos out here.",
        )
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UVMapError(ErrorCode.OUTPUT_NOT_WRITABLE, f"{out} is not empty.", "Choose a new folder.")
    part = out.with_name(f".{out.name}{PART}")
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / TEXTURES).mkdir(parents=True)
        chosen = f"{len(rows):,} of {len(dataset.rows):,} candidates were chosen."
        census = write_dataset(part, _copied(dataset, rows, part, keep_photos), name, (*how, chosen))
        if out.exists():
            out.rmdir()
        part.replace(out)
    except OSError as error:
        raise disk_error(error, out) from error
    finally:
        remove(part)
    everybody = dataset.identities()
    there = {row.identity for row in rows}
    return Selected(census, tuple(identity for identity in everybody if identity not in there))


def _copied(dataset: Dataset, rows: Sequence[Row], out: Path, keep_photos: bool) -> Iterator[Row]:
    counts: dict[str, int] = {}
    for row in rows:
        content = dataset.texture(row).read_bytes()
        digest = hashlib.sha256(row.identity.encode()).hexdigest()[:6]
        # Names that differ in signs alone stay apart.
        word = f"{_OTHERS.sub('-', row.identity.lower()).strip('-')[:40] or 'person'}-{digest}"
        counts[word] = counts.get(word, 0) + 1
        name = f"{TEXTURES}/{word}-{counts[word]:02d}.png"
        write_whole(out / name, content)
        photo = dataset.photo(row)
        kept = keep_photo(out, photo, row.photo_sha256) if keep_photos and photo is not None else ""
        yield replace(row, file_name=name, photo=kept)


def _invalid(what: str) -> UVMapError:
    return UVMapError(
        ErrorCode.CONFIG_INVALID, f"{what}.", "Write it again: uvmap-id dataset choose FOLDER, or from its page."
    )
