"""A dataset on disk: a folder that `datasets.load_dataset("imagefolder", data_dir=...)` reads as it is.

README.md           the dataset's card
metadata.jsonl      one row for each texture
textures/           PNG, 8 bits sRGB, square
photos/             the faces, where they may be kept
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvmap_id.faces.embedding import EMBEDDING_SIZE, normalised
from uvmap_id.link.errors import ErrorCode, UVMapError

METADATA = "metadata.jsonl"
TEXTURES, PHOTOS = "textures", "photos"
_KINDS = {"prompt": str, "group": str, "gender": str, "photo": str, "seed": int, "scores": dict}
_HINT = "See docs/datasets.md for the columns of a dataset."


@dataclass(frozen=True, slots=True)
class Row:
    """A texture, the words for it, and whose it is.

    Attributes:
        file_name: Of the texture, below the dataset's folder, with slashes.
        identity: Whose texture it is; the same word for the same person.
        prompt: What the person wears, without the words of the recipe.
        group: The person's group in words, such as "asian"; the paper's "race".
        gender: "man" or "woman", or what else people say of themselves.
        embedding: 512 numbers, L2-normalised; empty where unknown.
        photo: Of the face, below the dataset's folder; empty where there is none.
        seed: That the texture was made with.
        consent: On what ground the photo may be used.
        licence: Of the photo.
        scores: Of metrics, by their names.
    """

    file_name: str
    identity: str
    prompt: str = ""
    group: str = ""
    gender: str = ""
    embedding: tuple[float, ...] = ()
    photo: str = ""
    seed: int = 0
    consent: str = ""
    licence: str = ""
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The person in words, as they stand in a prompt."""
        return " ".join(word for word in (self.group, self.gender) if word)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows, and the folder that their files lie in."""

    folder: Path
    rows: tuple[Row, ...]

    def texture(self, row: Row) -> Path:
        """Where a row's texture lies."""
        return self.folder / row.file_name

    def photo(self, row: Row) -> Path | None:
        """Where a row's photo lies, None where it has none."""
        return self.folder / row.photo if row.photo else None

    def embedding(self, row: Row) -> NDArray[np.float32] | None:
        """(512,) float32, L2-normalised, None where the row has none."""
        return normalised(np.array(row.embedding, np.float32)) if row.embedding else None

    def identities(self) -> tuple[str, ...]:
        """Who is in it, each once, in the order of the rows."""
        return tuple(dict.fromkeys(row.identity for row in self.rows))


def read_dataset(folder: Path) -> Dataset:
    """A dataset as it lies on disk; textures are not opened.

    Raises:
        UVMapError: dataset_unreadable, with the line that is wrong; dataset_empty.
    """
    path = folder / METADATA
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(f"{path} can't be read.") from error
    rows = tuple(_row(line, f"Line {number} of {path}") for number, line in enumerate(lines, 1) if line.strip())
    if not rows:
        raise UVMapError(ErrorCode.DATASET_EMPTY, f"{path} lists no textures.", _HINT)
    dataset = Dataset(folder, rows)
    for row in rows:
        _check_files(dataset, row)
    return dataset


def metadata_of(rows: Sequence[Row]) -> str:
    """The text of `metadata.jsonl` for rows."""
    return "".join(json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def _row(line: str, where: str) -> Row:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise _unreadable(f"{where} is not JSON.") from error
    if not isinstance(values, dict):
        raise _unreadable(f"{where} is no object.")
    for column in ("file_name", "identity"):
        if not isinstance(values.get(column), str) or not values[column]:
            raise _unreadable(f'{where} lacks the column "{column}".')
    known = {part.name for part in fields(Row)}
    kept: dict[str, Any] = {name: value for name, value in values.items() if name in known and value is not None}
    if "embedding" in kept:
        kept["embedding"] = _embedding(kept["embedding"], where)
    for name, kind in (
        ("prompt", str),
        ("group", str),
        ("gender", str),
        ("photo", str),
        ("seed", int),
        ("scores", dict),
    ):
        if name in kept and not isinstance(kept[name], kind):
            raise _unreadable(f'{where} has a column "{name}" that is not what it must be.')
    return Row(**kept)


def _embedding(values: object, where: str) -> tuple[float, ...]:
    if values == []:
        return ()
    numbers = isinstance(values, list) and all(isinstance(value, int | float) for value in values)
    if not numbers or not isinstance(values, list) or len(values) != EMBEDDING_SIZE:
        raise _unreadable(f"{where} has an embedding that is not {EMBEDDING_SIZE} numbers.")
    array = np.array(values, np.float64)
    if not np.isfinite(array).all() or not array.any():
        raise _unreadable(f"{where} has an embedding that is zero or not finite.")
    return tuple(map(float, values))


def _check_files(dataset: Dataset, row: Row) -> None:
    root = dataset.folder.resolve()
    for name in filter(None, (row.file_name, row.photo)):
        path = dataset.folder / name
        if not path.resolve().is_relative_to(root):
            raise _unreadable(f"{name} lies outside of the dataset's folder.")
        if not path.is_file():
            raise _unreadable(f"{path} is listed and does not exist.")


def _unreadable(what: str) -> UVMapError:
    return UVMapError(ErrorCode.DATASET_UNREADABLE, what, _HINT)
