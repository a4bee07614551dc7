"""The add-on's table of weights on the real command, against a hub on this computer."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from addon_modules import make_importable
from file_server import FileServer, Served

make_importable()

from addon.setup.weights import TRANSITIONS, Shelf, ShelfState  # noqa: E402

from uvmap_id.link.errors import UVMapError  # noqa: E402
from uvmap_id.weights.catalogue import load_catalogue  # noqa: E402

ID = "realesrgan-x4plus"
LICENSED = "ip-adapter-faceid-sd15"
CONTENT = os.urandom(8 << 20)


def path_on_hub(weights_id: str) -> str:
    (file,) = load_catalogue().get(weights_id).files
    return f"/{file.repository}/resolve/{file.revision}/{file.path}"


@pytest.fixture
def hub(server: FileServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    # The add-on's own Python paths are not passed on; the command finds the backend beside it.
    served = Served(CONTENT, linked=True)
    server.files[path_on_hub(ID)] = served
    return served


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parents[2] / 'backend')!r}); "
    program += "from uvmap_id.cli import main; main()"
    shelf = Shelf(lambda: [sys.executable, "-c", program])
    shelf.refresh()
    finish(shelf)
    yield shelf
    shelf.close()


def finish(shelf: Shelf, until: Callable[[], bool] | None = None) -> None:
    deadline = time.monotonic() + 60
    while shelf.busy and not (until is not None and until()):
        assert time.monotonic() < deadline, shelf.state
        shelf.tick()
        time.sleep(0.02)


@pytest.mark.usefixtures("hub")
def test_the_life_of_weights(shelf: Shelf, folder: Path) -> None:
    row = shelf.row(ID)
    assert row is not None
    assert (row.state, row.purpose, row.licence, row.accepted) == ("not installed", "upscaler", "bsd-3-clause", True)
    shelf.get(ID)
    assert shelf.state is ShelfState.GETTING
    finish(shelf)
    assert (shelf.failure, shelf.sentence) == (None, f"{ID} is installed.")
    assert [row.state for row in shelf.rows if row.id == ID] == ["installed"]
    assert (folder / ID / "Real-ESRGAN-x4plus.onnx").read_bytes() == CONTENT
    (folder / ID / "Real-ESRGAN-x4plus.onnx").write_bytes(b"damaged")
    shelf.verify(ID)
    finish(shelf)
    assert shelf.failure is not None
    assert shelf.failure.code == "weights_incomplete"
    assert shelf.failure.hint
    assert [row.state for row in shelf.rows if row.id == ID] == ["damaged"]
    shelf.remove(ID)
    finish(shelf)
    assert shelf.sentence == f"{ID} is removed."
    assert [row.state for row in shelf.rows if row.id == ID] == ["not installed"]


def test_a_download_shows_how_far_it_is_and_goes_on_after_a_cancel(
    shelf: Shelf, server: FileServer, hub: Served, folder: Path
) -> None:
    hub.faults = ["hold"]
    part = folder / ".partial" / ID / "Real-ESRGAN-x4plus.onnx.part"
    shelf.get(ID)
    finish(shelf, lambda: part.exists() and part.stat().st_size > len(CONTENT) // 4 and shelf.fraction > 0)
    assert 0 < shelf.fraction < 1
    with pytest.raises(UVMapError, match="setup_busy"):
        shelf.refresh()
    shelf.cancel()
    finish(shelf)
    server.released.set()
    assert shelf.failure is not None
    assert shelf.failure.code == "cancelled"
    assert [row.state.split()[0] for row in shelf.rows if row.id == ID] == ["partial"]
    shelf.get(ID)
    finish(shelf)
    assert server.ranged(path_on_hub(ID))
    assert (
        hashlib.sha256((folder / ID / "Real-ESRGAN-x4plus.onnx").read_bytes()).digest()
        == hashlib.sha256(CONTENT).digest()
    )


@pytest.mark.usefixtures("hub")
def test_terms_are_accepted_first(shelf: Shelf, server: FileServer) -> None:
    row = shelf.row(LICENSED)
    assert row is not None
    assert not row.accepted
    assert "research only" in row.terms
    with pytest.raises(UVMapError, match="licence_not_accepted"):
        shelf.get(LICENSED)
    assert not shelf.busy
    shelf.get(LICENSED, accepted=True)
    finish(shelf)
    # The hub of the test doesn't have it; the consent was noted all the same.
    assert shelf.failure is not None
    assert shelf.failure.code.startswith("download_")
    row = shelf.row(LICENSED)
    assert row is not None
    assert row.accepted


def test_every_licence_says_what_it_comes_to(shelf: Shelf, folder: Path) -> None:
    assert all(row.terms and row.licence_url for row in shelf.rows)
    assert not folder.exists()


@pytest.mark.parametrize(("weights_id", "code"), [("uvmap-id", "weights_missing"), ("none", "weights_unknown")])
def test_what_cannot_be_fetched_is_said_at_once(shelf: Shelf, weights_id: str, code: str) -> None:
    with pytest.raises(UVMapError, match=code):
        shelf.get(weights_id)


@pytest.mark.parametrize("command", [["/none/uvmap-id"], [sys.executable, "-c", "print('rubbish')"]])
def test_a_backend_that_is_missing_or_another(command: list[str]) -> None:
    shelf = Shelf(lambda: command)
    shelf.refresh()
    finish(shelf)
    assert shelf.failure is not None
    assert shelf.failure.code in ("backend_not_found", "backend_incompatible")
    assert shelf.failure.hint


def test_every_state_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(ShelfState)
