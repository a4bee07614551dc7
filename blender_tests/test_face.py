"""The photo: looked at by the backend, pasted, dropped, chosen; prompts kept; errors with a way out."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
from conftest import PACKAGE, write_png
from fakes import tick_until

Module = Callable[[str], ModuleType]


@pytest.fixture
def checks(module: Module, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes checks of photos with a program in the backend's place, and ends them."""
    made = []

    def make(script: str, **options: Any) -> Any:
        program = tmp_path / "uvmap-id"
        program.write_text(f"#!/bin/sh\necho x >> {tmp_path}/calls\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        made.append(module("faces").FaceChecks(lambda: [str(program)], lambda: tmp_path / "faces", **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def seen(checks: Any, path: Path | str) -> Any:
    checks.ask(str(path))
    assert checks.view(str(path)).checking or not checks.busy
    tick_until(lambda: not checks.busy, checks.tick)
    return checks.view(str(path))


ANSWER = {"faces": 2, "warnings": ["Two."], "code": "", "message": "", "hint": "", "thumbnail": "/a.png"}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_png(tmp_path / "face.png", (200, 150, 120))
    return tmp_path / "face.png"


def test_the_real_backend_looks_at_the_portrait(backend: Path, portrait: Path, module: Module, tmp_path: Path) -> None:
    checks = module("faces").FaceChecks(lambda: [str(backend)], lambda: tmp_path / "faces")
    checks.ask(str(portrait))
    took = tick_until(lambda: not checks.busy, checks.tick)
    view = checks.view(str(portrait))
    assert (view.faces, view.failure, view.thumbnail.is_file()) == (1, None, True)
    assert any("small" in warning for warning in view.warnings)
    assert max(took) < 0.05
    # The same content under another name is not looked at again, and quick.
    copy = tmp_path / "copy.png"
    copy.write_bytes(portrait.read_bytes())
    assert seen(checks, copy) == view


def test_an_answer_is_remembered_until_the_file_changes(checks: Callable[..., Any], photo: Path) -> None:
    faces = checks(f"echo '{json.dumps(ANSWER)}'")
    for _ in range(3):
        view = seen(faces, photo)
        assert (view.faces, view.warnings, view.thumbnail) == (2, ("Two.",), Path("/a.png"))
    calls = photo.parent / "calls"
    assert calls.read_text() == "x\n"
    write_png(photo, (1, 2, 3), 9)
    seen(faces, photo)
    assert calls.read_text() == "x\nx\n"


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("exit 3", "backend_start_failed", "without an answer"),
        ("echo rubbish", "backend_start_failed", "without an answer"),
        ("echo '{\"faces\": []}'", "backend_start_failed", "without an answer"),
        ("echo 'error: landmarks_unavailable: No mediapipe.' >&2; exit 1", "landmarks_unavailable", "No mediapipe."),
        ("echo 'Traceback' >&2; echo 'ImportError: x' >&2; exit 1", "backend_start_failed", "ImportError: x"),
        ("kill -9 $$", "backend_start_failed", "without an answer"),
    ],
)
def test_a_program_that_gives_no_answer(
    checks: Callable[..., Any], photo: Path, script: str, code: str, words: str
) -> None:
    failure = seen(checks(script), photo).failure
    assert failure.code == code
    assert words in failure.message


def test_where_no_backend_is_here_nobody_looks(module: Module, photo: Path, tmp_path: Path) -> None:
    """Textures are made on another computer: that there is none here is no error."""
    view = seen(module("faces").FaceChecks(list, lambda: tmp_path / "faces"), photo)
    assert (view.failure, view.warnings, view.thumbnail) == (None, (), None)
    chosen, command = bpy.context.preferences.addons[PACKAGE].preferences, module("runtime")._face_command
    chosen.backend = str(tmp_path / "none")
    try:
        assert command() == [str(tmp_path / "none")]
        chosen.place = "REMOTE"
        assert command() == []
    finally:
        chosen.place, chosen.backend = "LOCAL", ""


def test_a_program_that_never_ends_is_ended(checks: Callable[..., Any], photo: Path) -> None:
    now = [0.0]
    faces = checks("exec sleep 60", clock=lambda: now[0])
    faces.ask(str(photo))
    faces.tick()
    process = faces._looking.process
    now[0] = 1000.0
    faces.tick()
    assert "too long" in faces.view(str(photo)).failure.message
    assert process.poll() is not None


