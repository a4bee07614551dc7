"""The server's own files: private, whole, and gone when they are not needed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from uvmap_id.link.disk import disk_error, write_synced
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.logs import last_words, open_log
from uvmap_id.link.messages import FRAME_LIMIT
from uvmap_id.server.results import Results


def test_a_result_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    results = Results(tmp_path)
    part = results.begin("job")
    (part / "base_color.png").write_bytes(b"png")
    assert not (tmp_path / "job").exists()
    assert results.commit("job") == tmp_path / "job"
    assert [path.name for path in tmp_path.iterdir()] == ["job"]
    assert (tmp_path / "job" / "base_color.png").read_bytes() == b"png"


def test_a_discarded_result_leaves_nothing(tmp_path: Path) -> None:
    results = Results(tmp_path)
    (results.begin("job") / "base_color.png").write_bytes(b"png")
    results.discard("job")
    results.discard("a job without files")
    assert list(tmp_path.iterdir()) == []


def test_a_new_server_removes_only_what_is_unfinished(tmp_path: Path) -> None:
    earlier = Results(tmp_path)
    earlier.begin("done")
    earlier.commit("done")
    (earlier.begin("unfinished") / "base_color.png").write_bytes(b"half")
    Results(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["done"]


MAPS = {"base_color.png": b"base" * 500_000, "normal.png": b"normal" * 1000, "roughness.png": b"rough"}


def finished(results: Results, job: str = "job") -> None:
    part = results.begin(job)
    maps = {}
    for name, content in MAPS.items():
        (part / name).write_bytes(content)
        maps[name[:-4]] = {"file": name, "sha256": hashlib.sha256(content).hexdigest()}
    (part / "manifest.json").write_text(json.dumps({"maps": maps}))
    results.commit(job)


def read_all(results: Results, name: str) -> bytes:
    pieces, size = [], 1
    while (received := sum(map(len, pieces))) < size:
        file, piece = results.read("job", name, received)
        assert 0 < len(piece) <= FRAME_LIMIT
        size = file.size
        pieces.append(piece)
    return b"".join(pieces)


def test_a_result_is_read_in_pieces(tmp_path: Path) -> None:
    results = Results(tmp_path)
    finished(results)
    assert {file.name for file in results.files("job")} == {*MAPS, "manifest.json"}
    for file in results.files("job"):
        content = read_all(results, file.name)
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
    results.check("job")
    done = results.done("job")
    assert done is not None
    assert (done.files, done.folder) == (results.files("job"), str(tmp_path / "job"))


@pytest.mark.parametrize("name", ["nothing.png", "../job/normal.png", "index.json", "", ".", "/etc/passwd"])
def test_only_files_of_the_result_are_read(tmp_path: Path, name: str) -> None:
    results = Results(tmp_path)
    finished(results)
    with pytest.raises(UVMapError) as caught:
        results.read("job", name, 0)
    assert caught.value.failure.code == ErrorCode.MESSAGE_INVALID
    for offset in (-1, len(MAPS["normal.png"]) + 1):
        with pytest.raises(UVMapError):
            results.read("job", "normal.png", offset)


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_a_link(path: Path) -> None:
    content = path.parent.parent / "elsewhere"
    path.rename(content)
    path.symlink_to(content)


@pytest.mark.parametrize("damage", [alter, cut_off, lengthen, Path.unlink, make_a_folder, make_a_link])
@pytest.mark.parametrize("name", ["base_color.png", "index.json"])
@pytest.mark.parametrize("served", [False, True])
def test_a_damaged_result_is_not_served(
    tmp_path: Path, damage: Callable[[Path], object], name: str, served: bool
) -> None:
    results = Results(tmp_path)
    finished(results)
    if served:
        results.check("job")
    damage(tmp_path / "job" / name)
    with pytest.raises(UVMapError) as caught:
        results.check("job")
    assert caught.value.failure.code == ErrorCode.RESULT_DAMAGED
    assert caught.value.failure.hint
    finished(results)
    results.check("job")


def test_an_index_cannot_lead_elsewhere(tmp_path: Path) -> None:
    results = Results(tmp_path)
    finished(results)
    (tmp_path / "secret").write_bytes(b"secret")
    entry = {"name": "../secret", "size": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}
    (tmp_path / "job" / "index.json").write_text(json.dumps([entry]))
    with pytest.raises(UVMapError) as caught:
        results.read("job", "../secret", 0)
    assert caught.value.failure.code == ErrorCode.RESULT_DAMAGED


def test_a_worker_that_left_out_a_map_has_no_result(tmp_path: Path) -> None:
    results = Results(tmp_path)
    finished(results, "other")
    part = results.begin("job")
    (part / "manifest.json").write_bytes((tmp_path / "other" / "manifest.json").read_bytes())
    with pytest.raises(UVMapError) as caught:
        results.commit("job")
    assert caught.value.failure.code == ErrorCode.RESULT_DAMAGED
    assert results.jobs().keys() == {"other"}


def test_a_job_that_begins_anew_leaves_its_old_result_behind(tmp_path: Path) -> None:
    """A server died after the result was complete, and before that was written down."""
    results = Results(tmp_path)
    finished(results)
    results.begin("job")
    assert results.done("job") is None
    finished(results)
    assert results.done("job") is not None


def test_a_removed_result_is_gone_even_if_its_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results(tmp_path)
    finished(results)
    with monkeypatch.context() as patch:
        patch.setattr("uvmap_id.server.results.remove", lambda _path: None)
        results.remove("job")
    assert results.done("job") is None
    assert results.jobs() == {}
    results.remove("job")
    Results(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UVMapError) as caught:
        Results(tmp_path / "file" / "folder")
    assert caught.value.failure.code == ErrorCode.OUTPUT_NOT_WRITABLE


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, ErrorCode.DISK_FULL),
        (errno.EACCES, ErrorCode.OUTPUT_NOT_WRITABLE),
        (errno.EROFS, ErrorCode.OUTPUT_NOT_WRITABLE),
    ],
)
def test_disk_errors_are_said_in_words(number: int, code: ErrorCode) -> None:
    failure = disk_error(OSError(number, os.strerror(number)), Path("/some/folder")).failure
    assert failure.code == code
    assert str(Path("/some/folder")) in failure.message
    assert failure.hint


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    write_synced(tmp_path / "file", b"first")
    with pytest.raises(FileExistsError):
        write_synced(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("\n \n", ""),
        ("Traceback (most recent call last):\n  File\nKeyError: 'x'\n\n", "KeyError: 'x'"),
        ("error: disk_full: The disk is full.\n  Free some space.\n", "disk_full: The disk is full."),
        ("x" * 1000, "x" * 300),
    ],
)
def test_the_last_words_of_a_log_are_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "log"
    path.write_text("error: of an earlier process\n" + text)
    assert last_words(path, len("error: of an earlier process\n")) == words


def test_a_log_that_is_not_there_has_no_last_words(tmp_path: Path) -> None:
    assert last_words(tmp_path / "nowhere") == ""


def test_a_log_grows_to_a_limit_and_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for content in (b"a" * 1024, b"b" * 2**20):
        with open_log(path) as log:
            log.write(content)
    assert path.stat().st_size == 2**20 + 1024
    with open_log(path) as log:
        log.write(b"c")
    assert path.read_bytes() == b"c"
