"""The whole way with the real engine, and what is recognised on a second one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scripted_maker import ScriptedEngine, scripted
from small_disk import fill, small_disk_at

from uvmap_id.datasets.crew import Crew, CrewOptions
from uvmap_id.datasets.folder import metadata_of, read_dataset
from uvmap_id.datasets.making import Maker
from uvmap_id.datasets.people import Person
from uvmap_id.datasets.plan import Item, Recipe, plan
from uvmap_id.datasets.producing import Order, produce
from uvmap_id.datasets.workshop import Workshop
from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import TextureRequest
from uvmap_id.link.texture_set import MANIFEST_KEYWORD
from uvmap_id.settings import NO_PHOTO

METRICS = {"sharpness": True, "seams": False, "skin": False}
People = Callable[..., tuple[Person, ...]]
Orders = Callable[..., Order]
Crews = Callable[..., Callable[[Workshop], Crew]]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, portrait: Image.Image) -> tuple[Path, Order]:
    """Three photos, three textures of each, the best two: made by two processes with the projection engine."""
    folder = tmp_path_factory.mktemp("real")
    people = []
    for number, (group, gender) in enumerate([("asian", "woman"), ("asian", "man"), ("white", "woman")]):
        photo = folder / f"face{number}.jpg"
        portrait.rotate(number - 1, Image.Resampling.BICUBIC).save(photo, quality=90)
        people.append(Person(f"person {number}", group, gender, (photo,), "signed", "CC0-1.0"))
    recipe = Recipe(
        TextureRequest(NO_PHOTO, "", engine="projection", size=512),
        ("white shirt, blue jeans", "red dress", "navy suit"),
        candidates=3,
        keep=2,
        metrics=tuple(METRICS),
        directions=METRICS,
    )
    order = Order(folder / "out", tuple(people), recipe, keep_photos=True, how=("By a test.",))
    tally = produce(order, lambda shop: Crew(shop.folder, shop.logs, CrewOptions(2)))
    assert (tally.made, tally.failed, tally.census.rows) == (3, 0, 6), list(folder.rglob("failures.jsonl"))
    return folder / "out", order


def test_the_rows_say_what_was_made(real: tuple[Path, Order]) -> None:
    folder, order = real
    dataset = read_dataset(folder)
    assert dataset.identities() == ("person 0", "person 1", "person 2")
    for row in dataset.rows:
        person = order.people[int(row.identity[-1])]
        assert (row.group, row.gender, row.consent, row.licence) == (
            person.group,
            person.gender,
            "signed",
            "CC0-1.0",
        )
        assert row.photo_sha256 == hashlib.sha256(person.photos[0].read_bytes()).hexdigest()
        kept = dataset.photo(row)
        assert kept is not None
        assert kept.read_bytes() == person.photos[0].read_bytes()
        assert set(row.scores) == set(METRICS)
        with Image.open(dataset.texture(row)) as picture:
            assert (picture.size, picture.mode) == ((512, 512), "RGB")
            manifest = json.loads(picture.text[MANIFEST_KEYWORD])  # pyright: ignore[reportAttributeAccessIssue]
        # The texture itself says how to make it again, and that it was generated.
        assert manifest["synthetic"] is True
        assert manifest["request"]["seed"] == row.seed
        assert manifest["request"]["prompt"] == row.prompt
        assert manifest["request"]["subject"] == row.subject


def test_the_best_by_the_rule_are_kept(real: tuple[Path, Order]) -> None:
    from uvmap_id.datasets.ranking import overall

    folder, _ = real
    for path in (folder / ".uvmap-id/items").iterdir():
        record = json.loads(path.read_text())
        made = sorted(record["textures"] + record["dropped"], key=lambda each: each["index"])
        values = overall([each["scores"] for each in made], METRICS)
        kept = [each["index"] for each in record["textures"]]
        assert min(values[index] for index in kept) >= max(values[each["index"]] for each in record["dropped"])
        assert not any(
            (folder / "textures" / f"{path.stem}-{each['index']:02d}.png").exists() for each in record["dropped"]
        )


def test_hugging_face_reads_it_offline(real: tuple[Path, Order], tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra [train] is not installed")
    folder, _ = real
    program = (
        "import json, sys, datasets\n"
        "ways = [dict(path='imagefolder', data_dir=sys.argv[1]), dict(path=sys.argv[1])]\n"
        "found = [datasets.load_dataset(split='train', **way) for way in ways]\n"
        "print(json.dumps([[(row['image'].size, row['identity'], row['seed'], row['scores'], row['photo_sha256'],\n"
        "    len(row['embedding'])) for row in one] for one in found]))\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    wanted = [
        [[512, 512], row.identity, row.seed, row.scores, row.photo_sha256, 0] for row in read_dataset(folder).rows
    ]
    for found in json.loads(done.stdout):
        assert sorted(found, key=str) == sorted(wanted, key=str)


def test_the_card_is_read_by_the_hub_and_counts(real: tuple[Path, Order]) -> None:
    folder, _ = real
    text = (folder / "README.md").read_text()
    hub = pytest.importorskip("huggingface_hub")
    card = hub.DatasetCard(text)
    assert card.data.license == "cc0-1.0"
    assert card.data.size_categories == ["n<1K"]
    assert "| asian | 1 (2) | 1 (2) | 2 (4) |" in text
    assert "Not balanced: the smallest cell has 0%" in text
    assert "By a test." in text


def test_the_same_order_makes_nothing_and_another_process_the_same_bytes(
    real: tuple[Path, Order], tmp_path: Path
) -> None:
    folder, order = real
    before = {path: path.stat().st_mtime_ns for path in (folder / "textures").iterdir()}
    metadata = (folder / "metadata.jsonl").read_bytes()
    tally = produce(order, lambda shop: Crew(shop.folder, shop.logs, CrewOptions(2)))
    assert (tally.made, tally.found) == (0, 3)
    assert {path: path.stat().st_mtime_ns for path in (folder / "textures").iterdir()} == before
    assert (folder / "metadata.jsonl").read_bytes() == metadata
    (first, *_) = plan(order.people, order.recipe, each_photo=True)
    assert first.item is not None
    workshop = Workshop(tmp_path / "here")
    workshop.prepare()
    assert not Maker().make(first.item, tmp_path / "here").code
    for path in (tmp_path / "here" / "textures").iterdir():
        assert path.read_bytes() == (folder / "textures" / path.name).read_bytes()


@pytest.fixture
def small(
    scripted_people: People, order: Orders, scripted_crew: Crews, tmp_path: Path
) -> tuple[Path, Order, Callable[[Workshop], Crew]]:
    asked = order(scripted_people(*["fine"] * 4))
    produce(asked, scripted_crew(1))
    return tmp_path / "out", asked, scripted_crew(1)


def _cut_texture(folder: Path) -> None:
    path = min((folder / "textures").iterdir())
    path.write_bytes(path.read_bytes()[:-20])


def _repaint_texture(folder: Path) -> None:
    Image.fromarray(np.zeros((512, 512, 3), np.uint8)).save(min((folder / "textures").iterdir()))


def _lose_texture(folder: Path) -> None:
    min((folder / "textures").iterdir()).unlink()


def _cut_record(folder: Path) -> None:
    path = min((folder / ".uvmap-id/items").iterdir())
    path.write_bytes(path.read_bytes()[:50])


def _swap_records(folder: Path) -> None:
    one, two, *_ = sorted((folder / ".uvmap-id/items").iterdir())
    one.write_bytes(two.read_bytes())


@pytest.mark.parametrize("damage", [_cut_texture, _repaint_texture, _lose_texture, _cut_record, _swap_records])
def test_what_is_half_or_altered_is_made_again(
    small: tuple[Path, Order, Callable[[Workshop], Crew]], damage: Callable[[Path], None]
) -> None:
    folder, asked, crew = small
    before = {path.name: path.read_bytes() for path in (folder / "textures").iterdir()}
    damage(folder)
    tally = produce(asked, crew)
    assert (tally.made, tally.found) == (1, 3)
    assert {path.name: path.read_bytes() for path in (folder / "textures").iterdir()} == before


def test_a_changed_photo_is_new_and_the_old_one_can_be_pruned(
    small: tuple[Path, Order, Callable[[Workshop], Crew]], tmp_path: Path
) -> None:
    folder, asked, crew = small
    (tmp_path / "scripts" / "0002.jpg").write_text("fine and new")
    tally = produce(asked, crew)
    assert (tally.made, tally.found, tally.left, tally.census.rows) == (1, 3, 1, 4)
    assert len(list((folder / "textures").iterdir())) == 5
    tally = produce(dataclasses.replace(asked, prune=True), crew)
    assert (tally.made, tally.pruned) == (0, 1)
    assert len(list((folder / "textures").iterdir())) == 4
    read_dataset(folder)


def test_a_photo_that_is_listed_twice_is_made_once(
    scripted_people: People, order: Orders, scripted_crew: Crews, person: Callable[..., Person]
) -> None:
    (one,) = scripted_people("fine")
    tally = produce(order((one, person("somebody else", *one.photos))), scripted_crew(1))
    assert (tally.made, len(tally.twice), tally.census.identities) == (1, 1, 1)


def test_candidates_of_an_unfinished_item_are_not_made_again(
    scripted_people: People, recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "made.log"
    monkeypatch.setenv("SCRIPTED_LOG", str(log))
    (planned,) = plan(scripted_people("fine"), recipe(4, 2), each_photo=True)
    item = planned.item
    assert isinstance(item, Item)
    workshop = Workshop(tmp_path / "out")
    workshop.prepare()

    class Interrupted(ScriptedEngine):
        """Stopped while it paints the third candidate."""

        count = 0

        def generate(self, request: TextureRequest, photos: tuple[bytes, ...], report: Report) -> TextureSet:
            self.count += 1
            if self.count == 3:
                raise KeyboardInterrupt
            return super().generate(request, photos, report)

    with pytest.raises(KeyboardInterrupt):
        Maker(lambda name: Interrupted()).make(item, tmp_path / "out")
    assert not Maker(scripted).make(item, tmp_path / "out").code
    assert len(log.read_text().splitlines()) == 4
    assert len(set(log.read_text().splitlines())) == 4


def test_embeddings_that_were_added_stay_when_more_is_made(
    small: tuple[Path, Order, Callable[[Workshop], Crew]],
) -> None:
    folder, asked, crew = small
    numbers = tuple(float(value) for value in range(1, 513))
    rows = [dataclasses.replace(row, embedding=numbers) for row in read_dataset(folder).rows]
    (folder / "metadata.jsonl").write_text(metadata_of(rows))
    produce(asked, crew)
    assert all(row.embedding == numbers for row in read_dataset(folder).rows)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk_at(tmp_path / "disk", "size=2m,mode=700") as folder:
        yield folder


def test_a_full_disk_has_a_name_and_leaves_nothing_half(
    scripted_people: People, order: Orders, scripted_crew: Crews, small_disk: Path
) -> None:
    people = scripted_people(*["fine"] * 6)
    asked = dataclasses.replace(order(people), folder=small_disk / "out")
    produce(dataclasses.replace(asked, people=people[:2]), scripted_crew(1))
    filler = fill(small_disk)
    with pytest.raises(UVMapError) as caught:
        produce(asked, scripted_crew(2))
    assert caught.value.failure.code == ErrorCode.DISK_FULL
    assert not list(small_disk.rglob("*.part"))
    assert len(read_dataset(small_disk / "out").rows) == 2
    filler.unlink()
    tally = produce(asked, scripted_crew(2))
    assert (tally.made, tally.found, tally.census.rows) == (4, 2, 6)
