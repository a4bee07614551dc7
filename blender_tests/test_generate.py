"""The whole way with a real backend: from the settings to the material, and every way in which it may end."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false, reportIndexIssue=false, reportGeneralTypeIssues=false, reportReturnType=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
from conftest import PACKAGE, names_in_file, stop_backend, write_png

PROMPT = "wearing white shirt, blue jeans"
TIMEOUT_S = 120.0

Module = Callable[[str], ModuleType]


@pytest.fixture
def character(
    scene: bpy.types.Scene, portrait: Path, backend: Path, monkeypatch: pytest.MonkeyPatch
) -> bpy.types.Scene:
    """A scene that is ready for Generate Texture."""
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(backend))
    bpy.ops.uvmap_id.add_mannequin()
    scene.uvmap_id.face_image = str(portrait)
    scene.uvmap_id.prompt = PROMPT
    scene.uvmap_id.size = "512"
    return scene


@pytest.fixture
def ready(scene: bpy.types.Scene, tmp_path: Path, no_backend: None) -> bpy.types.Scene:
    """A scene that would be ready, if there were a backend."""
    bpy.ops.uvmap_id.add_mannequin()
    write_png(tmp_path / "face.png", (200, 150, 120))
    scene.uvmap_id.face_image = str(tmp_path / "face.png")
    scene.uvmap_id.prompt = PROMPT
    return scene


def test_generate_in_a_script(character: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "character.blend"))
    settings = bpy.context.scene.uvmap_id
    assert bpy.ops.uvmap_id.generate() == {"FINISHED"}
    assert (settings.state, settings.progress, settings.error) == ("done", 1.0, "")
    folder = Path(settings.result)
    assert folder.parent == tmp_path / "textures" / "uvmap_id"
    names = ["base_color.png", "manifest.json", "normal.png", "roughness.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    image = _base_color(settings.body)
    assert Path(bpy.path.abspath(image.filepath)) == folder / "base_color.png"
    assert tuple(image.size) == (512, 512)


def test_same_settings_give_the_same_bytes(character: bpy.types.Scene) -> None:
    first, second = (_generated_color(character) for _ in range(2))
    assert first == second


def test_what_the_user_sets_reaches_the_request(ready: bpy.types.Scene, tmp_path: Path, module: Module) -> None:
    settings = ready.uvmap_id
    (tmp_path / "more.npy").write_bytes(b"\x93NUMPY an embedding")
    for path in (tmp_path / "more.npy", "  "):
        bpy.ops.uvmap_id.add_face()
        settings.more_faces[-1].path = str(path)
    settings.engine, settings.seed, settings.relight = "uvmap-id", 12, 0.1
    settings.extra_maps, settings.normal_convention = {"subsurface", "orm"}, "directx"
    wanted = {
        "weights": "mine", "preset": "draft", "steps": 20, "scheduler": "euler", "guidance": 5.1, "guidance_start": 0.1,
        "guidance_stop": 0.9, "identity_strength": 1.3, "negative_prompt": "", "template": "{prompt}", "anchor": 0.3,
        "upscaler": "mine-too",
    }  # fmt: skip
    for name, value in wanted.items():
        setattr(settings.diffusion, name, value)
    job = module("operators.generate").submit(ready)
    module("current").session().cancel(job)
    request, link = job.request, module("link.request")
    assert request.diffusion == link.DiffusionSettings(**wanted)
    assert (request.engine, request.seed, request.relight) == ("uvmap-id", 12, 0.1)
    assert (request.extra_maps, request.normal_convention) == (("orm", "subsurface"), "directx")
    photo_hash = module("link.photo").photo_hash
    assert request.more_faces == (photo_hash((tmp_path / "more.npy").read_bytes()),)


def test_extra_maps_come_along_and_skin_scatters(character: bpy.types.Scene) -> None:
    settings = character.uvmap_id
    settings.extra_maps, settings.normal_convention = {"subsurface", "orm"}, "directx"
    bpy.ops.uvmap_id.generate()
    names = {path.name for path in Path(settings.result).iterdir()}
    assert names >= {"orm.png", "subsurface.png", "normal.png", "manifest.json"}
    material = settings.body.data.materials[0]
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    mask = shader.inputs["Subsurface Weight"].links[0].from_node.image
    assert Path(bpy.path.abspath(mask.filepath)).name == "subsurface.png"
    settings.extra_maps = set()
    bpy.ops.uvmap_id.generate()
    assert not shader.inputs["Subsurface Weight"].is_linked


def test_generate_by_ticks(character: bpy.types.Scene, module: Module) -> None:
    session = module("current").session()
    character.uvmap_id.prompt = "white shirt, blue jeans, riding a unicorn"
    job = module("operators.generate").submit(character)
    assert session.busy
    assert character.uvmap_id.state == "starting"
    fractions, slowest = [], 0.0
    while not job.ended:
        before = time.perf_counter()
        session.tick()
        if not job.ended:
            slowest = max(slowest, time.perf_counter() - before)
        fractions.append(character.uvmap_id.progress)
        time.sleep(0.01)
    assert job.state.value == "done", job.failure
    assert any("riding unicorn" in warning for warning in job.warnings)
    assert fractions == sorted(fractions)
    assert len(set(fractions)) > 2
    assert slowest < 0.1
    assert not session.busy
    _tick_until(session, lambda: session.tick() is None)
    assert _base_color(character.uvmap_id.body).size[0] == 512


def test_variations_are_jobs_with_seeds_of_their_own(ready: bpy.types.Scene, module: Module) -> None:
    session, submit_all = module("current").session(), module("operators.generate").submit_all
    settings = ready.uvmap_id
    settings.seed, settings.variations = 2**31 - 2, 3
    jobs = submit_all(ready)
    assert [job.request.seed for job in jobs] == [2**31 - 2, 2**31 - 1, 0]
    assert settings.seed == 2**31 - 2
    settings.seed_lock = False
    more = submit_all(ready)
    assert len({job.request.seed for job in (*jobs, *more)}) == 6
    assert settings.seed == more[0].request.seed
    assert session.jobs[-6:] == (*jobs, *more)
    bpy.ops.uvmap_id.cancel_all()
    assert all(job.state.value == "cancelled" for job in (*jobs, *more))
    with pytest.raises(RuntimeError, match="No texture is being made"):
        bpy.ops.uvmap_id.cancel_all()
    bpy.ops.uvmap_id.dismiss(key=jobs[0].key)
    assert jobs[0] not in session.jobs
    bpy.ops.uvmap_id.dismiss()
    assert session.jobs == ()


def test_cancel_while_it_runs(character: bpy.types.Scene, module: Module) -> None:
    character.uvmap_id.size = "4096"
    session = module("current").session()
    job = module("operators.generate").submit(character)
    _tick_until(session, lambda: job.state.value == "running")
    before = names_in_file()
    assert bpy.ops.uvmap_id.cancel() == {"FINISHED"}
    _tick_until(session, lambda: job.ended)
    assert character.uvmap_id.state == "cancelled"
    assert character.uvmap_id.result == ""
    assert names_in_file() == before
    with pytest.raises(RuntimeError, match="No texture"):
        bpy.ops.uvmap_id.cancel()


def test_backend_killed_while_it_works(
    character: bpy.types.Scene, module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UVMAP_ID_STATE_DIR", str(tmp_path / "state"))
    character.uvmap_id.size = "4096"
    session = module("current").session()
    job = module("operators.generate").submit(character)
    _tick_until(session, lambda: job.state.value == "running")
    before = names_in_file()
    link = module("link.connection")
    os.kill(link.read_connection(link.state_dir()).pid, signal.SIGKILL)
    try:
        # The backend is started again, and the job with it.
        _tick_until(session, lambda: job.notice != "")
        assert "ended unexpectedly" in job.notice
        assert job.state.value == "starting"
        _tick_until(session, lambda: job.state.value == "running")
        assert names_in_file() == before
        bpy.ops.uvmap_id.cancel()
        _tick_until(session, lambda: job.ended)
        assert (job.state.value, job.failure) == ("cancelled", None)
    finally:
        stop_backend()


def test_a_backend_on_another_computer(
    character: bpy.types.Scene, module: Module, backend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is this computer's, reached by address and key: its files come in pieces over the link."""
    monkeypatch.setenv("UVMAP_ID_STATE_DIR", str(tmp_path / "state"))
    connection = module("link.launcher").ensure_server([str(backend)])
    keys, state = module("link.keys"), module("link.connection").state_dir()
    chosen = bpy.context.preferences.addons[PACKAGE].preferences
    chosen.place, chosen.remote_host, chosen.remote_key = "REMOTE", "127.0.0.1", connection.server_key
    chosen.remote_port = int(connection.endpoint.rpartition(":")[2])
    session = module("current").session()
    try:
        # Nobody has let this computer in yet.
        refused = module("operators.generate").submit(character)
        _tick_until(session, lambda: refused.ended)
        assert refused.failure.code == "backend_refused"
        mine = keys.own_keys(state, keys.CLIENT_KEY).public
        keys.AuthorizedKeys(state).add(mine, "this Blender")
        time.sleep(1.1)
        folder = session.wait(module("operators.generate").submit(character))
        _tick_until(session, lambda: session.tick() is None)
    finally:
        chosen.place, chosen.remote_host, chosen.remote_port, chosen.remote_key = "LOCAL", "", 7461, ""
        stop_backend()
    assert {path.name for path in folder.iterdir()} >= {"base_color.png", "normal.png", "roughness.png"}
    assert module("material").folder_of(character.uvmap_id.body) == folder
    # It was told that nothing more is needed.
    assert not list((tmp_path / "state" / "results").iterdir())


