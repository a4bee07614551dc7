"""Key files: private, whole, never followed through links, and never shown."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.keys import (
    CLIENT_KEY,
    SERVER_KEY,
    AuthorizedKeys,
    fingerprint,
    is_key,
    new_key_pair,
    own_keys,
    read_key_pair,
    read_public_key,
    write_key_pair,
)
from uvmap_id.link.private import read_private, write_private

posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes are a matter of POSIX")


def refusal(path: Path) -> str:
    with pytest.raises(UVMapError) as caught:
        read_key_pair(path)
    assert caught.value.failure.code == ErrorCode.KEY_INVALID
    assert caught.value.failure.hint
    return caught.value.failure.message


def test_a_key_pair_is_made_once_and_found_again(tmp_path: Path) -> None:
    server, client = own_keys(tmp_path, SERVER_KEY), own_keys(tmp_path, CLIENT_KEY)
    assert server != client
    assert own_keys(tmp_path, SERVER_KEY) == server
    assert read_public_key(tmp_path / "keys" / "server.key.pub") == (server.public, "server")
    assert is_key(server.public)
    assert fingerprint(server.public) != fingerprint(client.public)


@posix_only
def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    own_keys(tmp_path, SERVER_KEY)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / SERVER_KEY).stat().st_mode & 0o777 == 0o600
    (tmp_path / "keys" / SERVER_KEY).chmod(0o640)
    assert "other users" in refusal(tmp_path / "keys" / SERVER_KEY)


@posix_only
def test_links_are_not_followed(tmp_path: Path) -> None:
    write_key_pair(new_key_pair(), tmp_path / "theirs", "theirs")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / SERVER_KEY).symlink_to(tmp_path / "theirs")
    with pytest.raises(UVMapError):
        own_keys(tmp_path, SERVER_KEY)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "link").symlink_to(victim)
    write_private(tmp_path / "link", b"secret")
    assert victim.read_text() == "untouched"
    assert not (tmp_path / "link").is_symlink()
    assert read_private(tmp_path / "link") == b"secret"


def test_a_dangling_link_makes_no_new_key(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / SERVER_KEY).symlink_to(tmp_path / "nowhere")
    with pytest.raises(UVMapError):
        own_keys(tmp_path, SERVER_KEY)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"public": 1, "secret": 2}', '{"public": "", "secret": ""}'])
def test_a_damaged_key_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys" / SERVER_KEY
    own_keys(tmp_path, SERVER_KEY)
    path.write_text(content)
    with pytest.raises(UVMapError):
        own_keys(tmp_path, SERVER_KEY)
    assert path.read_text() == content


def test_keys_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pair.key"
    write_private(path, json.dumps({"public": new_key_pair().public, "secret": new_key_pair().secret}).encode())
    assert "no key pair" in refusal(path)


def test_a_secret_is_shown_nowhere(tmp_path: Path) -> None:
    pair = own_keys(tmp_path, SERVER_KEY)
    assert pair.secret not in repr(pair)
    assert pair.secret.encode() not in (tmp_path / "keys" / "server.key.pub").read_bytes()
    (tmp_path / "keys" / SERVER_KEY).write_text(pair.secret)
    with pytest.raises(UVMapError) as caught:
        own_keys(tmp_path, SERVER_KEY)
    assert pair.secret not in str(caught.value)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path, stop, wrong = tmp_path / "file", threading.Event(), []
    contents = {b"a" * 50_000, b"b" * 50_000}
    write_private(path, b"a" * 50_000)

    def read() -> None:
        while not stop.is_set():
            content = read_private(path)
            if content not in contents:
                wrong.append(content)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(60):
        write_private(path, (b"a" if number % 2 else b"b") * 50_000)
    stop.set()
    thread.join()
    assert not wrong
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").touch()
    with pytest.raises(OSError, match=r"."):
        write_private(tmp_path / "folder", b"content")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_authorised_keys_are_added_listed_and_removed(tmp_path: Path) -> None:
    keys = AuthorizedKeys(tmp_path)
    assert keys.read() == {}
    first, second, third = (new_key_pair().public for _ in range(3))
    keys.add(first, "a laptop")
    keys.add(second, "the studio")
    keys.add(third, "")
    keys.add(first, "my laptop")
    assert keys.read() == {first: "my laptop", second: "the studio", third: ""}
    assert keys.remove("the studio") == {second: "the studio"}
    assert keys.remove(fingerprint(third)) == {third: ""}
    assert keys.remove(first) == {first: "my laptop"}
    assert keys.read() == {}
    with pytest.raises(UVMapError) as caught:
        keys.remove("the studio")
    assert caught.value.failure.code == ErrorCode.KEY_INVALID


@pytest.mark.parametrize("name", ["two\nlines", "x" * 101, "a\0b", " leading"])
def test_a_name_that_would_break_the_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UVMapError):
        AuthorizedKeys(tmp_path).add(new_key_pair().public, name)
    assert AuthorizedKeys(tmp_path).read() == {}


def test_what_is_no_key_is_not_authorised(tmp_path: Path) -> None:
    with pytest.raises(UVMapError):
        AuthorizedKeys(tmp_path).add("short", "name")
    keys, real = AuthorizedKeys(tmp_path), new_key_pair().public
    keys.add(real, "real")
    keys.path.write_text(f"# {real}\nrubbish\n{real[:39]} cut\n\n{real} real\n")
    keys.path.chmod(0o600)
    assert keys.read() == {real: "real"}


def test_a_public_keys_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    for path in (tmp_path / "photo.jpg", tmp_path / "nothing", tmp_path):
        with pytest.raises(UVMapError) as caught:
            read_public_key(path)
        assert caught.value.failure.code == ErrorCode.KEY_INVALID
