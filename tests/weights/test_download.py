"""Downloads from a real server that misbehaves; each fault is counted, and has to have fired."""

from __future__ import annotations

import email.message
import hashlib
import io
import json
import os
import threading
import urllib.request
from pathlib import Path

import pytest
from file_server import FileServer, Proxy, Served, running, wait_until

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.catalogue import RemoteFile
from uvmap_id.weights.download import Expected, Patience, Transfer, download, probe
from uvmap_id.weights.web import Address, Redirects, address_of

CONTENT = os.urandom(3 << 20)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WHOLE = Expected(len(CONTENT), SHA256)
QUICK = Patience(timeout_s=0.5, stall_s=0.3, attempts=3, pause_s=0.01)
FILE = "/weights.bin"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights.bin"


def get(server: FileServer, target: Path, expected: Expected = WHOLE, patience: Patience = QUICK) -> str:
    return download(Address(server.url + FILE), target, expected, lambda _: None, patience)


def assert_fails(code: ErrorCode, server: FileServer, target: Path, expected: Expected = WHOLE) -> UVMapError:
    with pytest.raises(UVMapError) as caught:
        get(server, target, expected)
    assert caught.value.failure.code == code
    assert caught.value.failure.hint
    assert not target.exists()
    return caught.value


def test_a_file_arrives_whole_and_leaves_nothing_else(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT)
    transfers: list[Transfer] = []
    assert download(Address(server.url + FILE), target, WHOLE, transfers.append, QUICK) == SHA256
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert (transfers[-1].done, transfers[-1].total) == (len(CONTENT), len(CONTENT))
    assert transfers[-1].bytes_per_second > 0


@pytest.mark.parametrize("fault", ["truncate", "stall", "trickle", "500", "429", "503"])
def test_a_passing_fault_is_overcome(server: FileServer, target: Path, fault: str) -> None:
    server.files[FILE] = Served(CONTENT, [fault])
    assert get(server, target) == SHA256
    assert server.fired[fault] == 1
    assert target.read_bytes() == CONTENT


def test_a_trickle_is_given_up_early(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["trickle"])
    assert get(server, target) == SHA256
    assert server.fired["trickle"] == 1
    (asked,) = server.ranged(FILE)
    assert 0 < int(asked.removeprefix("bytes=").removesuffix("-")) < 100


@pytest.mark.parametrize("fault", ["truncate", "stall"])
def test_the_rest_is_asked_for_and_not_the_whole(server: FileServer, target: Path, fault: str) -> None:
    server.files[FILE] = Served(CONTENT, [fault])
    get(server, target)
    assert server.fired[fault] == 1
    assert server.ranged(FILE) == [f"bytes={len(CONTENT) // 2}-"]


def test_a_connection_that_always_breaks_is_put_up_with_while_it_brings_something(
    server: FileServer, target: Path
) -> None:
    content = os.urandom(40 << 20)
    server.files[FILE] = Served(content, ["truncate"] * 5)
    expected = Expected(len(content), hashlib.sha256(content).hexdigest())
    assert get(server, target, expected) == expected.sha256
    assert server.fired["truncate"] == 5 > QUICK.attempts


def test_a_server_that_never_recovers_is_given_up_and_the_part_kept(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["truncate"] + ["500"] * 9)
    error = assert_fails(ErrorCode.DOWNLOAD_FAILED, server, target)
    assert "status 500" in error.failure.message
    assert server.fired["500"] == QUICK.attempts - 1
    assert (target.parent / "weights.bin.part").stat().st_size == len(CONTENT) // 2
    server.files[FILE].faults.clear()
    assert get(server, target) == SHA256
    assert server.ranged(FILE)[-1] == f"bytes={len(CONTENT) // 2}-"


def test_a_server_that_ignores_ranges_sends_all_again(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["truncate"], ranges=False)
    assert get(server, target) == SHA256
    assert server.fired["range-ignored"] == 1
    assert target.read_bytes() == CONTENT


def test_a_file_that_changes_between_attempts_is_not_patched_together(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["truncate"] + ["500"] * 2)
    assert_fails(ErrorCode.DOWNLOAD_FAILED, server, target, Expected())
    changed = os.urandom(2 << 20)
    server.files[FILE] = Served(changed, etag='"second"')
    assert get(server, target, Expected()) == hashlib.sha256(changed).hexdigest()
    assert server.fired["if-range-changed"] == 1
    assert target.read_bytes() == changed


def test_without_a_validator_or_a_hash_nothing_is_resumed(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["truncate"], etag="")
    assert get(server, target, Expected()) == SHA256
    assert server.fired["truncate"] == 1
    assert server.ranged(FILE) == []


