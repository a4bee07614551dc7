"""Fills in the embeddings that a dataset lacks, from its photos or from those of a list of people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uvmap_id.datasets.card import CARD, made_how
from uvmap_id.datasets.folder import Dataset, Row, short_numbers
from uvmap_id.datasets.people import Person
from uvmap_id.datasets.plan import photo_sha256
from uvmap_id.datasets.recognising import identity_reader
from uvmap_id.datasets.writing import write_dataset
from uvmap_id.faces.identity import IdentityReader
from uvmap_id.link.errors import ErrorCode, UVMapError

# Without these no photo of all can be read.
_HOPELESS = frozenset(
    (
        ErrorCode.IDENTITY_UNAVAILABLE.value,
        ErrorCode.PACKAGE_MISSING.value,
        ErrorCode.WEIGHTS_INVALID.value,
        ErrorCode.WEIGHTS_INCOMPLETE.value,
    )
)


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was filled in.

    Attributes:
        added: Textures that have an embedding now.
        failed: Identities with a sentence about why they still have none.
    """

    added: int
    failed: dict[str, str]


def add_embeddings(
    dataset: Dataset,
    people: Sequence[Person] = (),
    again: bool = False,
    reader: IdentityReader | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Embedded:
    """Compute embeddings and write the rows anew; nothing else of them changes.

    A person's photo is the one in the list that the row was made from; else the photo that the dataset keeps.

    Args:
        dataset: Whose rows.
        people: Where photos may be found that the dataset does not keep.
        again: Measure those as well that are there.
        reader: By default one on the weights that are installed.
        on_progress: Called with the number of rows that were looked at.

    Raises:
        UVMapError: identity_unavailable, package_missing, weights_incomplete, weights_invalid; disk_full,
            output_not_writable.
    """
    reader = reader or identity_reader()
    listed = {person.name: person for person in people}
    known: dict[tuple[str, str], tuple[float, ...]] = {}
    failed: dict[str, str] = {}
    rows: list[Row] = []
    added = 0
    for done, row in enumerate(dataset.rows, 1):
        if not row.embedding or again:
            key = (row.identity, row.photo_sha256)
            if key not in known:
                known[key] = _measured(dataset, row, listed.get(row.identity), reader, failed)
            if known[key]:
                added += known[key] != row.embedding
                row = replace(row, embedding=known[key])
        rows.append(row)
        on_progress(done)
    if added:
        readme = dataset.folder / CARD
        how = made_how(readme.read_text(encoding="utf-8")) if readme.is_file() else ()
        write_dataset(dataset.folder, rows, dataset.folder.absolute().name, how)
    return Embedded(added, failed)


def _measured(
    dataset: Dataset, row: Row, person: Person | None, reader: IdentityReader, failed: dict[str, str]
) -> tuple[float, ...]:
    photos = _photos(dataset, row, person)
    if not photos:
        failed[row.identity] = "There is no photo: name a list of people, or keep the photos in the dataset."
        return ()
    try:
        return short_numbers(reader.read(tuple(photo.read_bytes() for photo in photos)).embedding)
    except UVMapError as error:
        if error.failure.code in _HOPELESS:
            raise
        failed[row.identity] = error.failure.message
    except OSError as error:
        failed[row.identity] = f"The photo can't be read: {error.strerror}."
    return ()


def _photos(dataset: Dataset, row: Row, person: Person | None) -> tuple[Path, ...]:
    kept = dataset.photo(row)
    for photo in person.photos if person is not None else ():
        try:
            if not row.photo_sha256 or photo_sha256(photo) == row.photo_sha256:
                return (photo,)
        except OSError:
            continue
    return () if kept is None else (kept,)
