"""From a dataset to what the training loop takes: textures, texts and identities, checked before anything is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from uvmap_id.datasets.folder import Dataset, Row, read_dataset
from uvmap_id.faces.embedding import EMBEDDING_SIZE
from uvmap_id.faces.identity import IdentityReader
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pipelines.prompts import fill_template
from uvmap_id.training.config import DataConfig

Warn = Callable[[str], None]
_MAKE_EMBEDDINGS = (
    'Name each face in the column "photo" and run `uvmap-id weights get buffalo-l --accept-licence '
    'insightface-research`: the training measures them itself. Or add the column "embedding".'
)


@dataclass(frozen=True, slots=True)
class Example:
    """One texture of the training.

    Attributes:
        file: The texture's.
        identity: Whose it is.
        prompt: The whole text, the recipe's words included.
    """

    file: Path
    identity: str
    prompt: str


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All examples.

    Attributes:
        examples: N of them, in the dataset's order.
        embeddings: (N, 512) float32, L2-normalised.
        rows: The dataset's rows behind them, for the model card.
        folder: The dataset's.
    """

    examples: tuple[Example, ...]
    embeddings: NDArray[np.float32]
    rows: tuple[Row, ...]
    folder: Path

    def identities(self) -> list[str]:
        """Who is in it, each once."""
        return list(dict.fromkeys(example.identity for example in self.examples))


def read_training_data(config: DataConfig, models: Path | None, warn: Warn) -> TrainingData:
    """Read and check a dataset; textures are opened, not decoded.

    Args:
        config: Which one, and how its texts are put together.
        models: buffalo_l's folder, for photos whose embedding is missing; None where it isn't installed.
        warn: Told what a person should know.

    Raises:
        UVMapError: dataset_unreadable, dataset_empty, and what is wrong with a photo that has to be measured.
    """
    dataset = read_dataset(Path(config.dataset))
    rows = _limited(dataset.rows, config.textures_per_identity)
    _check_sizes(dataset, rows, config.size, warn)
    if len({row.identity for row in rows}) == 1:
        warn("The dataset shows one person alone: the model can learn that person, but not to tell people apart.")
    if config.subject_words and not any(row.subject for row in rows):
        warn("No texture of the dataset has a group or a gender: the texts will not say them.")
    examples = tuple(Example(dataset.texture(row), row.identity, prompt_of(row, config)) for row in rows)
    return TrainingData(examples, _embeddings(dataset, rows, models, warn), rows, dataset.folder)


def prompt_of(row: Row, config: DataConfig) -> str:
    """The text of a row, by the code that puts it together for `generate`."""
    return fill_template(config.template, row.prompt, row.subject if config.subject_words else "")


def read_texture(file: Path, size: int) -> NDArray[np.float32]:
    """(size, size, 3) float32, -1..1, resized if need be.

    Raises:
        UVMapError: dataset_unreadable: the file is damaged.
    """
    try:
        with Image.open(file) as image:
            picture = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
        raise _damaged(file) from error
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture, np.float32) / 127.5 - 1


def spread(data: TrainingData, count: int) -> list[int]:
    """Places of `count` examples of different people, spread over the dataset; fewer where there are fewer."""
    first = {example.identity: place for place, example in reversed(list(enumerate(data.examples)))}
    places = sorted(first.values())
    count = min(count, len(places))
    return [places[number * len(places) // count] for number in range(count)]


def _limited(rows: Sequence[Row], each: int) -> tuple[Row, ...]:
    if not each:
        return tuple(rows)
    seen: Counter[str] = Counter()
    kept = []
    for row in rows:
        seen[row.identity] += 1
        if seen[row.identity] <= each:
            kept.append(row)
    return tuple(kept)


def _check_sizes(dataset: Dataset, rows: Sequence[Row], size: int, warn: Warn) -> None:
    others: Counter[tuple[int, int]] = Counter()
    for row in rows:
        file = dataset.texture(row)
        try:
            with Image.open(file) as image:
                others[image.size] += image.size != (size, size)
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
            raise _damaged(file) from error
    if others := +others:
        named = ", ".join(f"{width} x {height}" for width, height in sorted(others)[:4])
        warn(f"{others.total()} of {len(rows)} textures are not {size} x {size} ({named}) and get resized.")


def _embeddings(dataset: Dataset, rows: Sequence[Row], models: Path | None, warn: Warn) -> NDArray[np.float32]:
    values = np.zeros((len(rows), EMBEDDING_SIZE), np.float32)
    reader = IdentityReader(models)
    measured: dict[Path, NDArray[np.float32]] = {}
    for place, row in enumerate(rows):
        embedding = dataset.embedding(row)
        if embedding is None:
            photo = dataset.photo(row)
            if photo is None or models is None:
                missing = sum(not each.embedding for each in rows)
                raise UVMapError(
                    ErrorCode.DATASET_UNREADABLE,
                    f"{missing} of {len(rows)} textures have no embedding of the face; {row.file_name} is the first.",
                    _MAKE_EMBEDDINGS,
                )
            if photo not in measured:
                measured[photo] = reader.read((photo.read_bytes(),)).embedding
            embedding = measured[photo]
        values[place] = embedding
    if measured:
        warn(f"{len(measured)} faces had no embedding and were measured from their photos.")
    return values


def _damaged(file: Path) -> UVMapError:
    return UVMapError(
        ErrorCode.DATASET_UNREADABLE,
        f"{file} is no picture that can be read.",
        "Make or copy the file again, or remove its row from metadata.jsonl.",
    )
