"""What is to be made of whom, item by item: everything that decides an item, and its name, which is a hash of that."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvmap_id.datasets.people import Person
from uvmap_id.link.errors import Failure, UVMapError
from uvmap_id.link.photo import photo_hash, read_photos, with_photos
from uvmap_id.link.request import FACES_LIMIT, SEED_LIMIT, TextureRequest
from uvmap_id.link.wire import build

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the textures, beside the people.

    Attributes:
        request: Engine, size and settings; prompt, photos and seed are filled in for each texture.
        prompts: What the people wear, in turn.
        candidates: Textures that are made of each item.
        keep: How many of them are kept, the best by the metrics.
        metrics: By their names, those that decide.
        directions: Of each metric, True where higher is better.
        words: The text for the model; knows {name}, {description} and {prompt}.
        made_by: The engine's version and the hashes of its weights: others make other textures.
        seed: Varies all textures.
    """

    request: TextureRequest
    prompts: tuple[str, ...]
    candidates: int
    keep: int
    metrics: tuple[str, ...] = ()
    directions: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    words: str = "{prompt}"
    made_by: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """Textures of one person or photo, as a worker gets it: one line of JSON.

    Attributes:
        key: A hash of all that decides the textures.
        identity: Whose they are.
        photos: Paths of the files that the request names.
        request: What all candidates share.
        prompts: What the person wears, for each candidate.
        texts: What the engine is told, for each candidate.
        seeds: Of each candidate.
        keep: How many candidates stay.
        metrics: By which they are chosen.
    """

    key: str
    identity: str
    photos: tuple[str, ...]
    request: TextureRequest
    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    seeds: tuple[int, ...]
    keep: int
    metrics: tuple[str, ...]

    def request_of(self, index: int) -> TextureRequest:
        """What makes a candidate."""
        return dataclasses.replace(self.request, prompt=self.texts[index], seed=self.seeds[index])

    def line(self) -> str:
        """The item as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))


def read_item(line: str | bytes) -> Item:
    """The item of a line. Raises `LinkError`."""
    return build(Item, json.loads(line))


@dataclass(frozen=True, slots=True)
class Planned:
    """An item, or why there is none for a person's photos.

    Attributes:
        person: Who.
        photos: The files.
        item: What is to be made.
        failure: Why nothing can be.
    """

    person: Person
    photos: tuple[Path, ...]
    item: Item | None
    failure: Failure | None = None


def plan(people: Sequence[Person], recipe: Recipe, each_photo: bool) -> Iterator[Planned]:
    """What is to be made, in the order of the people and their photos; reads the photos, one after the other.

    Args:
        people: Who.
        recipe: What of them.
        each_photo: An item for each photo; otherwise one for each person, whose photos are for the identity together.
    """
    for person in people:
        for photos in portions(person, each_photo):
            try:
                yield Planned(person, photos, _item(person, photos, recipe))
            except UVMapError as error:
                yield Planned(person, photos, None, error.failure)


def portions(person: Person, each_photo: bool) -> list[tuple[Path, ...]]:
    """The photos of each item of a person."""
    return [(photo,) for photo in person.photos] if each_photo else [person.photos[:FACES_LIMIT]]


def seed_of(photo_sha256: str, prompt: str, index: int, seed: int = 0) -> int:
    """A seed that stays the same on every machine and in every order of the work."""
    named = json.dumps([photo_sha256, prompt, index, seed]).encode()
    return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big") % SEED_LIMIT


def _item(person: Person, photos: tuple[Path, ...], recipe: Recipe) -> Item:
    request = with_photos(dataclasses.replace(recipe.request, subject=person.subject), read_photos(photos))
    listed = (person.prompt,) if person.prompt else recipe.prompts
    # Photos begin at different places of the list, so that a long one is used up evenly.
    begin = seed_of(request.face_sha256, "", 0) if len(listed) > recipe.candidates else 0
    prompts = tuple(listed[(begin + index) % len(listed)] for index in range(recipe.candidates))
    texts = tuple(_filled(recipe.words, person, prompt) for prompt in prompts)
    seeds = tuple(seed_of(request.face_sha256, text, index, recipe.seed) for index, text in enumerate(texts))
    item = Item(
        key="",
        identity=person.name,
        photos=tuple(str(photo.absolute()) for photo in photos),
        request=request,
        prompts=prompts,
        texts=texts,
        seeds=seeds,
        keep=min(recipe.keep, recipe.candidates),
        metrics=recipe.metrics,
    )
    for index in range(recipe.candidates):
        item.request_of(index).validate()
    return dataclasses.replace(item, key=_key(item, recipe))


def _filled(words: str, person: Person, prompt: str) -> str:
    # Not `format`: a name may hold braces.
    text = words.replace("{prompt}", prompt)
    text = text.replace("{description}", person.description or person.name).replace("{name}", person.name)
    return " ".join(text.split())


def _key(item: Item, recipe: Recipe) -> str:
    """Who the person is called and where the photos lie decides nothing."""
    values = dataclasses.asdict(item)
    for name in ("key", "identity", "photos"):
        del values[name]
    decides = {"format": FORMAT, "item": values, "made_by": recipe.made_by, "directions": dict(recipe.directions)}
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def photo_sha256(path: Path) -> str:
    """Hash of a photo's file. Raises `OSError`."""
    return photo_hash(path.read_bytes())
