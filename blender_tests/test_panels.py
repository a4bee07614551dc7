"""What panels draw names real properties, operators and icons, in every state. Pictures are the window test's."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import bpy
import pytest
from conftest import make_textures

Module = Callable[[str], ModuleType]
ICONS = {item.identifier for item in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items}


class CheckingLayout:
    """In a layout's place: checks what it is told to draw, as Blender would when it draws, and writes it down."""

    def __init__(self, drawn: list[str]) -> None:
        self.drawn = drawn

    def row(self, align: bool = False) -> CheckingLayout:
        return CheckingLayout(self.drawn)

    def column(self, align: bool = False) -> CheckingLayout:
        return CheckingLayout(self.drawn)

    def grid_flow(
        self, row_major: bool = False, columns: int = 0, even_columns: bool = False, align: bool = False
    ) -> CheckingLayout:
        return CheckingLayout(self.drawn)

    def prop_enum(self, owner: Any, name: str, value: str, icon: str = "NONE") -> None:
        assert icon in ICONS, icon
        assert value in owner.bl_rna.properties[name].enum_items
        self.drawn.append(f"{name}.{value}")

    def box(self) -> CheckingLayout:
        return CheckingLayout(self.drawn)

    def separator(self) -> None: ...

    def label(self, text: str = "", icon: str = "NONE", icon_value: int = 0, translate: bool = True) -> None:
        assert icon in ICONS, icon
        assert isinstance(text, str)
        self.drawn.append(text)

    def prop(self, owner: Any, name: str, text: str = "", icon: str = "NONE", **options: Any) -> None:
        assert icon in ICONS, icon
        assert name in owner.bl_rna.properties, name
        self.drawn.append(name)

    def operator(self, name: str, text: str = "", icon: str = "NONE") -> Any:
        assert icon in ICONS, icon
        kind = _operator(name)
        self.drawn.append(name)
        return _Properties(kind)

    def operator_menu_enum(self, name: str, prop: str, text: str = "") -> Any:
        assert _operator(name).properties[prop].type == "ENUM"
        self.drawn.append(name)
        return _Properties(_operator(name))

    def menu(self, name: str) -> None:
        assert hasattr(bpy.types, name)
        self.drawn.append(name)

    def progress(self, text: str = "", factor: float = 0.0) -> None:
        assert 0 <= factor <= 1
        self.drawn.append(text)

    def template_list(
        self, kind: str, _id: str, owner: Any, items: str, active_owner: Any, active: str, rows: int
    ) -> None:
        assert issubclass(getattr(bpy.types, kind), bpy.types.UIList)
        assert {items, active} <= set(owner.bl_rna.properties.keys())
        self.drawn.append(kind)

    def template_icon(self, icon_value: int, scale: float) -> None:
        self.drawn.append("icon")


class _Properties:
    def __init__(self, kind: Any) -> None:
        object.__setattr__(self, "kind", kind)

    def __setattr__(self, name: str, value: Any) -> None:
        prop = self.kind.properties[name]
        assert prop.type != "ENUM" or value in {item.identifier for item in prop.enum_items}, value


def _operator(name: str) -> Any:
    group, function = name.split(".")
    assert f"{group.upper()}_OT_{function}" in dir(bpy.types) or group == "wm", name
    return getattr(getattr(bpy.ops, group), function).get_rna_type()


@pytest.fixture
def context() -> SimpleNamespace:
    """What panels are drawn in."""
    return SimpleNamespace(
        region=SimpleNamespace(width=300),
        # Without windows Blender's own is 0.
        preferences=SimpleNamespace(system=SimpleNamespace(ui_scale=1.0)),
        active_object=None,
        space_data=None,
        mode="OBJECT",
    )


@pytest.fixture
def draw(module: Module, scene: bpy.types.Scene, context: SimpleNamespace) -> Callable[[], dict[str, list[str]]]:
    """Draws all panels that would be drawn, and tells what of."""

    def drawn() -> dict[str, list[str]]:
        context.scene = bpy.context.scene
        found = {}
        for cls in module("panels")._CLASSES:
            if not issubclass(cls, (bpy.types.Panel, bpy.types.Menu)) or not _shown(cls, context):
                continue
            found[cls.bl_idname] = []
            # Methods of the panel's own, on something that is no panel, since those can't be made by hand.
            panel = _Panel(cls, CheckingLayout(found[cls.bl_idname]))
            cls.draw(panel, context)
            if hasattr(cls, "draw_header_preset"):
                cls.draw_header_preset(panel, context)
        return found

    return drawn


