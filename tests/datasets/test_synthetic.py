"""Datasets of people who don't exist."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from uvmap_id.atlas.layout import Atlas
from uvmap_id.datasets.folder import METADATA, Dataset, read_dataset
from uvmap_id.datasets.synthetic.embedding import of_parameters
from uvmap_id.datasets.synthetic.identity import GENDERS, GROUPS, drawn
from uvmap_id.datasets.synthetic.maker import Maker, Wish
from uvmap_id.datasets.synthetic.pigment import skin_colour
from uvmap_id.datasets.synthetic.shelf import NOTES
from uvmap_id.datasets.synthetic.synthesise import Tools, synthesise
from uvmap_id.datasets.synthetic.words import clothes
from uvmap_id.engines.projection.colour import to_lab, to_linear
from uvmap_id.engines.projection.wardrobe import read_prompt
from uvmap_id.faces.landmarks import FaceFinder
from uvmap_id.link.errors import UVMapError

PEOPLE = 6
WISH = Wish(seed=0, textures=2, photos=1, size=256, photo_size=256, embedding="parameters")
ARGUMENTS = ("--textures", "2", "--photos", "1", "--size", "256", "--photo-size", "256", "--seed", "0")
CHEEKS = (50, 280, 205, 425)


def unheard(done: int, total: int) -> None:
    del done, total


@pytest.fixture(scope="module")
def maker() -> Maker:
    return Maker(WISH, None, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of one person of each group and gender, made by two processes."""
    path = tmp_path_factory.mktemp("people") / "dataset"
    synthesise(path, PEOPLE, WISH, Tools(), 2, unheard)
    return path


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return read_dataset(folder)


def picture(path: Path) -> NDArray[np.uint8]:
    found = cv2.imread(str(path))
    assert found is not None
    return np.asarray(found[..., ::-1], np.uint8)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_person_has_the_same_bytes_whoever_made_it_and_whatever_was_made_before(
    folder: Path, maker: Maker
) -> None:
    maker.make(5)
    for name, content in maker.make(2).files.items():
        assert (folder / name).read_bytes() == content


def test_another_seed_is_another_crowd() -> None:
    one, other = drawn(0, 4), drawn(1, 4)
    assert (one.group, one.gender) == (other.group, other.gender)
    assert not np.allclose(one.vector(), other.vector())


def test_people_differ_in_the_face_and_in_the_embedding(dataset: Dataset) -> None:
    faces, embeddings = [], []
    for row in dataset.rows[::2]:
        faces.append(picture(dataset.texture(row))[20:90, 50:105].astype(float))
        embeddings.append(dataset.embedding(row))
    for one in range(PEOPLE):
        for other in range(one):
            assert np.abs(faces[one] - faces[other]).mean() > 4
            assert embeddings[one] @ embeddings[other] < 0.95


def test_a_person_keeps_the_face_in_other_clothes(dataset: Dataset) -> None:
    for one, other in zip(dataset.rows[::2], dataset.rows[1::2], strict=True):
        assert one.identity == other.identity
        assert one.embedding == other.embedding
        first, second = (picture(dataset.texture(row)).astype(float) for row in (one, other))
        assert np.abs(first[30:90, 55:100] - second[30:90, 55:100]).mean() < 1
        assert np.abs(first[120:] - second[120:]).mean() > 8


def test_every_six_people_are_balanced() -> None:
    people = [drawn(7, number) for number in range(6, 12)]
    assert {(person.group, person.gender) for person in people} == {(a, b) for a in GROUPS for b in GENDERS}


def test_groups_are_drawn_as_their_words_say() -> None:
    light: dict[str, list[float]] = {group: [] for group in GROUPS}
    yellow: dict[str, list[float]] = {group: [] for group in GROUPS}
    for number in range(300):
        person = drawn(3, number)
        lab = to_lab(skin_colour(person)[None])[0]
        light[person.group].append(float(lab[0]))
        yellow[person.group].append(float(lab[2]))
        assert person.gender == "man" or person.beard == "none"
    assert max(light["african"]) < min(light["asian"])
    assert max(light["asian"]) < np.median(light["white"])
    assert min(yellow["asian"]) > max(yellow["white"])