def test_another_range_than_asked_for_starts_over(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["truncate", "wrong-range"])
    assert get(server, target) == SHA256
    assert server.fired["wrong-range"] == 1
    assert target.read_bytes() == CONTENT


def test_wrong_bytes_are_thrown_away(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["wrong-bytes"])
    error = assert_fails(ErrorCode.DOWNLOAD_CORRUPT, server, target)
    assert server.fired["wrong-bytes"] == 1
    assert SHA256 in error.failure.message
    assert list(target.parent.iterdir()) == []


def test_wrong_bytes_in_the_old_part_cost_one_download_more(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["truncate"] + ["500"] * 2)
    assert_fails(ErrorCode.DOWNLOAD_FAILED, server, target)
    with (target.parent / "weights.bin.part").open("r+b") as part:
        part.write(b"damaged")
    assert get(server, target) == SHA256
    assert server.ranged(FILE)
    assert target.read_bytes() == CONTENT


def test_a_length_that_differs_from_the_catalogue_is_noticed(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["lies-short"])
    error = assert_fails(ErrorCode.DOWNLOAD_CORRUPT, server, target)
    assert server.fired["lies-short"] == 1
    assert str(len(CONTENT)) in error.failure.message


def test_a_length_that_differs_from_the_hubs_announcement_is_noticed(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["lies-short"], linked=True)
    assert_fails(ErrorCode.DOWNLOAD_CORRUPT, server, target, Expected())
    assert server.fired["lies-short"] == 1


def test_a_file_larger_than_the_disk_is_refused_before_it_is_fetched(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["lies-huge"])
    assert_fails(ErrorCode.DISK_FULL, server, target, Expected())
    assert server.fired["lies-huge"] == 1
    assert not (target.parent / "weights.bin.part").exists()


@pytest.mark.parametrize("fault", ["html", "html-type"])
def test_a_web_page_is_no_file(server: FileServer, target: Path, fault: str) -> None:
    server.files[FILE] = Served(CONTENT, [fault])
    error = assert_fails(ErrorCode.DOWNLOAD_FAILED, server, target, Expected())
    assert server.fired[fault] == 1
    assert "web page" in error.failure.message
    assert not list(target.parent.glob("*.part")) or not (target.parent / "weights.bin.part").stat().st_size


@pytest.mark.parametrize(("fault", "says"), [("401", "HF_TOKEN"), ("403", "HF_TOKEN"), ("404", "newer version")])
def test_a_refusal_is_not_tried_again(server: FileServer, target: Path, fault: str, says: str) -> None:
    server.files[FILE] = Served(CONTENT, [fault])
    error = assert_fails(ErrorCode.DOWNLOAD_FAILED, server, target)
    assert server.fired[fault] == 1
    assert len(server.requests(FILE)) == 1
    assert says in error.failure.hint


