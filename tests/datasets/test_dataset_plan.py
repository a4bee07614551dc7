from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from uvmap_id.datasets.people import Person
from uvmap_id.datasets.plan import Planned, Recipe, plan, read_item, seed_of
from uvmap_id.link.errors import ErrorCode

People = Callable[..., Person]
Recipes = Callable[..., Recipe]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"a photo")
    return path


def only(person: Person, recipe: Recipe, each_photo: bool = True) -> Planned:
    (planned,) = plan([person], recipe, each_photo)
    return planned


def key(person: Person, recipe: Recipe) -> str:
    item = only(person, recipe).item
    assert item is not None
    return item.key


def test_seeds_are_the_same_on_every_machine() -> None:
    assert seed_of("ab" * 32, "red dress", 0) == 1446564816
    assert seed_of("ab" * 32, "red dress", 1) == 519413500
    seeds = {seed_of("ab" * 32, "red dress", index) for index in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_what_decides_an_item_is_in_its_key_and_nothing_else(photo: Path, person: People, recipe: Recipes) -> None:
    ada = person("Ada", photo)
    same = key(ada, recipe())
    moved = photo.with_name("b.jpg")
    moved.write_bytes(photo.read_bytes())
    assert key(person("Bea", moved), recipe()) == same
    base = recipe()
    others = [
        key(person("Ada", photo, gender="man"), base),
        key(person("Ada", photo, prompt="green hat"), base),
        key(ada, recipe(candidates=3)),
        key(ada, recipe(candidates=2, keep=2)),
        key(ada, recipe(prompts=("red dress",))),
        key(ada, recipe(metrics=("skin",), directions={"skin": False})),
        key(ada, recipe(made_by={"version": "2"})),
        key(ada, recipe(seed=1)),
        key(ada, dataclasses.replace(base, request=dataclasses.replace(base.request, size=1024))),
    ]
    photo.write_bytes(b"another photo")
    others.append(key(ada, base))
    assert len({same, *others}) == len(others) + 1


def test_an_item_survives_the_way_to_a_worker(photo: Path, person: People, recipe: Recipes) -> None:
    item = only(person("Ada \u2028", photo), recipe()).item
    assert item is not None
    assert "\n" not in item.line()
    assert read_item(item.line()) == item


def test_a_photo_that_can_not_be_used_is_planned_with_its_failure(
    tmp_path: Path, person: People, recipe: Recipes
) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()
    missing, nothing = (only(person("Ada", path), recipe()) for path in (tmp_path / "gone.jpg", empty))
    assert missing.failure is not None
    assert nothing.failure is not None
    assert missing.failure.code == ErrorCode.FACE_FILE_MISSING
    assert nothing.failure.code == ErrorCode.IMAGE_UNREADABLE


def test_each_photo_is_an_item_or_each_person(tmp_path: Path, person: People, recipe: Recipes) -> None:
    photos = []
    for number in range(10):
        photos.append(tmp_path / f"{number}.jpg")
        photos[-1].write_bytes(bytes([number]) * 9)
    ada = person("Ada", *photos)
    assert len(list(plan([ada], recipe(), each_photo=True))) == 10
    together = only(ada, recipe(), each_photo=False).item
    assert together is not None
    # As many as an identity is made of.
    assert len(together.request.faces) == len(together.photos) == 8


def test_long_lists_of_prompts_are_used_up_evenly(tmp_path: Path, person: People, recipe: Recipes) -> None:
    prompts = tuple(f"shirt {number}" for number in range(20))
    used: dict[str, int] = {}
    for number in range(40):
        photo = tmp_path / f"{number}.jpg"
        photo.write_bytes(bytes([number]) * 9)
        item = only(person("Ada", photo), recipe(candidates=5, prompts=prompts)).item
        assert item is not None
        assert len(set(item.prompts)) == 5
        for prompt in item.prompts:
            used[prompt] = used.get(prompt, 0) + 1
    assert len(used) == 20
    assert max(used.values()) < 25


def test_names_and_descriptions_reach_the_text_alone(photo: Path, person: People, recipe: Recipes) -> None:
    words = recipe(prompts=("", "red dress"), words="{description} {prompt}")
    item = only(person("J. {prompt} Doe", photo), words).item
    assert item is not None
    assert item.prompts == ("", "red dress")
    assert item.texts == ("J. {prompt} Doe", "J. {prompt} Doe red dress")
    described = only(person("Ada", photo, description="an old sailor"), words).item
    assert described is not None
    assert described.texts[0] == "an old sailor"