def test_textures_show_the_skin_that_the_words_say(dataset: Dataset) -> None:
    landmarks = Atlas.load().landmarks[list(CHEEKS)]
    for number, row in enumerate(dataset.rows[::2]):
        person, texture = drawn(WISH.seed, number), picture(dataset.texture(row))
        assert (row.group, row.gender, row.identity) == (person.group, person.gender, person.name)
        columns, rows = (landmarks * [1, -1] * 256 + [0, 256]).astype(int).T
        cheeks = np.median(to_lab(to_linear(texture[rows, columns])[None])[0], axis=0)
        # Blood in the cheeks makes them redder than the tone.
        assert abs(cheeks[0] - to_lab(skin_colour(person)[None])[0][0]) < 12


def test_mediapipe_finds_the_one_face_of_each_photo(dataset: Dataset) -> None:
    with FaceFinder() as finder:
        for row in dataset.rows[::2]:
            photo = dataset.photo(row)
            assert photo is not None
            assert len(finder.find(picture(photo))) == 1


def test_the_wardrobe_knows_all_of_the_clothes() -> None:
    for number in range(200):
        outfit = read_prompt(clothes(drawn(1, number), 0))
        assert outfit.ignored == ()
        assert outfit.added == ()
        assert not {"head", "eyes"} & {garment.slot for garment in outfit.garments}


def test_who_is_alike_lies_near_each_other() -> None:
    people = [drawn(5, number) for number in range(60)]
    vectors = np.array([person.vector() for person in people])
    embeddings = np.array([of_parameters(person) for person in people])
    assert embeddings.shape == (60, 512)
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1, abs=1e-5)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.corrcoef((unit @ unit.T).ravel(), (embeddings @ embeddings.T).ravel())[0, 1] > 0.97


