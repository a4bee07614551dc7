"""A real Blender, the built zip installed in a clean profile, and a real backend.

Environment:
    UVMAP_ID_ADDON_ZIP: the zip to install; built here when unset.
    UVMAP_ID_BACKEND: the program `uvmap-id` in the backend's environment.
    UVMAP_ID_SHARED: the folder with SMPL bodies; default: `shared` beside the checkout.
    UVMAP_ID_REQUIRE_SHARED: "1" makes missing bodies and a missing backend failures instead of skips.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from fakes import fake_program

# Blender reads this once, when bpy is imported.
_PROFILE = tempfile.mkdtemp(prefix="uvmap_id-profile-")
os.environ["BLENDER_USER_RESOURCES"] = _PROFILE

import bpy  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "bl_ext.user_default.uvmap_id"
STOP_S = 10.0
_COLLECTIONS = (
    *("scenes", "objects", "meshes", "materials", "images", "cameras", "lights", "worlds", "collections"),
    *("armatures", "actions", "shape_keys", "cache_files"),
)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_EXIT] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    # The bpy wheels of Blender 4 hang or crash on the way out of the interpreter.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(config.stash.get(_EXIT, 1))


_EXIT = pytest.StashKey[int]()


def missing(reason: str) -> None:
    """Skip, or fail where everything is required."""
    if os.environ.get("UVMAP_ID_REQUIRE_SHARED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def addon_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("UVMAP_ID_ADDON_ZIP")
    if given:
        return Path(given).resolve()
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, str(ROOT / "build_addon.py"), "--platform", "current", "--out", str(out)]
    subprocess.run(command, check=True)
    return next(out.glob("*.zip"))


@pytest.fixture(scope="session", autouse=True)
def installed(addon_zip: Path) -> None:
    bpy.ops.extensions.package_install_files(filepath=str(addon_zip), repo="user_default", enable_on_install=True)
    assert PACKAGE in bpy.context.preferences.addons


@pytest.fixture(scope="session")
def module() -> Callable[[str], ModuleType]:
    """Gives the installed extension's modules by their names."""
    return lambda name: importlib.import_module(f"{PACKAGE}.{name}" if name else PACKAGE)


@pytest.fixture(autouse=True)
def clean_scene(installed: None) -> None:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    current = importlib.import_module(f"{PACKAGE}.current")
    if current.is_open():
        # Jobs outlive files; tests don't share them.
        current.session().close()
        current.faces().close()
        current.current().cast = None
        importlib.import_module(f"{PACKAGE}.runtime").refresh()


@pytest.fixture
def scene() -> bpy.types.Scene:
    return bpy.context.scene


@pytest.fixture(scope="session", autouse=True)
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The backend's folder for this run, so that no other backend is found or disturbed."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["UVMAP_ID_STATE_DIR"] = str(folder)
    yield folder
    stop_backend()


def stop_backend() -> None:
    """End the backend that runs in the present state folder, if any."""
    client, connection = (importlib.import_module(f"{PACKAGE}.link.{name}") for name in ("client", "connection"))
    errors = importlib.import_module(f"{PACKAGE}.link.errors")
    try:
        found = connection.read_connection(connection.state_dir())
    except errors.UVMapError:
        return
    with client.Client.connect(found, "blender_tests") as connected:
        try:
            connected.wait_until_welcome()
        except errors.UVMapError:
            return
        connected.shutdown()
        connected.poll()
    deadline = time.monotonic() + STOP_S
    while found.alive:
        assert time.monotonic() < deadline, "The backend does not end."
        time.sleep(0.02)


@pytest.fixture
def no_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder in which no backend runs."""
    monkeypatch.setenv("UVMAP_ID_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def backend() -> Path:
    program = Path(os.environ.get("UVMAP_ID_BACKEND", ""))
    if not program.is_file():
        missing("UVMAP_ID_BACKEND does not name the program uvmap-id of a backend's environment.")
    return program


@pytest.fixture(scope="session")
def smpl() -> Path:
    folder = Path(os.environ.get("UVMAP_ID_SHARED", ROOT.parent / "shared")) / "data" / "smpl"
    if not folder.is_dir():
        missing(f"The SMPL bodies are not in {folder}.")
    return folder


@pytest.fixture
def portrait(backend: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example portrait, a public domain photo that comes with the backend's scikit-image."""
    path = tmp_path_factory.getbasetemp() / "portrait.png"
    if not path.exists():
        python = next(backend.parent.glob("python*"))
        code = "import sys, skimage.data, skimage.io as io; io.imsave(sys.argv[1], skimage.data.astronaut())"
        subprocess.run([str(python), "-c", code, str(path)], check=True)
    return path


@pytest.fixture
def textures(tmp_path: Path) -> Path:
    """A texture set: red, flat, half rough."""
    return make_textures(tmp_path / "textures", (200, 30, 30))


@pytest.fixture
def fake(
    tmp_path: Path, textures: Path, module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The fake backend in the real one's place, in a state folder of its own."""
    if os.name == "nt":
        pytest.skip("The stand-in program is a shell script.")
    state = tmp_path / "fake-state"
    monkeypatch.setenv("UVMAP_ID_STATE_DIR", str(state))
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(fake_program(tmp_path)))
    monkeypatch.setenv("FAKE_SET", str(textures))
    yield state
    session = module("current").session()
    for job in session.jobs:
        session.cancel(job)
    session.close()
    stop_backend()


Color = tuple[int, int, int]


def make_textures(folder: Path, color: Color, convention: str = "opengl", **more: Color) -> Path:
    """A texture set as the backend writes it; `more` are further maps, or others in the place of the usual ones."""
    folder.mkdir(parents=True)
    maps = {"base_color": color, "normal": (128, 128, 255), "roughness": (128, 128, 128), **more}
    for name, filled in maps.items():
        write_png(folder / f"{name}.png", filled)
    manifest = {"maps": {name: {"file": f"{name}.png"} for name in maps}}
    manifest["maps"]["normal"]["convention"] = convention
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def write_png(path: Path, color: tuple[int, int, int], size: int = 8) -> None:
    rows = (b"\0" + bytes(color) * size) * size
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    packed = (struct.pack(">I", len(data)) + kind + data + _crc(kind + data) for kind, data in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def names_in_file() -> dict[str, list[str]]:
    """What the open file holds, to compare before and after."""
    found = {name: sorted(item.name for item in getattr(bpy.data, name)) for name in _COLLECTIONS}
    # Blender's own buffer for pictures comes with the first render and stays.
    found["images"] = [name for name in found["images"] if name != "Render Result"]
    return found