class _Panel:
    def __init__(self, cls: type, layout: CheckingLayout) -> None:
        self._cls, self.layout = cls, layout

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cls, name)
        return found.__get__(self) if callable(found) else found


def _shown(cls: type, context: Any) -> bool:
    return "poll" not in dir(cls) or cls.poll.__func__(cls, context)


def test_an_empty_scene(draw: Callable[[], dict[str, list[str]]]) -> None:
    drawn = draw()
    assert "UVMAP_ID_PT_material" not in drawn
    assert "uvmap_id.generate" in drawn["UVMAP_ID_PT_generate"]
    assert "Nothing is being made" in drawn["UVMAP_ID_PT_queue"]


def test_each_failure_has_its_button(
    draw: Callable[[], dict[str, list[str]]], module: Module, scene: bpy.types.Scene
) -> None:
    refused, failure = module("current").current().refused, module("link.errors").Failure
    for code in module("link.errors").ErrorCode:
        refused[scene.session_uid] = failure(code.value, "It went wrong.", "Do this.")
        drawn = draw()["UVMAP_ID_PT_character"]
        assert "Do this." in " ".join(drawn)
        fix = module("fixes").FIXES.get(code)
        # There is no job here that could be tried again.
        assert fix is None or fix.operator == "uvmap_id.retry" or fix.operator in drawn, code
    refused.clear()