def test_a_newer_question_comes_first(checks: Callable[..., Any], photo: Path) -> None:
    faces = checks(f"sleep 0.3; echo '{json.dumps(ANSWER)}'")
    paths = [photo.parent / f"{number}.png" for number in range(4)]
    for path in paths:
        path.write_bytes(photo.read_bytes())
        faces.ask(str(path))
        faces.tick()
    tick_until(lambda: not faces.busy, faces.tick)
    assert [faces.view(str(path)) is not None for path in paths] == [True, False, False, True]


def test_files_that_are_none(checks: Callable[..., Any], tmp_path: Path) -> None:
    faces = checks("exit 1")
    for path in (tmp_path / "none.png", tmp_path, "\0"):
        view = seen(faces, str(path))
        assert view.failure is not None
    faces.ask("  ")
    assert not faces.busy
    (tmp_path / "me.npy").write_bytes(b"\x93NUMPY")
    assert seen(faces, tmp_path / "me.npy").failure is None


def test_closing_ends_the_program(checks: Callable[..., Any], photo: Path) -> None:
    faces = checks("exec sleep 60")
    faces.ask(str(photo))
    faces.tick()
    process: subprocess.Popen[bytes] = faces._looking.process
    faces.close()
    assert process.returncode is not None
    assert not faces.busy


def test_no_program(module: Module, photo: Path, tmp_path: Path) -> None:
    faces = module("faces").FaceChecks(lambda: ["/no/such/program"], lambda: tmp_path)
    assert seen(faces, photo).failure.code == "backend_not_found"


def test_setting_the_photo_has_it_looked_at(scene: bpy.types.Scene, module: Module, photo: Path) -> None:
    scene.uvmap_id.face_image = str(photo)
    faces = module("current").faces()
    assert faces.view(str(photo)).checking
    faces.close()


def test_paste_drop_and_choose(scene: bpy.types.Scene, module: Module, photo: Path, tmp_path: Path) -> None:
    other = tmp_path / "with blank.jpg"
    other.write_bytes(b"x")
    settings, paths_in = scene.uvmap_id, module("operators.face").paths_in
    assert paths_in(f' "{other}" \n') == [str(other)]
    assert paths_in("file:///tmp/with%20blank.jpg\r\n#comment\n") == ["/tmp/with blank.jpg"]
    assert paths_in("file:///C:/photos/a.png") == ["C:/photos/a.png"]
    names = [{"name": photo.name}, {"name": other.name}]
    assert bpy.ops.uvmap_id.choose_photo(directory=str(tmp_path), files=names) == {"FINISHED"}
    assert settings.face_image == str(photo)
    assert [face.path for face in settings.more_faces] == [str(other)]
    # As a drop on the viewport calls it.
    assert bpy.ops.uvmap_id.choose_photo("INVOKE_DEFAULT", filepath=str(other)) == {"FINISHED"}
    assert settings.face_image == str(other)
    for path in ("", "/no/such/photo.png", str(tmp_path), "a\0b"):
        with pytest.raises(RuntimeError, match="face_file_missing"):
            bpy.ops.uvmap_id.choose_photo(filepath=path)
    assert settings.face_image == str(other)
    module("current").faces().close()


def test_a_clipboard_without_a_path(scene: bpy.types.Scene) -> None:
    # Without windows the clipboard is always empty.
    with pytest.raises(RuntimeError, match="face_file_missing"):
        bpy.ops.uvmap_id.paste_photo()


def test_photos_may_be_dropped_on_the_viewport() -> None:
    handler = bpy.types.UVMAP_ID_FH_photo
    assert handler.bl_import_operator == "uvmap_id.choose_photo"
    assert {".png", ".jpg", ".jpeg", ".webp"} <= set(handler.bl_file_extensions.split(";"))
    assert not handler.poll_drop(bpy.context)


def test_presets_and_favourites(scene: bpy.types.Scene, module: Module) -> None:
    settings, preferences = scene.uvmap_id, bpy.context.preferences.addons[PACKAGE].preferences
    presets = module("presets").presets()
    assert len({preset.name for preset in presets}) == len(presets) > 5
    for preset in presets:
        assert bpy.ops.uvmap_id.use_preset(preset=preset.name) == {"FINISHED"}
        assert settings.prompt == preset.prompt
    settings.subject = "old woman"
    try:
        for _ in range(2):
            bpy.ops.uvmap_id.add_favourite()
        assert [(kept.prompt, kept.subject) for kept in preferences.favourites] == [(presets[-1].prompt, "old woman")]
        settings.prompt = settings.subject = ""
        with pytest.raises(RuntimeError, match="prompt_empty"):
            bpy.ops.uvmap_id.add_favourite()
        bpy.ops.uvmap_id.use_favourite(index=0)
        assert (settings.prompt, settings.subject) == (presets[-1].prompt, "old woman")
        with pytest.raises(RuntimeError, match="setting_out_of_range"):
            bpy.ops.uvmap_id.remove_favourite(index=1)
        bpy.ops.uvmap_id.remove_favourite(index=0)
        assert len(preferences.favourites) == 0
    finally:
        preferences.favourites.clear()


