"""The output folder: a whole texture set or nothing new, and never a lost old one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import EXTRA_MAPS, MAPS
from uvmap_id.link.texture_set import MANIFEST_NAME, map_file
from uvmap_id.texture_folder import texture_folder

FILE_NAMES = (*map(map_file, MAPS), MANIFEST_NAME)


def a_set(content: bytes, maps: tuple[str, ...] = MAPS) -> dict[str, bytes]:
    """The files of a texture set, by their names."""
    manifest = {"maps": dict.fromkeys(maps), "notice": content.decode()}
    return {**{map_file(name): content for name in maps}, MANIFEST_NAME: json.dumps(manifest).encode()}


def fill(folder: Path, content: bytes, maps: tuple[str, ...] = MAPS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, written in a_set(content, maps).items():
        (folder / name).write_bytes(written)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_set_is_published_into_a_new_folder(tmp_path: Path) -> None:
    source = fill(tmp_path / "source", b"new")
    with texture_folder(tmp_path / "a" / "b") as folder:
        assert folder.publish(source) == tmp_path / "a" / "b" / "manifest.json"
    assert contents(tmp_path / "a" / "b") == a_set(b"new")


def test_an_old_set_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", b"old")
    (out / "notes.txt").write_bytes(b"mine")
    with texture_folder(out) as folder:
        folder.publish(fill(tmp_path / "source", b"new"))
    assert contents(out) == {**a_set(b"new"), "notes.txt": b"mine"}


def test_extra_maps_come_and_go_with_their_set(tmp_path: Path) -> None:
    every = (*MAPS, *EXTRA_MAPS)
    with texture_folder(tmp_path / "out") as folder:
        folder.publish(fill(tmp_path / "source", b"old", every))
    assert contents(tmp_path / "out") == a_set(b"old", every)
    with texture_folder(tmp_path / "out") as folder:
        folder.publish(fill(tmp_path / "plain", b"new"))
    assert contents(tmp_path / "out") == a_set(b"new")


def test_a_file_with_an_extra_maps_name_that_is_of_no_set_stays(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", b"old")
    (out / "orm.png").write_bytes(b"mine")
    with texture_folder(out) as folder:
        folder.publish(fill(tmp_path / "source", b"new"))
    assert contents(out) == {**a_set(b"new"), "orm.png": b"mine"}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"maps": []}', '{"maps": {"normal": {}}}', "[" * 100_000])
def test_a_source_without_a_real_manifest_changes_nothing(tmp_path: Path, text: str) -> None:
    out, source = fill(tmp_path / "out", b"old"), fill(tmp_path / "source", b"new")
    (source / MANIFEST_NAME).write_text(text)
    with pytest.raises(UVMapError) as caught, texture_folder(out) as folder:
        folder.publish(source)
    assert caught.value.failure.code == ErrorCode.SETTINGS_UNREADABLE
    assert contents(out) == a_set(b"old")


def test_folders_made_in_vain_go_again(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), texture_folder(tmp_path / "a" / "b"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), texture_folder(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", FILE_NAMES)
def test_half_a_source_changes_nothing(tmp_path: Path, missing: str) -> None:
    out, source = fill(tmp_path / "out", b"old"), fill(tmp_path / "source", b"new")
    (source / missing).unlink()
    with pytest.raises(UVMapError) as caught, texture_folder(out) as folder:
        folder.publish(source)
    assert caught.value.failure.code == ErrorCode.OUTPUT_NOT_WRITABLE
    assert contents(out) == a_set(b"old")


@pytest.mark.parametrize("name", FILE_NAMES)
def test_an_exchange_that_fails_half_way_is_undone(tmp_path: Path, name: str) -> None:
    out = fill(tmp_path / "out", b"old")
    source = fill(tmp_path / "source", b"new")
    with texture_folder(out) as folder:
        # A folder can't be replaced by a file. It appears after the output folder was tried out.
        (out / name).unlink()
        (out / name).mkdir()
        with pytest.raises(UVMapError) as caught:
            folder.publish(source)
    assert caught.value.failure.code == ErrorCode.OUTPUT_NOT_WRITABLE
    (out / name).rmdir()
    assert contents(out) == {other: written for other, written in a_set(b"old").items() if other != name}


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_folder_in_the_place_of_a_file_is_noticed_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(UVMapError) as caught, texture_folder(tmp_path):
        raise AssertionError("the work began")
    assert caught.value.failure.code == ErrorCode.OUTPUT_NOT_WRITABLE
    assert name in caught.value.failure.message


def test_a_file_in_the_place_of_the_folder_is_noticed_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UVMapError) as caught, texture_folder(path):
            raise AssertionError("the work began")
        assert caught.value.failure.code == ErrorCode.OUTPUT_NOT_WRITABLE
    assert contents(tmp_path) == {"file": b"mine"}
