"""The installed extension is all there, and goes away without a trace."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import logging
from collections.abc import Callable
from types import ModuleType

import bpy
import pytest
from conftest import PACKAGE

OPERATORS = (
    "add_mannequin", "add_body", "update_joints", "update_correctives",
    "generate", "new_seed", "cancel", "cancel_all", "retry", "dismiss", "render_character",
    "choose_photo", "paste_photo", "check_photo", "add_face", "remove_face",
    "use_preset", "use_favourite", "add_favourite", "remove_favourite",
    "history_apply", "history_compare", "history_recall", "recall_file", "history_reveal", "history_delete",
    "history_find", "pack_textures", "open_preferences", "open_documentation", "open_log", "use_projection",
    "shape_preset", "match_subject", "apply_pose", "copy_key", "show_texture",
)  # fmt: skip


def test_panel_sits_in_its_own_tab() -> None:
    panel = bpy.types.UVMAP_ID_PT_character
    assert (panel.bl_space_type, panel.bl_region_type, panel.bl_category) == ("VIEW_3D", "UI", "UVMap-ID")


@pytest.mark.parametrize(
    ("name", "parent", "closed"),
    [
        *((name, "character", False) for name in ("body", "face", "prompt", "generate", "queue")),
        *((name, "character", True) for name in ("history", "material", "export", "shape", "pose")),
        *((name, "generate", True) for name in ("region", "maps", "advanced")),
        ("more_faces", "face", True),
    ],
)
def test_panels_are_parts_of_it(name: str, parent: str, closed: bool) -> None:
    panel = getattr(bpy.types, f"UVMAP_ID_PT_{name}")
    assert panel.bl_parent_id == f"UVMAP_ID_PT_{parent}"
    assert ("DEFAULT_CLOSED" in panel.bl_options) is closed
    assert panel.__doc__
    assert panel.page or name == "more_faces"


@pytest.mark.parametrize(("engine", "shown"), [("auto", True), ("uvmap-id", True), ("projection", False)])
def test_advanced_settings_are_for_engines_that_know_them(scene: bpy.types.Scene, engine: str, shown: bool) -> None:
    scene.uvmap_id.engine = engine
    assert bpy.types.UVMAP_ID_PT_advanced.poll(bpy.context) is shown


def test_the_engines_settings_are_the_requests(scene: bpy.types.Scene, module: Callable[[str], ModuleType]) -> None:
    request = module("link.request")
    diffusion = scene.uvmap_id.diffusion
    assert module("properties").diffusion_of(scene.uvmap_id) == request.DiffusionSettings()
    for name, setting in request.SETTINGS.items():
        found = diffusion.bl_rna.properties[name]
        assert found.name == setting.title
        assert found.description == setting.description
        if found.type in ("INT", "FLOAT"):
            assert (found.hard_min, found.hard_max) == pytest.approx((setting.lowest, setting.highest))
        if found.type == "ENUM":
            assert tuple(item.identifier for item in found.enum_items) == setting.choices


def test_there_is_room_for_seven_further_photos(scene: bpy.types.Scene) -> None:
    with pytest.raises(RuntimeError, match="no further photo"):
        bpy.ops.uvmap_id.remove_face()
    for _ in range(7):
        assert bpy.ops.uvmap_id.add_face() == {"FINISHED"}
    with pytest.raises(RuntimeError, match="at most 8"):
        bpy.ops.uvmap_id.add_face()
    bpy.ops.uvmap_id.remove_face()
    assert len(scene.uvmap_id.more_faces) == 6


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_there_and_described(name: str) -> None:
    kind = getattr(bpy.ops.uvmap_id, name).get_rna_type()
    assert kind.description
    for prop in kind.properties:
        assert prop.identifier == "rna_type" or prop.is_hidden or prop.description


def test_settings_have_the_offered_choices(scene: bpy.types.Scene, module: Callable[[str], ModuleType]) -> None:
    settings = scene.uvmap_id
    request = module("link.request")
    properties = settings.bl_rna.properties
    assert tuple(int(item.identifier) for item in properties["size"].enum_items) == request.SIZES
    assert tuple(item.identifier for item in properties["engine"].enum_items) == request.ENGINES
    assert (settings.size, settings.engine, settings.seed) == ("1024", "auto", 0)
    assert settings.relight == pytest.approx(request.DEFAULT_RELIGHT)
    settings.seed = request.SEED_LIMIT - 1
    assert settings.seed == request.SEED_LIMIT - 1


def test_state_is_read_only(scene: bpy.types.Scene) -> None:
    assert (scene.uvmap_id.state, scene.uvmap_id.progress, scene.uvmap_id.error) == ("", 0.0, "")
    with pytest.raises(AttributeError):
        scene.uvmap_id.state = "done"


def test_backend_of_preferences_comes_first(
    module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend_command = module("preferences").backend_command
    chosen = bpy.context.preferences.addons[PACKAGE].preferences
    monkeypatch.delenv("UVMAP_ID_BACKEND", raising=False)
    assert backend_command() == ["uvmap-id"]
    monkeypatch.setenv("UVMAP_ID_BACKEND", "/from/environment/uvmap-id")
    assert backend_command() == ["/from/environment/uvmap-id"]
    chosen.backend = "/from/preferences/uvmap-id"
    try:
        assert backend_command() == ["/from/preferences/uvmap-id"]
    finally:
        chosen.backend = ""


def test_disabling_leaves_nothing_behind(module: Callable[[str], ModuleType]) -> None:
    before = _registered()
    extension = module("")
    handlers = _handlers()
    for _ in range(50):
        extension.unregister()
        assert not any("uvmap_id" in name.lower() for name in _registered())
        assert not hasattr(bpy.types.Scene, "uvmap_id")
        assert not hasattr(bpy.types.Object, "uvmap_id_shape")
        assert not hasattr(bpy.types.Material, "uvmap_id_look")
        assert not any("uvmap_id" in str(handler) for handler in _handlers())
        assert not logging.getLogger(PACKAGE).handlers
        assert not module("current").is_open()
        extension.register()
    assert _registered() == before
    assert [str(handler).split(" at ")[0] for handler in _handlers()] == [
        str(handler).split(" at ")[0] for handler in handlers
    ]
    assert len(logging.getLogger(PACKAGE).handlers) == 1
    assert bpy.ops.uvmap_id.add_mannequin() == {"FINISHED"}


def test_timer_goes_with_the_extension(module: Callable[[str], ModuleType]) -> None:
    runtime = module("runtime")
    runtime.watch()
    runtime.watch()
    assert bpy.app.timers.is_registered(runtime._on_timer)
    module("").unregister()
    try:
        assert not bpy.app.timers.is_registered(runtime._on_timer)
    finally:
        module("").register()


def _handlers() -> list[object]:
    lists = [getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)]
    return [handler for each in lists if isinstance(each, list) for handler in each]


def _registered() -> set[str]:
    operators = {f"uvmap_id.{name}" for name in dir(bpy.ops.uvmap_id)}
    return operators | {name for name in dir(bpy.types) if "UVMAP" in name.upper()}
