"""The store: fetching whole sets of files, licences, archives, imports, damage."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
import zipfile
from pathlib import Path

import pytest
from file_server import FileServer, Served, wait_until

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights import licences
from uvmap_id.weights.archive import unpack
from uvmap_id.weights.catalogue import Purpose, load_catalogue, parse_catalogue
from uvmap_id.weights.download import Patience
from uvmap_id.weights.fetch import Progress, fetch
from uvmap_id.weights.importing import Import, import_weights
from uvmap_id.weights.record import FILE_NAME, Record, describe, write_record
from uvmap_id.weights.store import Fault, WeightsStore
from uvmap_id.weights.tiny import TinyWeights

QUICK = Patience(timeout_s=0.5, stall_s=0.3, attempts=2, pause_s=0.01)
CONFIG, MODEL = b'{"a": 1}', os.urandom(500_000)
MODEL_HASH = hashlib.sha256(MODEL).hexdigest()
ONNX = {"det.onnx": b"detector" * 1000, "rec.onnx": os.urandom(20_000)}

CATALOGUE = """
[licences.mit]
name = "MIT"
url = "https://example.com/mit"
commercial = true
[licences.research]
name = "Research only"
url = "https://example.com/research"
commercial = false

[[weights]]
id = "pair"
title = "A pair"
purpose = "tokenizer"
about = "Two files."
licence = "mit"
files = [
    {{ path = "sub/config.json", url = "{url}/config" }},
    {{ path = "model.onnx", url = "{url}/model", sha256 = "{hash}" }},
]

[[weights]]
id = "faces"
title = "Faces"
purpose = "identity"
about = "An archive."
licence = "research"
files = [{{ path = "faces.zip", url = "{url}/faces.zip", unpack = ["det.onnx", "rec.onnx"] }}]

