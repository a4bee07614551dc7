"""The server's own files: private, whole, and gone when they are not needed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from uvmap_id.link.disk import disk_error, write_synced
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.logs import last_words, open_log
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