def test_hugging_face_loads_it(folder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset("imagefolder", data_dir=str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(found) == 2 * PEOPLE
    assert found[0]["image"].size == (256, 256)
    assert {row["licence"] for row in found} == {"CC0-1.0"}


def test_the_card_says_what_is_in_it(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlicense: cc0-1.0\n")
    assert f"{PEOPLE} people" in text
    assert "| african | 1 | 1 |" in text
    known = json.loads((folder / "identities.json").read_text(encoding="utf-8"))
    assert [person["number"] for person in known] == list(range(PEOPLE))


def test_a_killed_run_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "dataset"
    command = (sys.executable, "-m", "uvmap_id", "dataset", "synthesise", str(path), "--identities", str(PEOPLE))
    process = subprocess.Popen([*command, *ARGUMENTS, "--workers", "2"], start_new_session=True)
    try:
        deadline = time.monotonic() + 100
        while len(list((path / NOTES).glob("0*.json"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        # Nobody is left behind to work for nobody.
        assert psutil.wait_procs(workers, timeout=30)[1] == []
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert not (path / METADATA).exists()
    finished = {note: note.stat().st_mtime_ns for note in (path / NOTES).glob("0*.json")}
    (path / "textures" / ".half.png.1.part").write_bytes(b"half")
    seen: list[int] = []
    synthesise(path, PEOPLE, WISH, Tools(), 1, lambda done, _: seen.append(done))
    assert seen == list(range(len(finished), PEOPLE + 1))
    assert {note: note.stat().st_mtime_ns for note in finished} == finished
    assert contents(path) == contents(folder)


def test_a_damaged_texture_is_made_again_and_more_people_may_follow(tmp_path: Path) -> None:
    path, few = tmp_path / "dataset", Wish(9, 1, 0, 64, 128, "parameters")
    (row,) = synthesise(path, 1, few, Tools(), 1, unheard)
    texture = path / row.file_name
    whole = texture.read_bytes()
    texture.write_bytes(whole[:-9])
    rows = synthesise(path, 2, few, Tools(), 1, unheard)
    assert texture.read_bytes() == whole
    assert [each.identity for each in rows] == ["synthetic-000000", "synthetic-000001"]
    assert all(each.photo == "" for each in rows)


@pytest.mark.parametrize(
    ("identities", "changes", "workers", "says"),
    [
        (0, {}, 1, "--identities"),
        (1, {"textures": 0}, 1, "--textures"),
        (1, {"photos": -1}, 1, "--photos"),
        (1, {"size": 500}, 1, "--size"),
        (1, {"photo_size": 20}, 1, "--photo-size"),
        (1, {"seed": -1}, 1, "--seed"),
        (1, {}, 0, "--workers"),
        (1, {"embedding": "clip"}, 1, "clip"),
        (1, {"embedding": "buffalo_l", "photos": 0}, 1, "photos"),
    ],
)
def test_settings_out_of_range_are_refused(
    tmp_path: Path, identities: int, changes: dict[str, int | str], workers: int, says: str
) -> None:
    values = {"seed": 0, "textures": 1, "photos": 1, "size": 64, "photo_size": 128, "embedding": "parameters"}
    with pytest.raises(UVMapError, match=says) as caught:
        synthesise(tmp_path / "out", identities, Wish(**(values | changes)), Tools(), workers, unheard)  # type: ignore[arg-type]
    assert caught.value.failure.code == "setting_out_of_range"
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    assert code_of(tmp_path) == "output_not_writable"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("", encoding="utf-8")
    assert code_of(tmp_path / "out") == "output_not_writable"


def test_other_settings_don_t_go_into_a_begun_dataset(folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(UVMapError, match="seed 0") as caught:
        synthesise(folder, PEOPLE, Wish(1, 2, 1, 256, 256, "parameters"), Tools(), 1, unheard)
    assert caught.value.failure.code == "setting_out_of_range"
    assert contents(folder) == before


def test_a_mannequin_that_is_none_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "mannequin.npz"
    damaged.write_bytes(b"PK\x03\x04 not a body")
    assert code_of(tmp_path / "one", Tools(damaged)) == "body_unreadable"
    assert code_of(tmp_path / "two", Tools(tmp_path / "absent.npz")) == "body_unreadable"


def test_without_the_recogniser_its_embedding_is_refused(tmp_path: Path) -> None:
    wish = Wish(0, 1, 1, 64, 128, "buffalo_l")
    with pytest.raises(UVMapError) as caught:
        synthesise(tmp_path / "out", 1, wish, Tools(), 1, unheard)
    assert caught.value.failure.code == "identity_unavailable"
    assert "parameters" in caught.value.failure.hint


def test_a_worker_s_failure_comes_back_as_it_was(tmp_path: Path) -> None:
    damaged = tmp_path / "mannequin.npz"
    damaged.write_bytes(b"")
    with pytest.raises(UVMapError) as caught:
        synthesise(tmp_path / "out", 2, Wish(0, 1, 1, 64, 128, "parameters"), Tools(damaged), 2, unheard)
    assert caught.value.failure.code == "body_unreadable"


def test_an_interrupted_command_keeps_what_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "out"
    command = [sys.executable, "-m", "uvmap_id", "dataset", "synthesise", str(path), "--size", "64", "--textures", "1"]
    process = subprocess.Popen(
        [*command, "--photos", "0", "--workers", "2"], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 100
    while not list((path / NOTES).glob("0*.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # As a terminal does it: to all processes of the group.
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.startswith("error: cancelled: Stopped; finished people are kept.")
    assert "Traceback" not in said
    assert not (path / METADATA).exists()
    assert not list(path.rglob("*.part"))


def test_the_command_says_what_was_made_and_what_is_wrong(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uvmap_id", "dataset", "synthesise", str(tmp_path / "out"), "--size", "64"]
    options = ["--identities", "1", "--textures", "1", "--photos", "0", "--workers", "1"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == f"1 people, 1 textures: {tmp_path / 'out'}\n"
    wrong = subprocess.run([*command, "--size", "63"], capture_output=True, text=True, timeout=60, check=False)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: setting_out_of_range: --size is 63.")
    assert "Traceback" not in wrong.stderr


def code_of(folder: Path, tools: Tools | None = None) -> str:
    with pytest.raises(UVMapError) as caught:
        synthesise(folder, 1, Wish(0, 1, 1, 64, 128, "parameters"), tools or Tools(), 1, unheard)
    return caught.value.failure.code
