"""A dataset on disk: a folder that `datasets.load_dataset("imagefolder", data_dir=...)` reads as it is.

README.md           the dataset's card
metadata.jsonl      one row for each texture
textures/           PNG, 8 bits sRGB, square
photos/             the faces, where they may be kept
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvmap_id.faces.embedding import EMBEDDING_SIZE, normalised
from uvmap_id.link.errors import ErrorCode, UVMapError

METADATA = "metadata.jsonl"
TEXTURES, PHOTOS = "textures", "photos"
_TEXTS = ("file_name", "identity", "prompt", "group", "gender", "photo", "photo_sha256", "consent", "licence")
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
        photo_sha256: Of the photo's file, also where the photo itself was not kept.
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
    photo_sha256: str = ""

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

    Links are followed, but not out of the folder: who gets a copy of the dataset must get all of it.

    Raises:
        UVMapError: dataset_unreadable, with the line that is wrong; dataset_empty.
    """
    path = folder / METADATA
    rows: list[Row] = []
    first_seen: dict[str, int] = {}
    # One person's textures share an embedding: it is held once.
    embeddings: dict[tuple[float, ...], tuple[float, ...]] = {}
    root = _resolved(folder)
    for number, line in _lines(path):
        where = f"Line {number} of {path}"
        row = _row(line, where, embeddings)
        for name in filter(None, (row.file_name, row.photo)):
            _check_file(folder, root, name, where)
        same = str(PurePosixPath(row.file_name))
        if same in first_seen:
            raise _unreadable(f"{where} lists {row.file_name} again, after line {first_seen[same]}.")
        first_seen[same] = number
        rows.append(row)
    if not rows:
        raise UVMapError(ErrorCode.DATASET_EMPTY, f"{path} lists no textures.", _HINT)
    return Dataset(folder, tuple(rows))


def metadata_of(rows: Sequence[Row]) -> str:
    """The text of `metadata.jsonl` for rows."""
    return "".join(map(metadata_line, rows))


def metadata_line(row: Row) -> str:
    """One line of `metadata.jsonl`."""
    return json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) + "\n"


def short_numbers(embedding: NDArray[np.float32]) -> tuple[float, ...]:
    """An embedding's numbers with no more digits than a float32 needs to be the same again."""
    return tuple(float(str(value)) for value in embedding)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that hold something, with their numbers. Only a line feed ends a line: JSON may hold all the others."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(f"{path} can't be read.") from error


def _row(line: str, where: str, embeddings: dict[tuple[float, ...], tuple[float, ...]]) -> Row:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"{where} is not JSON.") from error
    if not isinstance(values, dict):
        raise _unreadable(f"{where} is no object.")
    for column in ("file_name", "identity"):
        if not isinstance(values.get(column), str) or not values[column]:
            raise _unreadable(f'{where} lacks the column "{column}".')
    known = {part.name for part in fields(Row)}
    kept: dict[str, Any] = {name: value for name, value in values.items() if name in known and value is not None}
    if "embedding" in kept:
        embedding = _embedding(kept["embedding"], where)
        kept["embedding"] = embeddings.setdefault(embedding, embedding)
    if "scores" in kept:
        kept["scores"] = _scores(kept["scores"], where)
    for name, value in kept.items():
        if not _fits(name, value):
            raise _unreadable(f'{where} has a column "{name}" that is not what it must be.')
    return Row(**kept)


def _fits(column: str, value: object) -> bool:
    if column in _TEXTS:
        return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)
    if column == "seed":
        return isinstance(value, int) and not isinstance(value, bool)
    return True


def _scores(values: object, where: str) -> dict[str, float]:
    """Of metrics; one that is null was not measured."""
    if not isinstance(values, dict):
        raise _unreadable(f'{where} has a column "scores" that is not what it must be.')
    scores = {name: value for name, value in values.items() if value is not None}
    if not all(_is_number(value) for value in scores.values()):
        raise _unreadable(f"{where} has a score that is no finite number.")
    return {name: float(value) for name, value in scores.items()}


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _embedding(values: object, where: str) -> tuple[float, ...]:
    if values == []:
        return ()
    if not isinstance(values, list) or len(values) != EMBEDDING_SIZE:
        raise _unreadable(f"{where} has an embedding that is not {EMBEDDING_SIZE} numbers.")
    if not all(map(_is_number, values)) or not any(values):
        raise _unreadable(f"{where} has an embedding that is zero or not finite.")
    return tuple(map(float, values))


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    # A circle of links is a RuntimeError, a name with a zero byte a ValueError.
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(f"{path!s:.200} is no path that can be followed.") from error


def _check_file(folder: Path, root: Path, name: str, where: str) -> None:
    path = folder / name
    if not _resolved(path).is_relative_to(root):
        raise _unreadable(f"{where} names {name}, which lies outside of the dataset's folder.")
    if not path.is_file():
        raise _unreadable(f"{where} names {name}, and there is no such file in {folder}.")


def _unreadable(what: str) -> UVMapError:
    return UVMapError(ErrorCode.DATASET_UNREADABLE, what, _HINT)