def test_all_states_of_jobs_and_photos(
    draw: Callable[[], dict[str, list[str]]], module: Module, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    jobs, faces, failure = module("jobs"), module("faces"), module("link.errors").Failure
    request = module("link.request").TextureRequest("0" * 64, "jeans")
    made = [
        jobs.Job(request, scene.session_uid, 0, 0.0, id=state.value, state=state, warnings=("A warning.",))
        for state in jobs.JobState
    ]
    made[4].failure = failure("worker_died", "It went wrong.", "")
    made[2].notice = "It was started again."
    made[2].progress("Working", 0.1, 0.0)
    made[2].progress("Working", 0.3, 10.0)
    snapshot = module("snapshot").snapshot_of(made, 10.0, lambda job: 1)
    current = module("current").current()
    current.snapshot = snapshot
    scene.uvmap_id.face_image = "/a.png"
    views = [
        None,
        faces.FaceView(checking=True),
        faces.FaceView(faces=1, thumbnail=tmp_path / "a.png"),
        faces.FaceView(faces=2, warnings=("Two faces.",), failure=failure("face_too_small", "Small.", "Larger.")),
    ]
    try:
        for view in views:
            current.faces._views["/a.png"] = view
            draw()
        drawn = draw()
        queue = " ".join(drawn["UVMAP_ID_PT_queue"])
        for words in ("Working 30%, 40 s left", "It was started again.", "It went wrong.", "Done in 0 s", "Cancelled"):
            assert words in queue
        assert {"uvmap_id.cancel", "uvmap_id.cancel_all", "uvmap_id.retry", "uvmap_id.dismiss"} <= set(
            drawn["UVMAP_ID_PT_queue"]
        )
        assert {"Two faces.", "Small. Larger.", "uvmap_id.choose_photo"} <= set(drawn["UVMAP_ID_PT_face"])
    finally:
        current.snapshot = module("snapshot").Snapshot()
        current.faces.close()


def test_a_remark_is_made_once(module: Module) -> None:
    jobs, request = module("jobs"), module("link.request").TextureRequest("0" * 64, "jeans")
    said = (("Small.",), ("Small.", "Dark."), ("Small.",), ())
    made = [jobs.Job(request, 0, 0, 0.0, state=jobs.JobState.DONE, warnings=warnings) for warnings in said]
    rows = module("snapshot").snapshot_of(made, 0.0, lambda _job: 0).rows
    assert [(row.key, row.notes) for row in rows] == [(made[1].key, ("Dark.",)), (made[2].key, ("Small.",))]


@pytest.mark.parametrize(
    ("shading", "colour", "mode", "shown"),
    [
        ("SOLID", "MATERIAL", "OBJECT", True),
        ("WIREFRAME", "TEXTURE", "OBJECT", True),
        ("SOLID", "TEXTURE", "OBJECT", False),
        ("SOLID", "MATERIAL", "PAINT_TEXTURE", False),
        ("MATERIAL", "MATERIAL", "OBJECT", False),
        ("RENDERED", "MATERIAL", "OBJECT", False),
    ],
)
def test_a_texture_that_can_not_be_seen_has_a_button(
    draw: Callable[[], dict[str, list[str]]],
    module: Module,
    scene: bpy.types.Scene,
    context: SimpleNamespace,
    tmp_path: Path,
    shading: str,
    colour: str,
    mode: str,
    shown: bool,
) -> None:
    context.mode = mode
    context.space_data = SimpleNamespace(type="VIEW_3D", shading=SimpleNamespace(type=shading, color_type=colour))
    bpy.ops.uvmap_id.add_mannequin()
    bare = draw()
    assert "uvmap_id.show_texture" not in bare["UVMAP_ID_PT_character"]
    assert "UVMAP_ID_PT_material" not in bare
    module("material").assign(scene.uvmap_id.body, module("results").maps_in(make_textures(tmp_path / "a", (1, 2, 3))))
    assert ("uvmap_id.show_texture" in draw()["UVMAP_ID_PT_character"]) is shown


def test_the_body_is_no_target_of_its_own_transfer(
    draw: Callable[[], dict[str, list[str]]], scene: bpy.types.Scene, context: SimpleNamespace
) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    context.active_object = scene.uvmap_id.body
    assert "Select the mesh to transfer to" in draw()["UVMAP_ID_PT_export"]
    context.active_object = bpy.data.objects.new("Other", bpy.data.meshes.new("Other"))
    assert "To: Other" in draw()["UVMAP_ID_PT_export"]


def test_a_cast(
    draw: Callable[[], dict[str, list[str]]], module: Module, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    assert "uvmap_id.cast_start" in draw()["UVMAP_ID_PT_cast"]
    (tmp_path / "cast.csv").write_text("face,name\n" + "a.png,Ada\n" * 50, encoding="utf-8")
    rows = module("cast").read_cast(tmp_path / "cast.csv", module("link.request").TextureRequest("", "jeans"))
    current, casting, report = module("current").current(), module("casting"), module("cast_report")
    current.cast = casting.Casting(rows, scene, current.session, casting.Options(tmp_path / "out"))
    for line, state in zip(reversed(current.cast.lines), report.RowState, strict=False):
        line.state = state
    failure = module("link.errors").Failure
    current.cast.lines[46].failure = failure("face_not_found", "No face.", "Another photo.")
    drawn = draw()["UVMAP_ID_PT_cast"]
    assert "uvmap_id.cast_stop" in drawn
    assert {"3 / 50, 1 failed", "Ada 49", "Ada 47", "20 more are in the report"} <= set(drawn)
    assert "No face. Another photo." in " ".join(drawn)
    current.cast.give_up(failure("backend_not_found", "No backend.", "Set it up."))
    drawn = draw()["UVMAP_ID_PT_cast"]
    assert "uvmap_id.cast_start" in drawn
    assert "No backend." in " ".join(drawn)


def test_a_dressed_body_with_a_history(
    draw: Callable[[], dict[str, list[str]]], module: Module, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    folder = make_textures(tmp_path / "set", (1, 2, 3))
    module("material").assign(scene.uvmap_id.body, module("results").maps_in(folder))
    job = module("jobs").Job(
        module("link.request").TextureRequest("0" * 64, "jeans"),
        *(scene.session_uid, 0, 0.0),
        id="a",
        origin=module("jobs").Origin(scene.session_uid),
    )
    module("current").history().record(job, folder)
    preferences = bpy.context.preferences.addons[module("").__name__].preferences
    preferences.favourites.add().prompt = "jeans"
    try:
        drawn = draw()
    finally:
        preferences.favourites.clear()
    assert {"roughness", "normal_strength", "subsurface", "mix"} <= set(drawn["UVMAP_ID_PT_material"])
    assert {f"uvmap_id.history_{name}" for name in ("apply", "compare", "recall", "reveal", "delete", "find")} <= set(
        drawn["UVMAP_ID_PT_history"]
    )
    assert "uvmap_id.use_favourite" in drawn["UVMAP_ID_MT_favourites"]
    entry = scene.uvmap_id.history[0]
    line: list[str] = []
    bpy.types.UVMAP_ID_UL_history.draw_item(
        SimpleNamespace(), bpy.context, CheckingLayout(line), scene.uvmap_id, entry, 0, scene.uvmap_id, "history_index"
    )
    assert line == ["jeans · 0"]
