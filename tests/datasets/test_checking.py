from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvmap_id.datasets.balance import count
from uvmap_id.datasets.checking import Report, check_dataset
from uvmap_id.datasets.embedding import add_embeddings
from uvmap_id.datasets.folder import METADATA, Dataset, Row, metadata_of, read_dataset
from uvmap_id.datasets.people import Person
from uvmap_id.faces.identity import IdentityReader
from uvmap_id.link.errors import ErrorCode, UVMapError


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Dataset]:
    """A dataset of so many textures of two people."""

    def write(*changes: dict[str, object]) -> Dataset:
        (tmp_path / "set" / "textures").mkdir(parents=True)
        rows = []
        for number, change in enumerate(changes):
            file = f"textures/{number}.png"
            noise = np.random.default_rng(number).integers(0, 256, (512, 512, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / "set" / file)
            row = Row(file, f"person {number % 2}", group="asian", gender=["man", "woman"][number % 2])
            rows.append(replace(row, **{"consent": "yes", "licence": "MIT", "embedding": (0.5,) * 512, **change}))  # pyright: ignore[reportArgumentType]
        (tmp_path / "set" / METADATA).write_text(metadata_of(rows))
        return read_dataset(tmp_path / "set")

    return write


def problems(report: Report) -> str:
    return "\n".join(report.problems)


def test_a_whole_dataset_has_no_problems(written: Callable[..., Dataset]) -> None:
    seen: list[int] = []
    report = check_dataset(written({}, {}, {}, {}), seen.append)
    assert report.is_usable
    assert report.warnings == []
    assert (report.textures, report.identities, dict(report.sizes)) == (4, 2, {512: 4})
    assert seen == [1, 2, 3, 4]


def test_each_broken_picture_is_named(written: Callable[..., Dataset]) -> None:
    dataset = written({}, {}, {}, {}, {}, {}, {})
    paths = [dataset.texture(row) for row in dataset.rows]
    whole = paths[0].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    paths[2].write_bytes(b"no picture")
    Image.new("RGB", (512, 256)).save(paths[3])
    Image.new("I;16", (512, 512)).save(paths[4])
    Image.new("RGB", (512, 512)).save(paths[5], "JPEG")
    paths[6].write_bytes(b"")
    report = check_dataset(dataset)
    assert not report.is_usable
    assert len(report.problems) == 6
    for number in range(1, 7):
        assert f"textures/{number}.png" in problems(report)
    assert "512 x 256" in problems(report)


def test_doubles_sizes_and_what_is_wanting_are_told(written: Callable[..., Dataset]) -> None:
    dataset = written({}, {}, {"embedding": ()}, {"consent": ""}, {"gender": "woman"}, {})
    paths = [dataset.texture(row) for row in dataset.rows]
    paths[2].write_bytes(paths[0].read_bytes())
    paths[3].write_bytes(paths[0].read_bytes())
    Image.new("RGB", (300, 300)).save(paths[5])
    (dataset.folder / "textures" / "stray.png").write_bytes(b"x")
    report = check_dataset(dataset)
    assert "textures/3.png of person 1 is textures/0.png of person 0" in problems(report)
    assert "person 0 has several groups or genders." in problems(report)
    told = "\n".join(report.warnings)
    for words in (
        "textures/2.png is textures/0.png once more",
        "mixed sizes",
        "300 pixels",
        "1 textures have no embedding",
    ):
        assert words in told
    assert "1 textures say nothing of consent" in told
    assert "1 pictures in textures/ are not listed" in told


def test_one_person_alone_is_told(written: Callable[..., Dataset]) -> None:
    report = check_dataset(written({"identity": "Ada"}))
    assert any("one person" in warning for warning in report.warnings)


def test_an_altered_photo_is_told(written: Callable[..., Dataset]) -> None:
    dataset = written({}, {})
    (dataset.folder / "photos").mkdir()
    Image.new("RGB", (64, 64)).save(dataset.folder / "photos" / "a.png")
    row = replace(dataset.rows[0], photo="photos/a.png", photo_sha256="0" * 64)
    assert "photos/a.png is not the photo" in problems(check_dataset(Dataset(dataset.folder, (row,))))


def test_balance_is_as_the_paper_s() -> None:
    people = [
        (f"{group} {gender} {number}", group, gender)
        for group in ("african american", "asian", "white")
        for gender in ("man", "woman")
        for number in range(25)
    ]
    balance = count(people * 5)
    assert balance.is_balanced
    assert balance.table()[0] == ("group", "man", "woman", "all")
    assert balance.table()[-1] == ("all", "75 (375)", "75 (375)", "150 (750)")
    balance.require()
    assert count(people[:-2]).ratio == 23 / 25
    assert count(people[:-2]).is_balanced
    assert not count(people[:-3]).is_balanced
    unsaid = count([*people, ("somebody", "", "man")])
    assert "not said" in unsaid.sentence()
    with pytest.raises(UVMapError) as caught:
        unsaid.require()
    assert caught.value.failure.code == ErrorCode.DATASET_UNBALANCED


@pytest.fixture
def reader(tmp_path: Path) -> IdentityReader:
    pytest.importorskip("insightface", reason="the extra [diffusion] is not installed")
    from tiny_identity import write_models

    return IdentityReader(write_models(tmp_path / "buffalo_l"))


def test_missing_embeddings_are_computed_from_photos(
    written: Callable[..., Dataset], reader: IdentityReader, tmp_path: Path, person: Callable[..., Person]
) -> None:
    from tiny_identity import scene

    photos = []
    for looks in range(2):
        photos.append(tmp_path / f"photo{looks}.png")
        Image.fromarray(scene((looks, 2, 10, 10))).save(photos[-1])
    hashes = [hashlib.sha256(photo.read_bytes()).hexdigest() for photo in photos]
    have = tuple(float(number) for number in range(1, 513))
    dataset = written(
        {"embedding": (), "photo_sha256": hashes[0]},
        {"embedding": (), "photo_sha256": hashes[1]},
        {"embedding": have},
        {"embedding": (), "identity": "nobody"},
    )
    people = [person("person 0", *reversed(photos)), person("person 1", photos[1])]
    done = add_embeddings(dataset, people, reader=reader)
    assert done.added == 2
    assert list(done.failed) == ["nobody"]
    rows = read_dataset(dataset.folder).rows
    for row, photo in zip(rows[:2], photos, strict=False):
        wanted = reader.read((photo.read_bytes(),)).embedding
        assert np.array_equal(np.array(row.embedding, np.float32), wanted)
    assert rows[2].embedding == have
    # Nothing else of the rows changes, and a second time there is nothing to do.
    assert [replace(row, embedding=()) for row in rows] == [replace(row, embedding=()) for row in dataset.rows]
    stamp = (dataset.folder / METADATA).stat().st_mtime_ns
    assert add_embeddings(read_dataset(dataset.folder), people, reader=reader).added == 0
    assert (dataset.folder / METADATA).stat().st_mtime_ns == stamp


def test_without_models_nothing_is_computed(written: Callable[..., Dataset], person, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    Image.new("RGB", (64, 64)).save(photo)
    with pytest.raises(UVMapError) as caught:
        add_embeddings(written({"embedding": ()}), [person("person 0", photo)], reader=IdentityReader(None))
    assert caught.value.failure.code == ErrorCode.IDENTITY_UNAVAILABLE