def test_each_fix_is_an_operator_and_each_code_is_known(module: Module) -> None:
    codes = {code.value for code in module("link.errors").ErrorCode}
    for code, fix in module("fixes").FIXES.items():
        assert str(code) in codes
        group, name = fix.operator.split(".")
        assert getattr(getattr(bpy.ops, group), name).get_rna_type().description


def test_a_refused_click_is_remembered_until_one_succeeds(
    scene: bpy.types.Scene, module: Module, caplog: pytest.LogCaptureFixture
) -> None:
    refused = module("current").current().refused
    with caplog.at_level(logging.WARNING), pytest.raises(RuntimeError, match="body_missing"):
        bpy.ops.uvmap_id.generate()
    assert refused[scene.session_uid].code == "body_missing"
    assert any("UVMAP_ID_OT_generate" in line and "body_missing" in line for line in caplog.messages)
    bpy.ops.uvmap_id.add_mannequin()
    assert scene.session_uid not in refused


def test_the_unexpected_is_logged_with_its_context(
    scene: bpy.types.Scene, module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module("mannequin"), "add", lambda _scene: 1 / 0)
    with pytest.raises(RuntimeError, match=r"internal: .*ZeroDivisionError"):
        bpy.ops.uvmap_id.add_mannequin()
    text = module("log").path().read_text(encoding="utf-8")
    assert "unexpected in UVMAP_ID_OT_add_mannequin" in text
    assert "ZeroDivisionError" in text


def test_every_page_comes_along(module: Module) -> None:
    for page in module("documentation").PAGES:
        assert bpy.ops.uvmap_id.open_documentation(page=page) == {"FINISHED"}
        assert module("documentation").page_file(page).read_text(encoding="utf-8").count("\n") > 5


def test_everything_has_a_tooltip(scene: bpy.types.Scene) -> None:
    groups = (scene.uvmap_id, scene.uvmap_id.diffusion, bpy.data.materials.new("any").uvmap_id_look)
    for group in groups:
        for prop in group.bl_rna.properties:
            assert prop.identifier in ("rna_type", "name") or prop.description, prop.identifier


@pytest.mark.parametrize(
    ("operator", "code"),
    [
        ("add_body", "body_unreadable"),
        ("import_motion", "motion_unreadable"),
        ("recall_file", "settings_unreadable"),
        ("export_character", "export_failed"),
        ("render_character", "output_not_writable"),
    ],
)
def test_without_a_file_the_answer_says_so(scene: bpy.types.Scene, operator: str, code: str) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    with pytest.raises(RuntimeError, match=f"{code}: No file is chosen. Choose one in the file browser."):
        getattr(bpy.ops.uvmap_id, operator)()


def test_without_a_photo_nobody_looks(scene: bpy.types.Scene) -> None:
    with pytest.raises(RuntimeError, match="face_file_missing: No face image is chosen"):
        bpy.ops.uvmap_id.check_photo()


def test_ways_out(scene: bpy.types.Scene) -> None:
    scene.uvmap_id.engine = "uvmap-id"
    assert bpy.ops.uvmap_id.use_projection() == {"FINISHED"}
    assert scene.uvmap_id.engine == "projection"
    for name in ("open_preferences", "open_log", "new_seed"):
        assert getattr(bpy.ops.uvmap_id, name)() == {"FINISHED"}


def test_the_snapshot_says_how_long_it_takes(module: Module) -> None:
    in_words = module("snapshot").in_words
    assert [in_words(seconds) for seconds in (2, 44, 130, 7500)] == ["2 s", "40 s", "2 min", "2 h 5 min"]


@pytest.mark.skipif(os.name == "nt", reason="The stand-in program is a shell script.")
def test_looking_never_blocks(checks: Callable[..., Any], photo: Path) -> None:
    faces = checks("sleep 1; exit 1")
    began = time.perf_counter()
    faces.ask(str(photo))
    faces.tick()
    faces.tick()
    assert time.perf_counter() - began < 0.5
    assert faces.busy
