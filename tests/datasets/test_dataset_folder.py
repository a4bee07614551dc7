from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uvmap_id.datasets.folder import METADATA, Dataset, Row, metadata_of, read_dataset, short_numbers
from uvmap_id.link.errors import ErrorCode, UVMapError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.floats(-1e6, 1e6)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    seed = draw(st.integers(0, 2**31 - 1))
    embedding = draw(st.sampled_from(["none", "some"]))
    numbers = np.random.default_rng(seed).standard_normal(512).astype(np.float32)
    return Row(
        file_name="textures/a.png",
        identity=draw(TEXTS.filter(bool)),
        prompt=draw(TEXTS),
        group=draw(TEXTS),
        gender=draw(TEXTS),
        embedding=short_numbers(numbers) if embedding == "some" else (),
        seed=seed,
        consent=draw(TEXTS),
        licence=draw(TEXTS),
        scores=draw(st.dictionaries(TEXTS, NUMBERS, max_size=3)),
        photo_sha256=draw(TEXTS),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "textures").mkdir()
    for name in "abc":
        (tmp_path / "textures" / f"{name}.png").write_bytes(b"not opened")
    return tmp_path


def write(folder: Path, *lines: object) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / METADATA).write_text(text, encoding="utf-8")


def refused(folder: Path, code: ErrorCode = ErrorCode.DATASET_UNREADABLE) -> str:
    with pytest.raises(UVMapError) as caught:
        read_dataset(folder)
    assert caught.value.failure.code == code
    return caught.value.failure.message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(row=rows())
def test_what_is_written_is_read_again(folder: Path, row: Row) -> None:
    (folder / METADATA).write_text(metadata_of([row]), encoding="utf-8", newline="")
    assert read_dataset(folder) == Dataset(folder, (row,))


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(column=st.sampled_from(sorted(asdict(Row("a", "b")))), value=ODD)
def test_any_value_is_read_or_refused(folder: Path, column: str, value: object) -> None:
    write(folder, {"file_name": "textures/a.png", "identity": "Ada"} | {column: value})
    try:
        (row,) = read_dataset(folder).rows
    except UVMapError as error:
        assert error.failure.code == ErrorCode.DATASET_UNREADABLE
        return
    # What is accepted can be written, and is the same again.
    (folder / METADATA).write_text(metadata_of([row]), encoding="utf-8", newline="")
    assert read_dataset(folder).rows == (row,)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60))
def test_rubbish_is_refused(folder: Path, content: bytes) -> None:
    (folder / METADATA).write_bytes(content)
    with pytest.raises(UVMapError):
        read_dataset(folder)


def test_a_name_that_stands_twice_is_refused_however_it_is_spelled(folder: Path) -> None:
    one = {"file_name": "textures/a.png", "identity": "Ada"}
    write(folder, one, {"file_name": "textures/b.png", "identity": "Ada"}, {**one, "file_name": "textures//a.png"})
    assert "Line 3" in (message := refused(folder))
    assert "after line 1" in message


def test_links_are_followed_but_not_out_of_the_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    outside.write_bytes(b"x")
    (folder / "textures" / "in.png").symlink_to(folder / "textures" / "a.png")
    (folder / "textures" / "out.png").symlink_to(outside)
    (folder / "textures" / "round.png").symlink_to(folder / "textures" / "round.png")
    (folder / "textures" / "gone.png").symlink_to(folder / "textures" / "nothing.png")
    write(folder, {"file_name": "textures/in.png", "identity": "Ada"})
    assert len(read_dataset(folder).rows) == 1
    for name in ("textures/out.png", "textures/round.png", "textures/gone.png", "../secret.png", str(outside)):
        write(folder, {"file_name": name, "identity": "Ada"})
        assert "Line 1" in refused(folder) or "no path" in refused(folder)


def test_line_ends_inside_of_texts_end_no_line(folder: Path) -> None:
    row = Row("textures/a.png", "Ada\u2028Lovelace\x85")
    (folder / METADATA).write_text(metadata_of([row]), encoding="utf-8", newline="")
    assert read_dataset(folder).rows == (row,)


def test_an_embedding_is_held_once_for_all_textures_of_a_person(folder: Path) -> None:
    numbers = [0.5] * 512
    write(folder, *({"file_name": f"textures/{name}.png", "identity": "Ada", "embedding": numbers} for name in "abc"))
    one, two, three = read_dataset(folder).rows
    assert one.embedding is two.embedding is three.embedding


def test_short_numbers_are_the_same_numbers() -> None:
    values = np.random.default_rng(0).standard_normal(512).astype(np.float32)
    short = short_numbers(values)
    assert np.array_equal(np.array(short, np.float32), values)
    assert max(len(str(value)) for value in short) < 16


def test_an_empty_and_a_missing_list_are_told_apart(folder: Path, tmp_path: Path) -> None:
    (folder / METADATA).write_text("\n")
    refused(folder, ErrorCode.DATASET_EMPTY)
    refused(tmp_path / "nowhere")