[[weights]]
id = "by-hand"
title = "By hand"
purpose = "texture"
about = "Not to be fetched."
licence = "research"
page = "https://example.com/page"
steps = "Go there."
kind = "uvmap-id"
"""


@pytest.fixture
def store(server: FileServer, folder: Path) -> WeightsStore:
    server.files["/config"] = Served(CONFIG)
    server.files["/model"] = Served(MODEL)
    server.files["/faces.zip"] = Served(zipped({f"buffalo/{name}": data for name, data in ONNX.items()}))
    return WeightsStore(folder, parse_catalogue(CATALOGUE.format(url=server.url, hash=MODEL_HASH)))


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def get(store: WeightsStore, weights_id: str) -> tuple[Path, list[Progress], list[str]]:
    reports: list[Progress] = []
    notices: list[str] = []
    return fetch(store, weights_id, reports.append, notices.append, QUICK), reports, notices


def code_of(call: object, *arguments: object) -> ErrorCode:
    with pytest.raises(UVMapError) as caught:
        call(*arguments)  # pyright: ignore[reportCallIssue]
    assert caught.value.failure.message
    return ErrorCode(caught.value.failure.code)


def test_weights_arrive_with_a_record(store: WeightsStore, folder: Path) -> None:
    path, reports, notices = get(store, "pair")
    assert path == folder / "pair" == store.path("pair")
    assert (path / "sub/config.json").read_bytes() == CONFIG
    (installed,) = store.installed()
    assert (installed.id, installed.purpose, installed.bytes) == ("pair", "tokenizer", len(CONFIG) + len(MODEL))
    record = json.loads((path / FILE_NAME).read_text())
    assert {file["path"]: file["sha256"] for file in record["files"]}["model.onnx"] == MODEL_HASH
    assert reports[-1].done == reports[-1].total == installed.bytes
    assert ["config.json" in notice for notice in notices] == [True]
    assert store.verify("pair") == []
    assert store.default("tokenizer") == "pair"
    assert store.partial("pair") is None


def test_installed_weights_are_not_fetched_again(store: WeightsStore, server: FileServer) -> None:
    get(store, "pair")
    before = len(server.seen)
    get(store, "pair")
    assert len(server.seen) == before


def test_a_file_of_unknown_hash_has_to_stay_the_same(store: WeightsStore, server: FileServer) -> None:
    get(store, "pair")
    store.remove("pair")
    server.files["/config"] = Served(b'{"a": 2}')
    assert code_of(get, store, "pair") == ErrorCode.DOWNLOAD_CORRUPT
    server.files["/config"] = Served(CONFIG)
    get(store, "pair")


def test_half_a_download_is_named_and_gone_on_with(store: WeightsStore, server: FileServer) -> None:
    server.files["/model"].faults = ["truncate", "500"]
    assert code_of(get, store, "pair") == ErrorCode.DOWNLOAD_FAILED
    assert (server.fired["truncate"], server.fired["500"]) == (1, 1)
    assert code_of(store.path, "pair") == ErrorCode.WEIGHTS_INCOMPLETE
    partial = store.partial("pair")
    assert partial is not None
    assert (partial.done, partial.total) == (len(CONFIG) + len(MODEL) // 2, len(CONFIG) + len(MODEL))
    assert store.installed() == []
    get(store, "pair")
    assert len(server.requests("/config")) == 1
    assert server.ranged("/model") == [f"bytes={len(MODEL) // 2}-"] * 2
    assert store.verify("pair") == []


def test_what_is_not_there_is_named(store: WeightsStore) -> None:
    assert code_of(store.path, "pair") == ErrorCode.WEIGHTS_MISSING
    assert code_of(store.path, "pairs") == ErrorCode.WEIGHTS_UNKNOWN
    assert code_of(store.path, "../pair") == ErrorCode.WEIGHTS_UNKNOWN
    assert code_of(store.remove, "..") == ErrorCode.WEIGHTS_UNKNOWN
    assert code_of(store.verify, "pair") == ErrorCode.WEIGHTS_MISSING
    assert code_of(get, store, "by-hand") == ErrorCode.WEIGHTS_MISSING
    assert store.installed() == []
    assert store.default("vae") is None


def test_damage_is_found_and_repaired(store: WeightsStore) -> None:
    path, _, _ = get(store, "pair")
    with (path / "model.onnx").open("r+b") as file:
        file.write(bytes(100))
    assert store.path("pair")
    assert [(damage.path.name, damage.fault) for damage in store.verify("pair")] == [("model.onnx", Fault.CHANGED)]
    (path / "model.onnx").unlink()
    assert [damage.fault for damage in store.verify("pair")] == [Fault.MISSING]
    assert code_of(store.path, "pair") == ErrorCode.WEIGHTS_INCOMPLETE
    assert store.installed() == []
    get(store, "pair")
    assert store.verify("pair") == []


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 1, "files": [3]}', "[" * 100_000, '{"format": 1, "files": 0}']
)
def test_a_damaged_record_is_as_good_as_none(store: WeightsStore, text: str) -> None:
    path, _, _ = get(store, "pair")
    (path / FILE_NAME).write_text(text)
    assert store.installed() == []
    assert code_of(store.path, "pair") == ErrorCode.WEIGHTS_MISSING
    get(store, "pair")
    assert store.verify("pair") == []


def test_a_record_cannot_lead_out_of_its_folder(store: WeightsStore, folder: Path) -> None:
    path, _, _ = get(store, "pair")
    record = json.loads((path / FILE_NAME).read_text())
    (folder.parent / "elsewhere").write_bytes(CONFIG)
    record["files"][0]["path"] = "../../elsewhere"
    (path / FILE_NAME).write_text(json.dumps(record))
    assert store.installed() == []


def test_nothing_noncommercial_is_fetched_unasked(store: WeightsStore, server: FileServer, folder: Path) -> None:
    with pytest.raises(UVMapError) as caught:
        get(store, "faces")
    assert caught.value.failure.code == ErrorCode.LICENCE_NOT_ACCEPTED
    assert "https://example.com/research" in caught.value.failure.hint
    assert "--accept-licence research" in caught.value.failure.hint
    assert server.seen == []
    licence = store.catalogue.get("faces").licence
    licences.accept(folder, licence)
    (folder / licences.FILE_NAME).write_text((folder / licences.FILE_NAME).read_text().replace("/research", "/older"))
    assert code_of(get, store, "faces") == ErrorCode.LICENCE_NOT_ACCEPTED
    licences.accept(folder, licence)
    assert get(store, "faces")[0].is_dir()


def test_of_an_archive_only_the_expected_files_are_taken(store: WeightsStore, server: FileServer, folder: Path) -> None:
    files = {f"buffalo/{name}": data for name, data in ONNX.items()} | {"buffalo/other.pkl": b"x", "../evil": b"y"}
    server.files["/faces.zip"] = Served(zipped(files))
    licences.accept(folder, store.catalogue.get("faces").licence)
    path, _, _ = get(store, "faces")
    assert {file.name: file.read_bytes() for file in path.iterdir() if file.name != FILE_NAME} == ONNX
    assert not list(folder.parent.rglob("evil"))


def test_an_archive_without_its_files_is_corrupt(store: WeightsStore, server: FileServer, folder: Path) -> None:
    server.files["/faces.zip"] = Served(zipped({"det.onnx": b"a"}))
    licences.accept(folder, store.catalogue.get("faces").licence)
    assert code_of(get, store, "faces") == ErrorCode.DOWNLOAD_CORRUPT
    assert store.installed() == []


def linked_zip() -> bytes:
    member = zipfile.ZipInfo("link")
    member.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, "/etc/passwd")
    return buffer.getvalue()


def lying_zip() -> bytes:
    """The directory promises less than the compressed data becomes."""
    data = bytearray(zipped({"a": bytes(5000)}))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 no zip",
        zipped({"a": os.urandom(5000)})[:-30],
        zipped({"../a": b"x"}),
        zipped({"/a": b"x"}),
        zipped({"b/../../a": b"x"}),
        zipped({"C:\\a": b"x"}),
        zipped({"a": bytes(20 << 20)}),
        zipped({"a": b"x" * 5000}, zipfile.ZIP_LZMA),
        linked_zip(),
        lying_zip(),
    ],
    ids="garbage cut slip absolute nested drive bomb method link lie".split(),
)
def test_a_harmful_archive_is_refused(data: bytes, tmp_path: Path) -> None:
    archive, inside = tmp_path / "a.zip", tmp_path / "deep" / "inside"
    archive.write_bytes(data)
    inside.mkdir(parents=True)
    assert code_of(unpack, archive, inside) == ErrorCode.WEIGHTS_INVALID
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "deep"}
    assert sum(path.stat().st_size for path in inside.rglob("*") if path.is_file()) <= 5000


def test_two_at_once_download_once(store: WeightsStore, server: FileServer) -> None:
    server.files["/model"].faults = ["hold"]
    notices: list[str] = []
    patience = Patience(timeout_s=10, pause_s=0.01)
    threads = [
        threading.Thread(target=fetch, args=(store, "pair", lambda _: None, notices.append, patience)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: any("waiting" in notice for notice in notices) and server.fired["hold"] == 1)
    server.released.set()
    for thread in threads:
        thread.join(20)
    assert len(server.requests("/config")) == 1
    assert store.verify("pair") == []


def test_a_store_that_cannot_be_written_says_so(store: WeightsStore, folder: Path) -> None:
    folder.write_text("a file")
    assert code_of(get, store, "pair") == ErrorCode.OUTPUT_NOT_WRITABLE
    assert code_of(licences.accept, folder, store.catalogue.get("faces").licence) == ErrorCode.OUTPUT_NOT_WRITABLE
    assert store.installed() == []


def test_removing_removes_all(store: WeightsStore, server: FileServer, folder: Path) -> None:
    get(store, "pair")
    store.remove("pair")
    assert code_of(store.path, "pair") == ErrorCode.WEIGHTS_MISSING
    server.files["/model"].faults = ["truncate", "500"]
    assert code_of(get, store, "pair") == ErrorCode.DOWNLOAD_FAILED
    store.remove("pair")
    assert store.partial("pair") is None
    assert not list(folder.rglob("*.onnx*"))


def install(store: WeightsStore, weights_id: str, purpose: Purpose, kind: str) -> None:
    folder = store.folder / weights_id
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(b"a")
    write_record(folder, Record(weights_id, purpose.value, kind, files=describe(folder, ["a"], "2025-01-01")))


def test_the_default_texture_knows_faces_if_any_does(store: WeightsStore) -> None:
    assert store.default("texture") is None
    install(store, "dreamer", Purpose.TEXTURE, "texdreamer")
    install(store, "adapter", Purpose.ADAPTER, "ip-adapter-faceid")
    assert store.default("texture") is None
    install(store, "base-2", Purpose.BASE, "sd2-folder")
    assert store.default("texture") == "dreamer"
    install(store, "base", Purpose.BASE, "sd15-folder")
    assert store.default("texture") == "adapter"
    install(store, "text-only", Purpose.TEXTURE, "sd15-file")
    assert store.default("texture") == "adapter", "what knows textures is a base as well"
    install(store, "release", Purpose.TEXTURE, "uvmap-id-a")
    assert store.default("texture") == "release"
    install(store, "z-fused", Purpose.TEXTURE, "uvmap-id-fused")
    assert store.default("texture") == "z-fused"
    assert store.default("base") == "base"


def test_files_of_the_catalogue_can_be_brought_by_hand(store: WeightsStore, tmp_path: Path) -> None:
    (tmp_path / "mine" / "sub").mkdir(parents=True)
    (tmp_path / "mine" / "model.onnx").write_bytes(MODEL)
    assert code_of(import_weights, store, Import(tmp_path / "mine", "pair")) == ErrorCode.WEIGHTS_INCOMPLETE
    (tmp_path / "mine" / "sub" / "config.json").write_bytes(CONFIG)
    (tmp_path / "mine" / "unrelated").write_bytes(b"no part of it")
    imported = import_weights(store, Import(tmp_path / "mine", "pair"))
    assert not (imported.folder / "unrelated").exists()
    assert store.verify("pair") == []
    assert code_of(import_weights, store, Import(tmp_path / "mine", "pair")) == ErrorCode.WEIGHTS_INVALID


def test_another_file_under_the_right_name_is_refused(store: WeightsStore, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "mine" / "sub").mkdir(parents=True)
    (tmp_path / "mine" / "sub" / "config.json").write_bytes(CONFIG)
    (tmp_path / "mine" / "model.onnx").write_bytes(MODEL[:-1])
    assert code_of(import_weights, store, Import(tmp_path / "mine", "pair")) == ErrorCode.WEIGHTS_INVALID
    assert [path for path in folder.rglob("*") if path.name != ".partial"] == []


def test_an_archive_can_be_brought_by_hand(store: WeightsStore, tmp_path: Path) -> None:
    archive = tmp_path / "faces.zip"
    archive.write_bytes(zipped({f"top/{name}": data for name, data in ONNX.items()}))
    assert code_of(import_weights, store, Import(archive, "faces", link=True)) == ErrorCode.WEIGHTS_INVALID
    assert {path.name for path in import_weights(store, Import(archive, "faces")).folder.iterdir()} == {
        *ONNX,
        FILE_NAME,
    }
    assert store.default("identity") == "faces"


def test_linked_files_stay_where_they_are(store: WeightsStore, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name, data in ONNX.items():
        (mine / name).write_bytes(data)
    assert import_weights(store, Import(mine, "faces", link=True)).folder == mine.resolve()
    assert store.path("faces") == mine.resolve()
    (mine / "det.onnx").write_bytes(b"changed")
    assert [damage.path.name for damage in store.verify("faces")] == ["det.onnx"]
    store.remove("faces")
    assert (mine / "rec.onnx").exists()
    assert code_of(store.path, "faces") == ErrorCode.WEIGHTS_MISSING


@pytest.mark.parametrize("name", ["../up", "Ups", "", "a/b", "x" * 99])
def test_a_name_that_is_none_is_refused(store: WeightsStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.onnx").write_bytes(b"a")
    assert code_of(import_weights, store, Import(tmp_path / "a.onnx", name)) == ErrorCode.WEIGHTS_UNKNOWN
    assert not list(tmp_path.glob("up*"))


def test_nothing_can_be_imported_from_nowhere(store: WeightsStore, tmp_path: Path) -> None:
    assert code_of(import_weights, store, Import(tmp_path / "none")) == ErrorCode.WEIGHTS_MISSING


def test_every_layout_is_recognised_and_named(tiny: dict[str, TinyWeights], folder: Path) -> None:
    store = WeightsStore(folder, load_catalogue())
    release = import_weights(store, Import(tiny["uvmap-id-a"].path))
    assert (release.id, release.purpose, release.kind) == ("uvmap-id", "texture", "uvmap-id-a")
    text_only = import_weights(store, Import(tiny["smplitex"].path, "smplitex"))
    assert (text_only.id, text_only.purpose) == ("smplitex", "texture")
    base = import_weights(store, Import(tiny["sd15"].path))
    assert (base.id, base.purpose) == ("sd15", "base")
    mine = import_weights(store, Import(tiny["sd15"].path, "mine", Purpose.TEXTURE))
    assert (mine.id, mine.purpose) == ("mine", "texture")
    fused = import_weights(store, Import(tiny["fused"].path, "my-fused"))
    assert store.default("texture") == fused.id == "my-fused"
    assert [store.verify(each.id) for each in store.installed()] == [[]] * 5


def test_other_weights_than_named_are_refused(tiny: dict[str, TinyWeights], folder: Path) -> None:
    store = WeightsStore(folder, load_catalogue())
    assert code_of(import_weights, store, Import(tiny["sd15"].path, "uvmap-id")) == ErrorCode.WEIGHTS_INVALID
    assert store.installed() == []


def test_what_is_imported_can_be_loaded(tiny: dict[str, TinyWeights], folder: Path, tmp_path: Path) -> None:
    from uvmap_id.weights.load import load_components

    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((tiny["fused"].path).rglob("*")):
            file.write(path, f"top/{path.relative_to(tiny['fused'].path)}")
    store = WeightsStore(folder, load_catalogue())
    imported = import_weights(store, Import(archive, "packed"))
    assert load_components(store.path(imported.id)).identity_projection is not None