def test_the_hubs_hash_is_checked_and_its_token_stays_with_the_hub(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
    path = "/owner/name/resolve/abc/folder/weights.bin"
    server.files[path] = Served(CONTENT, linked=True, redirect=f"{server.other_host_url}/elsewhere")
    server.files["/elsewhere"] = Served(CONTENT, ["truncate", "wrong-bytes"])
    address = address_of(RemoteFile("folder/weights.bin", repository="owner/name", revision="abc"))
    assert probe(address, Expected(), QUICK) == WHOLE
    assert server.requests("/elsewhere", "HEAD") == []
    # The wrong bytes complete an old part, so that all is fetched once more, and then it is right.
    assert download(address, target, Expected(), lambda _: None, QUICK) == SHA256
    assert server.fired["redirect"] >= 3
    assert server.fired["wrong-bytes"] == 1
    assert {seen.headers.get("authorization") for seen in server.requests(path)} == {"Bearer hf_secret"}
    assert len(server.requests("/elsewhere")) == 3
    assert all("authorization" not in seen.headers for seen in server.requests("/elsewhere"))


def test_the_token_follows_a_redirect_on_the_hub_itself(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    server.files["/old/name/resolve/main/a"] = Served(b"", redirect="/new/name/resolve/main/a")
    server.files["/new/name/resolve/main/a"] = Served(CONTENT)
    address = address_of(RemoteFile("a", repository="old/name", revision="main"))
    assert download(address, target, WHOLE, lambda _: None, QUICK) == SHA256
    assert server.fired["redirect"] == 1
    assert server.requests("/new/name/resolve/main/a")[0].headers["authorization"] == "Bearer hf_secret"


def test_a_plain_address_never_sees_the_token(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.files[FILE] = Served(CONTENT)
    download(address_of(RemoteFile("a", url=server.url + FILE)), target, WHOLE, lambda _: None, QUICK)
    assert "authorization" not in server.requests(FILE)[0].headers


def test_redirects_end_somewhere(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, redirect=FILE)
    assert_fails(ErrorCode.DOWNLOAD_FAILED, server, target)
    assert 1 < server.fired["redirect"] < 10


@pytest.mark.parametrize(
    "url",
    ["http://example.com/a", "ftp://localhost/a", "file:///etc/passwd", "http://[", "https://", "http://127.0.0.1:x/"],
)
def test_only_https_and_this_computer_are_asked(url: str) -> None:
    with pytest.raises(UVMapError) as caught:
        address_of(RemoteFile("a", url=url))
    assert caught.value.failure.code == ErrorCode.DOWNLOAD_FAILED


def test_a_redirect_to_plain_http_elsewhere_is_not_followed(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, redirect="http://example.com/a")
    error = assert_fails(ErrorCode.DOWNLOAD_FAILED, server, target)
    assert server.fired["redirect"] == 1
    assert "is not https" in error.failure.message


def test_https_is_not_left_even_for_this_computer() -> None:
    redirects = Redirects(Address("https://hub.example/a"), follow=True)
    request = urllib.request.Request("https://hub.example/a")
    with pytest.raises(UVMapError, match="would leave https"):
        redirects.redirect_request(request, io.BytesIO(), 302, "Found", email.message.Message(), "http://localhost/a")


def test_a_server_without_head_leaves_the_size_unknown(server: FileServer) -> None:
    server.files[FILE] = Served(CONTENT, head=False)
    assert probe(Address(server.url + FILE), Expected(), QUICK) == Expected()
    assert server.fired["no-head"] == 1


def test_nobody_listens(server: FileServer, target: Path) -> None:
    with pytest.raises(UVMapError) as caught:
        download(Address("http://127.0.0.1:1/a"), target, WHOLE, lambda _: None, QUICK)
    assert caught.value.failure.code == ErrorCode.DOWNLOAD_FAILED
    assert "kept" in caught.value.failure.hint


@pytest.mark.parametrize("note", [b"", b"[]", b'{"url": 3}', b"\xff", b'{"url": "x", "size": "y"}', b"[" * 100_000])
def test_a_damaged_note_beside_the_part_starts_over(server: FileServer, target: Path, note: bytes) -> None:
    server.files[FILE] = Served(CONTENT)
    (target.parent / "weights.bin.part").write_bytes(CONTENT[:1000])
    (target.parent / "weights.bin.part.json").write_bytes(note)
    assert get(server, target) == SHA256
    assert server.ranged(FILE) == []


def test_a_part_that_is_whole_needs_no_more_bytes(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT)
    (target.parent / "weights.bin.part").write_bytes(CONTENT)
    note = {"url": server.url + FILE, "etag": '"first"', "size": len(CONTENT)}
    (target.parent / "weights.bin.part.json").write_text(json.dumps(note))
    assert get(server, target) == SHA256
    assert [seen.headers.get("range") for seen in server.requests(FILE)] == [f"bytes={len(CONTENT)}-"]


def test_a_proxy_is_used_and_no_proxy_is_honoured(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files[FILE] = Served(CONTENT)
    proxy = Proxy()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with running(proxy):
        assert get(server, target) == SHA256
        assert proxy.asked == [f"GET {server.url}{FILE}"]
        with pytest.raises(UVMapError):
            download(Address("https://hub.example/a"), target, WHOLE, lambda _: None, QUICK)
        assert proxy.asked[1:] == ["CONNECT hub.example:443"] * QUICK.attempts
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        target.unlink()
        assert get(server, target) == SHA256
        assert len(proxy.asked) == 1 + QUICK.attempts


def test_interrupting_keeps_the_part(server: FileServer, target: Path) -> None:
    server.files[FILE] = Served(CONTENT, ["hold"])
    part = target.parent / "weights.bin.part"

    def interrupt(transfer: Transfer) -> None:
        raise KeyboardInterrupt

    release = threading.Timer(0.3, server.released.set)
    release.start()
    with pytest.raises(KeyboardInterrupt):
        download(Address(server.url + FILE), target, WHOLE, interrupt, Patience(timeout_s=5))
    release.join()
    assert server.fired["hold"] == 1
    wait_until(lambda: part.stat().st_size > 0)
    assert get(server, target) == SHA256
    assert server.ranged(FILE)
