"""Makes one item: its candidates, their scores, and the choice. The same wherever it runs.

An item that is finished is not made again, and one that was begun goes on where it stopped. So it may be given out
twice, in whatever order and to whatever process: the same files come out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvmap_id.datasets.folder import short_numbers
from uvmap_id.datasets.judging import Judges
from uvmap_id.datasets.plan import Item
from uvmap_id.datasets.ranking import best
from uvmap_id.datasets.workshop import Finished, Made, Workshop
from uvmap_id.engines.base import Engine, EngineLostError
from uvmap_id.engines.memory import ran_out_of_memory
from uvmap_id.engines.registry import create_engine
from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.photo import photo_hash, read_photos
from uvmap_id.link.request import TextureRequest
from uvmap_id.link.wire import build
from uvmap_id.metrics.base import Sample

DEATHS_LIMIT = 3
# With these nothing that follows can work either.
FATAL = frozenset((ErrorCode.DISK_FULL.value, ErrorCode.OUTPUT_NOT_WRITABLE.value, ErrorCode.PACKAGE_MISSING.value))

EngineFactory = Callable[[str], Engine]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an item ended. Without a code it is finished, and lies in the folder.

    Attributes:
        key: Of the item.
        code: Of the failure.
        message: For a person.
        hint: The way out.
    """

    key: str
    code: str = ""
    message: str = ""
    hint: str = ""

    def line(self) -> str:
        """The outcome as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))


def read_outcome(line: str | bytes) -> Outcome:
    """The outcome of a line. Raises `LinkError`."""
    return build(Outcome, json.loads(line))


class Maker:
    """Holds one engine and the metrics, and makes items with them."""

    def __init__(self, engine_factory: EngineFactory = create_engine) -> None:
        self._engine_factory = engine_factory
        self._engine: tuple[str, Engine] | None = None
        self._judges: Judges | None = None
        self._people: Any = None

    def make(self, item: Item, folder: Path) -> Outcome:
        """Make an item in a dataset's folder, unless it is finished.

        Raises:
            EngineLostError: This process can make nothing any more.
        """
        workshop = Workshop(folder)
        if workshop.finished(item.key) is not None:
            return Outcome(item.key)
        try:
            if workshop.begin(item.key) >= DEATHS_LIMIT:
                return _poisonous(item)
            outcome = self._guarded(item, workshop)
        except OSError as error:
            outcome = _failed(item, disk_error(error, folder))
        workshop.end(item.key)
        return outcome

    def _guarded(self, item: Item, workshop: Workshop) -> Outcome:
        try:
            self._make(item, workshop)
            return Outcome(item.key)
        except (EngineLostError, OSError):
            raise
        except UVMapError as error:
            return _failed(item, error)
        except Exception as error:  # noqa: BLE001 - whatever an engine does wrong, the next item must still be made
            _log.exception("item %s failed", item.key)
            if ran_out_of_memory(error):
                return Outcome(
                    item.key, ErrorCode.OUT_OF_MEMORY.value, "The memory did not suffice.", "Use less workers."
                )
            return Outcome(
                item.key, ErrorCode.INTERNAL.value, f"The engine broke down ({type(error).__name__}: {error})."
            )

    def _make(self, item: Item, workshop: Workshop) -> None:
        photos = read_photos(map(Path, item.photos))
        if tuple(map(photo_hash, photos)) != item.request.faces:
            raise UVMapError(
                ErrorCode.IMAGE_UNREADABLE, "The photo was changed meanwhile.", "Run the same command again."
            )
        embedding, warnings = self._embedding(photos)
        candidates = []
        for index in range(len(item.seeds)):
            made = workshop.candidate(item.key, index)
            if made is None:
                made = self._candidate(item, index, photos, embedding, workshop)
            candidates.append(made)
        directions = self._judges_of(item).directions
        order = best([made.scores for made in candidates], directions, item.keep)
        kept = []
        for index in order:
            file = workshop.texture(item.key, index)
            workshop.candidate_file(item.key, index).replace(workshop.folder / file)
            kept.append(dataclasses.replace(candidates[index], file=file))
        dropped = tuple(made for index, made in enumerate(candidates) if index not in order)
        numbers = () if embedding is None else short_numbers(embedding)
        workshop.remember(Finished(item.key, item.request.faces, tuple(kept), dropped, numbers, warnings))

    def _candidate(
        self,
        item: Item,
        index: int,
        photos: tuple[bytes, ...],
        embedding: NDArray[np.float32] | None,
        workshop: Workshop,
    ) -> Made:
        # As slow to import as an engine.
        from uvmap_id.manifest import build_manifest, encode_map, manifest_text

        request = item.request_of(index)
        engine = self._engine_of(request)
        textures = engine.generate(request, photos, _silent)
        sample = Sample(
            name=f"{item.key}-{index:02d}",
            texture=textures.base_color,
            prompt=item.prompts[index],
            identity=item.identity,
            photo=Path(item.photos[0]),
            embedding=embedding,
        )
        scores = self._judges_of(item).score(sample)
        content = encode_map(textures.base_color, manifest_text(build_manifest(request, engine, textures, {})))
        sha256 = hashlib.sha256(content).hexdigest()
        made = Made("", sha256, index, item.prompts[index], request.seed, scores)
        workshop.add_candidate(item.key, made, content)
        return made

    def _engine_of(self, request: TextureRequest) -> Engine:
        if self._engine is None or self._engine[0] != request.engine:
            self._engine = (request.engine, self._engine_factory(request.engine))
        return self._engine[1]

    def _judges_of(self, item: Item) -> Judges:
        if self._judges is None or self._judges.names != item.metrics:
            self._judges = Judges(item.metrics)
        return self._judges

    def _embedding(self, photos: tuple[bytes, ...]) -> tuple[NDArray[np.float32] | None, tuple[str, ...]]:
        """Who the photos show, where that can be measured; an engine that needs to know complains by itself."""
        from uvmap_id.datasets.recognising import identity_reader

        if self._people is None:
            self._people = identity_reader()
        try:
            identity = self._people.read(photos)
        except UVMapError as error:
            return None, (f"There is no embedding: {error.failure.message}",)
        return identity.embedding, identity.warnings


def _silent(stage: str, fraction: float, preview: NDArray[np.uint8] | None = None) -> None:
    """Nobody looks at a single texture of thousands."""


def _failed(item: Item, error: UVMapError) -> Outcome:
    return Outcome(item.key, error.failure.code, error.failure.message, error.failure.hint)


def _poisonous(item: Item) -> Outcome:
    return Outcome(
        item.key,
        ErrorCode.WORKER_DIED.value,
        f"{DEATHS_LIMIT} processes died of this photo, one after the other.",
        "Look into the logs beside the dataset, or leave the photo out.",
    )