def test_body_deleted_meanwhile(character: bpy.types.Scene, module: Module) -> None:
    session = module("current").session()
    job = module("operators.generate").submit(character)
    bpy.data.objects.remove(character.uvmap_id.body)
    before = names_in_file()
    folder = session.wait(job)
    assert (folder / "base_color.png").is_file()
    assert names_in_file() == before


def test_an_unexpected_error_at_the_end_is_an_answer(
    character: bpy.types.Scene, backend: Path, portrait: Path, module: Module
) -> None:
    launch = module("link.launcher").Launch
    session = module("session").Session(_broken, lambda: launch([str(backend)]))
    photo = portrait.read_bytes()
    request = module("link.request").TextureRequest(module("link.photo").photo_hash(photo), PROMPT, size=512)
    job = session.submit(request, (photo,), character.session_uid, 0)
    with pytest.raises(module("link.errors").UVMapError, match=r"internal: .*no_such_field"):
        session.wait(job)
    assert not session.busy


def test_file_opened_meanwhile(character: bpy.types.Scene, module: Module) -> None:
    session = module("current").session()
    job = module("operators.generate").submit(character)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert (session.wait(job) / "base_color.png").is_file()
    assert bpy.context.scene.uvmap_id.state == ""


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "image_unreadable"),
        (b"no image at all", "image_unreadable"),
        ("1x1", "image_too_small"),
        ("faceless", "face_not_found"),
        ("truncated", "image_truncated"),
    ],
)
def test_bad_photos(
    character: bpy.types.Scene, portrait: Path, tmp_path: Path, content: bytes | str, code: str
) -> None:
    path = tmp_path / "photo.png"
    if content == "1x1":
        write_png(path, (1, 2, 3), size=1)
    elif content == "faceless":
        write_png(path, (90, 120, 90), size=400)
    elif content == "truncated":
        path.write_bytes(portrait.read_bytes()[:20_000])
    else:
        path.write_bytes(bytes(content))
    character.uvmap_id.face_image = str(path)
    _fails_with(code)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("face_image", "", "face_file_missing"),
        ("face_image", "/no/such/photo.png", "face_file_missing"),
        ("face_image", os.curdir, "face_file_missing"),
        ("prompt", "", "prompt_empty"),
        ("prompt", "  \n", "prompt_empty"),
        ("prompt", "a" * 100_000, "prompt_too_long"),
        ("subject", "a" * 201, "subject_too_long"),
        ("diffusion.template", "a" * 2001, "prompt_too_long"),
        ("diffusion.scheduler", "a" * 101, "setting_out_of_range"),
        ("prompt", "bell \a", "text_invalid"),
        ("body", None, "body_missing"),
    ],
)
def test_bad_settings_start_nothing(
    ready: bpy.types.Scene, tmp_path: Path, name: str, value: str | None, code: str
) -> None:
    group, _, field = name.rpartition(".")
    setattr(ready.uvmap_id.path_resolve(group) if group else ready.uvmap_id, field, value)
    _fails_with(code)
    assert not (tmp_path / "state").exists()


