"""The set-up, the weights and the diagnosis inside Blender: real processes, a package index on this computer."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import bpy
import pytest
from conftest import PACKAGE, ROOT
from package_index import PackageIndex, make_backend, serving, stock, variables

Module = Callable[[str], ModuleType]


@pytest.fixture
def online() -> Iterator[None]:
    system = bpy.context.preferences.system
    before, system.use_online_access = system.use_online_access, True
    yield
    system.use_online_access = before


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Module) -> Iterator[PackageIndex]:
    """The installed extension sets up small packages from an index on this computer, into the test's folder."""
    with serving() as index:
        stock(index, tmp_path / "requirements")
        for name, value in variables(index).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("UVMAP_ID_SETUP_DIR", str(tmp_path / "root"))
        monkeypatch.delenv("UVMAP_ID_BACKEND", raising=False)
        wheel = make_backend(tmp_path / "wheels")
        terminal = module("setup.installer.terminal")
        monkeypatch.setattr(terminal, "requirements_folder", lambda: tmp_path / "requirements")
        monkeypatch.setattr(terminal, "bundled_wheel", lambda: wheel)
        yield index


def test_offline_nothing_is_started(module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVMAP_ID_SETUP_DIR", str(tmp_path / "root"))
    assert not bpy.app.online_access
    for operator in (bpy.ops.uvmap_id.setup_install, bpy.ops.uvmap_id.setup_repair):
        with pytest.raises(RuntimeError, match=r"online_access_off: .* Allow Online Access"):
            operator()
    assert not module("upkeep").upkeep().setup.busy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("online")
def test_the_life_of_a_set_up(module: Module, index: PackageIndex, tmp_path: Path) -> None:
    backend_command = module("preferences").backend_command
    assert backend_command() == ["uvmap-id"]
    with pytest.raises(RuntimeError, match="backend_not_found"):
        bpy.ops.uvmap_id.setup_verify()
    assert bpy.ops.uvmap_id.setup_install() == {"FINISHED"}
    assert backend_command()[0].startswith(str(tmp_path / "root"))
    done = subprocess.run([*backend_command(), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "uvmap-id 9.9.9\n"
    assert bpy.ops.uvmap_id.setup_verify() == {"FINISHED"}
    (lost,) = (tmp_path / "root").glob("e*/lib/**/site-packages/small_two.py")
    lost.unlink()
    with pytest.raises(RuntimeError, match=r"setup_incomplete: .*small-two.*Repair"):
        bpy.ops.uvmap_id.setup_verify()
    assert bpy.ops.uvmap_id.setup_repair() == {"FINISHED"}
    assert lost.exists()
    assert bpy.ops.uvmap_id.setup_remove() == {"FINISHED"}
    assert not (tmp_path / "root").exists()
    assert backend_command() == ["uvmap-id"]


@pytest.mark.usefixtures("online")
def test_ticks_are_short_and_unregistering_ends_it(module: Module, index: PackageIndex) -> None:
    index.hold = {"opencv_large-1.0-py3-none-any.whl"}
    setup = module("upkeep").upkeep().setup
    setup.start(module("preferences").setup_job("install"))
    spent = []
    deadline = time.monotonic() + 120
    while not index.half_sent.is_set():
        assert time.monotonic() < deadline, setup.failure
        started = time.perf_counter()
        setup.tick()
        spent.append(time.perf_counter() - started)
        time.sleep(0.01)
    assert sorted(spent)[int(len(spent) * 0.99) - 1] < 0.008
    assert setup.busy
    process = setup._process
    module("").unregister()
    try:
        assert process.poll() is not None
        assert not setup.busy
    finally:
        module("").register()
    assert not module("upkeep").upkeep().setup.busy


def test_the_command(module: Module, index: PackageIndex, capfd: pytest.CaptureFixture[str]) -> None:
    main = module("cli").main
    assert main(["setup", "status"]) == 0
    assert "installed: nothing" in capfd.readouterr().out
    assert main(["setup", "--variant", "basic"]) == 1
    assert "error: online_access_off: " in capfd.readouterr().err
    bpy.context.preferences.system.use_online_access = True
    try:
        assert main(["setup", "--variant", "basic"]) == 0
    finally:
        bpy.context.preferences.system.use_online_access = False
    said = capfd.readouterr()
    assert said.out == "The backend 9.9.9 works.\n"
    assert "checking: " in said.err
    assert main(["setup", "remove"]) == 0
    assert main(["setup", "polish"]) == 2


def test_weights_of_the_backend(module: Module, backend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(backend))
    monkeypatch.setenv("UVMAP_ID_WEIGHTS_DIR", str(tmp_path / "weights"))
    shelf = module("upkeep").upkeep().shelf
    assert bpy.ops.uvmap_id.weights_refresh() == {"FINISHED"}
    row = shelf.row("buffalo-l")
    assert (row.state, row.commercial, row.accepted) == ("not installed", False, False)
    assert "non-commercial" in row.terms
    assert row.licence_url.startswith("https://")
    assert shelf.folder == str(tmp_path / "weights")
    with pytest.raises(RuntimeError, match="online_access_off"):
        bpy.ops.uvmap_id.weights_get(weights="yunet")
    with pytest.raises(RuntimeError, match="There are no weights yet"):
        bpy.ops.uvmap_id.weights_folder()


@pytest.mark.usefixtures("online")
def test_weights_are_not_fetched_without_consent(
    module: Module, backend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(backend))
    monkeypatch.setenv("UVMAP_ID_WEIGHTS_DIR", str(tmp_path / "weights"))
    with pytest.raises(RuntimeError, match="licence_not_accepted"):
        bpy.ops.uvmap_id.weights_get(weights="buffalo-l")
    with pytest.raises(RuntimeError, match=r"weights_missing: .*Google Drive"):
        bpy.ops.uvmap_id.weights_get(weights="uvmap-id")
    with pytest.raises(RuntimeError, match="weights_unknown"):
        bpy.ops.uvmap_id.weights_get(weights="none")
    assert not (tmp_path / "weights").exists()


def test_the_diagnosis_says_nothing_of_the_person(
    module: Module, backend: Path, scene: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(backend))
    scene.uvmap_id.prompt = "wearing a lilac ballgown"
    scene.uvmap_id.face_image = "/holiday/aunt_margaret.png"
    state = module("link.connection").state_dir()
    state.mkdir(exist_ok=True)
    line = (
        f"ERROR the prompt wearing a lilac ballgown of {Path.home()}/holiday/aunt_margaret.png by {getpass.getuser()}"
    )
    (state / "server.log").write_text(f"2026-01-01 INFO fine\n{line}\n", encoding="utf-8")
    assert bpy.ops.uvmap_id.diagnose() == {"FINISHED"}
    report = module("upkeep").upkeep().report
    assert f"Blender: {bpy.app.version_string}" in report
    assert "- numpy: ok" in report
    assert "- server.log: ERROR the prompt <hidden>" in report
    for secret in ("lilac", "ballgown", "margaret", "holiday", str(Path.home()), str(state)):
        assert secret not in report
    assert f" {getpass.getuser()}\n" not in report


def test_the_diagnosis_without_a_backend(module: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVMAP_ID_BACKEND", "/none/uvmap-id")
    assert bpy.ops.uvmap_id.diagnose() == {"FINISHED"}
    report = module("upkeep").upkeep().report
    assert "own check did not run" in report
    assert "backend_not_found" in report
    assert "/none" not in report


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize(
    ("host", "port", "key", "code"),
    [
        ("", 7461, "a" * 40, "setting_out_of_range"),
        ("127.0.0.1", 7461, "short", "setting_out_of_range"),
        ("127.0.0.1", 9, "a" * 40, "backend_lost"),
    ],
)
def test_a_backend_elsewhere_that_does_not_answer(
    module: Module, monkeypatch: pytest.MonkeyPatch, host: str, port: int, key: str, code: str
) -> None:
    monkeypatch.setattr(module("setup.remote"), "LOST_S", 0.5)
    chosen = bpy.context.preferences.addons[PACKAGE].preferences
    chosen.remote_host, chosen.remote_port, chosen.remote_key = host, port, key
    try:
        with pytest.raises(RuntimeError, match=code):
            bpy.ops.uvmap_id.remote_test()
    finally:
        chosen.remote_host, chosen.remote_port, chosen.remote_key = "", 7461, ""


@pytest.mark.usefixtures("online")
def test_a_backend_that_answers(module: Module, backend: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = module("link.launcher")
    connection = launcher.ensure_server([str(backend)])
    chosen = bpy.context.preferences.addons[PACKAGE].preferences
    keys, state = module("link.keys"), module("link.connection").state_dir()
    assert bpy.ops.uvmap_id.copy_key() == {"FINISHED"}
    mine, name = module("setup.remote").own_public_key().split(" ", 1)
    assert mine == keys.own_keys(state, keys.CLIENT_KEY).public
    keys.AuthorizedKeys(state).add(mine, name)
    # So long the backend may take to see it.
    time.sleep(1.1)
    chosen.remote_host, chosen.remote_key = "127.0.0.1", connection.server_key
    chosen.remote_port = int(connection.endpoint.rpartition(":")[2])
    try:
        assert bpy.ops.uvmap_id.remote_test() == {"FINISHED"}
        assert module("upkeep").upkeep().remote_said == f"Backend {connection.version} answers."
    finally:
        chosen.remote_host, chosen.remote_port, chosen.remote_key = "", 7461, ""


def test_fifty_times_on_and_off_leaves_nothing(module: Module) -> None:
    extension = module("")
    timers = module("upkeep")._on_timer
    for _ in range(50):
        extension.unregister()
        assert module("upkeep")._upkeep is None
        assert not hasattr(bpy.types, "UVMAP_ID_OT_setup_install")
        extension.register()
    assert not bpy.app.timers.is_registered(timers)
    assert bpy.ops.uvmap_id.setup_cancel.poll() is False


def test_the_official_edition_installs_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "build_addon.py"), "--platform", "current", "--official"]
    subprocess.run([*command, "--out", str(tmp_path)], check=True, capture_output=True)
    (path,) = tmp_path.glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        manifest = archive.read("blender_manifest.toml").decode()
    assert not any("installer" in name or "uvmap_id-" in name or "requirements" in name for name in names)
    assert "fetch it" not in manifest
    assert path.stat().st_size < 3_000_000
    program = f"""
import os, sys
os.environ["BLENDER_USER_RESOURCES"] = {str(tmp_path / "profile")!r}
import bpy
bpy.ops.extensions.package_install_files(filepath={str(path)!r}, repo="user_default", enable_on_install=True)
assert {PACKAGE!r} in bpy.context.preferences.addons
try:
    bpy.ops.uvmap_id.setup_install()
except RuntimeError as error:
    print(error)
sys.stdout.flush()
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ))
    assert "setup_unsupported: This edition of the extension does not install the backend." in done.stdout
    assert "pip install uvmap-id" in done.stdout
