"""Photos on their way to a job: in pieces, in any order, of several owners, some of them broken."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.link.errors import UVMapError
from uvmap_id.link.messages import PHOTO_LIMIT
from uvmap_id.server.staging import OWNER_FILES, UNUSED_S, Staging

PHOTO = bytes(range(256)) * 20
NAME = hashlib.sha256(PHOTO).hexdigest()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def staging(tmp_path: Path, clock: Clock) -> Staging:
    return Staging(tmp_path / "photos", clock=clock)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def refused(action: object, code: str) -> None:
    with pytest.raises(UVMapError) as caught:
        action()  # pyright: ignore[reportCallIssue]
    assert caught.value.failure.code == code
    assert caught.value.failure.hint


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3)), max_size=40))
def test_pieces_in_any_order_make_the_file_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, int]]
) -> None:
    staging = Staging(tmp_path_factory.mktemp("photos"))
    photo, piece, received = PHOTO[:700], 100, 0
    name = hashlib.sha256(photo).hexdigest()
    for number, count in pieces:
        chunk = photo[number * piece : (number + count) * piece]
        if number * piece == received:
            received += len(chunk)
        assert staging.put(name, 700, number * piece, chunk, "local") == received
        assert staging.received(name, "local") == received
    if received == 700:
        assert staging.path(name, "local").read_bytes() == photo
    else:
        refused(lambda: staging.path(name, "local"), "photo_missing")


def test_owners_share_nothing(staging: Staging) -> None:
    staging.put(NAME, len(PHOTO), 0, PHOTO, "local")
    assert staging.received(NAME, "stranger") == 0
    refused(lambda: staging.path(NAME, "stranger"), "photo_missing")
    staging.put(NAME, len(PHOTO), 0, PHOTO, "stranger")
    staging.path(NAME, "local")
    assert staging.sweep({("stranger", NAME)}) == 1
    assert staging.path(NAME, "stranger").read_bytes() == PHOTO


def test_an_upload_goes_on_where_it_broke_off(staging: Staging) -> None:
    assert staging.put(NAME, len(PHOTO), 0, PHOTO[:1000], "local") == 1000
    assert staging.put(NAME, len(PHOTO), 0, b"", "local") == 1000
    assert staging.received(NAME, "local") == 1000
    assert staging.put(NAME, len(PHOTO), 1000, PHOTO[1000:], "local") == len(PHOTO)
    assert staging.put(NAME, len(PHOTO), 0, PHOTO[:1000], "local") == len(PHOTO), "a late copy changes nothing"
    assert staging.path(NAME, "local").read_bytes() == PHOTO


def test_a_damaged_photo_is_refused_and_gone(tmp_path: Path, staging: Staging) -> None:
    staging.put(NAME, len(PHOTO), 0, PHOTO[:1000], "local")
    refused(lambda: staging.put(NAME, len(PHOTO), 1000, bytes(len(PHOTO) - 1000), "local"), "blob_invalid")
    assert files(tmp_path) == []
    assert staging.put(NAME, len(PHOTO), 0, PHOTO, "local") == len(PHOTO)


@pytest.mark.parametrize(
    ("name", "size", "offset", "chunk", "code"),
    [
        (NAME, 10, 5, b"123456", "blob_invalid"),
        (NAME, 10, -1, b"1", "blob_invalid"),
        (NAME, 0, 0, b"", "blob_invalid"),
        (NAME, -5, 0, b"", "blob_invalid"),
        (NAME, PHOTO_LIMIT + 1, 0, b"1", "face_file_too_large"),
        (NAME[:-1], 10, 0, b"1", "message_invalid"),
        (NAME + "\n", 10, 0, b"1", "message_invalid"),
        ("../" + NAME[3:], 10, 0, b"1", "message_invalid"),
        (NAME.upper(), 10, 0, b"1", "message_invalid"),
    ],
)
def test_nonsense_is_refused(
    tmp_path: Path, staging: Staging, name: str, size: int, offset: int, chunk: bytes, code: str
) -> None:
    refused(lambda: staging.put(name, size, offset, chunk, "local"), code)
    assert files(tmp_path) == []


def test_a_size_that_changes_on_the_way_is_refused(staging: Staging) -> None:
    staging.put(NAME, 100, 0, b"1", "local")
    refused(lambda: staging.put(NAME, 101, 1, b"2", "local"), "blob_invalid")


def test_an_owner_can_fill_only_its_own_share(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "photos", owner_bytes=2 * len(PHOTO))
    staging.put(NAME, len(PHOTO), 0, PHOTO, "local")
    staging.put("1" * 64, len(PHOTO), 0, b"1", "local")
    refused(lambda: staging.put("2" * 64, 1, 0, b"1", "local"), "queue_full")
    staging.put("2" * 64, 2, 0, b"1", "stranger")
    staging.path(NAME, "local")
    staging.put("2" * 64, 2, 0, b"1", "local")


def test_an_owner_can_begin_only_so_many(staging: Staging) -> None:
    for number in range(OWNER_FILES):
        staging.put(f"{number:064x}", 2, 0, b"1", "local")
    refused(lambda: staging.put("f" * 64, 2, 0, b"1", "local"), "queue_full")


def test_a_full_disk_takes_nothing_new(tmp_path: Path) -> None:
    full = [False]
    staging = Staging(tmp_path / "photos", lambda: full[0])
    staging.put(NAME, len(PHOTO), 0, PHOTO[:10], "local")
    full[0] = True
    refused(lambda: staging.put("1" * 64, 10, 0, b"1", "local"), "disk_full")
    assert staging.put(NAME, len(PHOTO), 10, PHOTO[10:], "local") == len(PHOTO)


def test_photos_go_with_the_last_job_that_needs_them(tmp_path: Path, staging: Staging) -> None:
    staging.put(NAME, len(PHOTO), 0, PHOTO, "local")
    assert staging.sweep(set()) == 0, "the job may be about to be submitted"
    staging.path(NAME, "local")
    assert staging.sweep({("local", NAME)}) == 0
    assert staging.sweep({("local", "1" * 64)}) == 1
    assert files(tmp_path) == []
    refused(lambda: staging.path(NAME, "local"), "photo_missing")


def test_who_asks_for_a_photo_may_submit_a_job_for_it(staging: Staging) -> None:
    staging.put(NAME, len(PHOTO), 0, PHOTO, "local")
    staging.path(NAME, "local")
    assert staging.received(NAME, "local") == len(PHOTO)
    assert staging.sweep(set()) == 0
    assert staging.purge("stranger", set()) == 0
    assert staging.purge("local", set()) == 1


def test_photos_for_which_no_job_came_go_after_an_hour(tmp_path: Path, staging: Staging, clock: Clock) -> None:
    staging.put(NAME, len(PHOTO), 0, PHOTO, "local")
    staging.put("1" * 64, 10, 0, b"1", "local")
    clock.now += UNUSED_S - 1
    assert staging.sweep(set()) == 0
    clock.now += 2
    assert staging.sweep(set()) == 2
    assert files(tmp_path) == []


def test_a_new_server_keeps_what_jobs_need(tmp_path: Path, staging: Staging) -> None:
    staging.put(NAME, len(PHOTO), 0, PHOTO, "local")
    other = hashlib.sha256(b"other").hexdigest()
    staging.put(other, 5, 0, b"other", "local")
    staging.put("1" * 64, 10, 0, b"1", "local")
    later = Staging(tmp_path / "photos")
    assert later.received("1" * 64, "local") == 0
    assert later.sweep({("local", NAME)}) == 1
    assert [path.name for path in files(tmp_path)] == [NAME]
    assert later.path(NAME, "local").read_bytes() == PHOTO


def test_a_photo_that_was_deleted_is_said_to_be_missing(staging: Staging) -> None:
    staging.put(NAME, len(PHOTO), 0, PHOTO, "local")
    staging.path(NAME, "local").unlink()
    refused(lambda: staging.path(NAME, "local"), "photo_missing")


@pytest.mark.skipif(os.name != "posix", reason="file modes are a matter of POSIX")
def test_photos_are_their_owners_alone(tmp_path: Path, staging: Staging) -> None:
    old = os.umask(0)
    try:
        staging.put(NAME, len(PHOTO), 0, PHOTO, "../../local\n")
        staging.put("1" * 64, 10, 0, b"1", "local")
    finally:
        os.umask(old)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "photos").rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert len(modes) == 4