def test_bodies_that_cannot_wear_a_texture(ready: bpy.types.Scene) -> None:
    settings = ready.uvmap_id
    bare = bpy.data.objects.new("bare", bpy.data.meshes.new("bare"))
    settings.body = bare
    _fails_with("body_missing")
    ready.collection.objects.link(bare)
    _fails_with("body_without_uvs")
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    ready.collection.objects.link(camera)
    settings.body = camera
    _fails_with("body_missing")


def test_no_backend_installed(ready: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVMAP_ID_BACKEND", "/no/such/uvmap-id")
    _fails_with("backend_not_found")
    assert bpy.context.scene.uvmap_id.state == "failed"
    monkeypatch.delenv("UVMAP_ID_BACKEND")
    monkeypatch.setenv("PATH", "")
    _fails_with("backend_not_found")


@pytest.mark.skipif(os.name == "nt", reason="The stand-in program is a shell script.")
def test_backend_that_does_not_start(ready: bpy.types.Scene, tmp_path: Path) -> None:
    program = tmp_path / "uvmap-id"
    program.write_text("#!/bin/sh\necho 'error: no room left' >&2\nexit 3\n", encoding="utf-8")
    program.chmod(0o755)
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    preferences.backend = str(program)
    try:
        _fails_with("backend_start_failed: .*no room left")
    finally:
        preferences.backend = ""


def _broken(job: Any, folder: Path) -> None:
    raise AttributeError(job.no_such_field)


def _fails_with(code: str) -> None:
    before = names_in_file()
    with pytest.raises(RuntimeError, match=rf"{code}\b"):
        bpy.ops.uvmap_id.generate()
    assert names_in_file() == before


def _generated_color(scene: bpy.types.Scene) -> bytes:
    bpy.ops.uvmap_id.generate()
    return Path(scene.uvmap_id.result, "base_color.png").read_bytes()


def _tick_until(session: object, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not reached():
        assert time.monotonic() < deadline, "It takes too long."
        session.tick()
        time.sleep(0.01)


def _base_color(body: bpy.types.Object) -> bpy.types.Image:
    material = body.data.materials[0]
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    return shader.inputs["Base Color"].links[0].from_node.image
