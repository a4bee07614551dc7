"""Bodies through Blender's own importers, and which UV layout a body has."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from conftest import names_in_file, write_png

KINDS = ("obj", "fbx", "glb", "gltf", "abc")
MANNEQUIN = "Mannequin, SMPL atlas"


def export(path: Path) -> None:
    """Write the selected objects."""
    kind, name = path.suffix[1:], str(path)
    if kind == "obj":
        bpy.ops.wm.obj_export(filepath=name, export_selected_objects=True, export_materials=False)
    elif kind == "fbx":
        bpy.ops.export_scene.fbx(filepath=name, use_selection=True)
    elif kind == "abc":
        bpy.ops.wm.alembic_export(filepath=name, selected=True, as_background_job=False)
    else:
        formats = {"glb": "GLB", "gltf": "GLTF_SEPARATE"}
        bpy.ops.export_scene.gltf(filepath=name, use_selection=True, export_format=formats[kind])


def add_plane(name: str = "Plane", *, uvs: bool = True) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], [], [(0, 1, 2, 3)])
    if uvs:
        mesh.uv_layers.new()
    plane = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(plane)
    plane.select_set(True)
    return plane


def start_anew() -> None:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_is_known_from_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    body = bpy.context.scene.uvmap_id.body
    faces, height = len(body.data.polygons), body.dimensions.z
    export(tmp_path / f"body.{kind}")
    start_anew()
    bpy.ops.uvmap_id.add_body(filepath=str(tmp_path / f"body.{kind}"))
    settings = bpy.context.scene.uvmap_id
    assert settings.body_layout == MANNEQUIN
    # glTF knows triangles only.
    assert len(settings.body.data.polygons) >= faces
    size = np.array(settings.body.matrix_world) @ np.array([*settings.body.dimensions, 0])
    assert np.abs(size[2]) == pytest.approx(height, rel=0.01)


@pytest.mark.parametrize("kind", ["fbx", "glb", "abc"])
def test_the_body_is_found_among_other_meshes(tmp_path: Path, kind: str) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    add_plane("Hat")
    export(tmp_path / f"body.{kind}")
    start_anew()
    bpy.ops.uvmap_id.add_body(filepath=str(tmp_path / f"body.{kind}"))
    assert bpy.context.scene.uvmap_id.body_layout == MANNEQUIN
    assert any("Hat" in item.name for item in bpy.data.objects)


@pytest.mark.parametrize("kind", ["fbx", "glb", "abc"])
@pytest.mark.parametrize("content", ["two", "no mesh", "no uvs"])
def test_files_without_one_body_change_nothing(tmp_path: Path, kind: str, content: str) -> None:
    if content == "no mesh":
        empty = bpy.data.objects.new("Empty", None)
        bpy.context.scene.collection.objects.link(empty)
        empty.select_set(True)
    else:
        add_plane("One", uvs=content == "two")
        if content == "two":
            add_plane("Two")
    export(tmp_path / f"body.{kind}")
    start_anew()
    before = names_in_file()
    code = "body_without_uvs: " if content == "no uvs" else "body_unreadable: "
    with pytest.raises(RuntimeError, match=code):
        bpy.ops.uvmap_id.add_body(filepath=str(tmp_path / f"body.{kind}"))
    assert names_in_file() == before
    assert bpy.context.scene.uvmap_id.body is None


@pytest.mark.parametrize("kind", [*KINDS, "ply"])
@pytest.mark.parametrize(
    "content", [b"", b"nonsense" * 100, b"glTF\x02\0\0\0\xff\xff\xff\x7f", b"Kaydara FBX Binary  \0"]
)
def test_damaged_files_change_nothing(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / f"body.{kind}"
    path.write_bytes(content)
    before = names_in_file()
    with pytest.raises(RuntimeError, match="body_unreadable: "):
        bpy.ops.uvmap_id.add_body(filepath=str(path))
    assert names_in_file() == before


@pytest.mark.parametrize("kind", ["fbx", "glb", "abc"])
def test_truncated_files_change_nothing(tmp_path: Path, kind: str) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    path = tmp_path / f"body.{kind}"
    export(path)
    start_anew()
    before = names_in_file()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RuntimeError, match="body_unreadable: "):
        bpy.ops.uvmap_id.add_body(filepath=str(path))
    assert names_in_file() == before


def test_places_that_are_no_numbers_change_nothing(tmp_path: Path) -> None:
    """In Alembic; Blender's importers of FBX and glTF put a 0 in their place."""
    plane = add_plane()
    plane.data.vertices[2].co.x = 12345.0
    path = tmp_path / "body.abc"
    export(path)
    path.write_bytes(path.read_bytes().replace(np.float32(12345).tobytes(), np.float32(np.nan).tobytes()))
    start_anew()
    before = names_in_file()
    with pytest.raises(RuntimeError, match=r"body_unreadable: .*no numbers"):
        bpy.ops.uvmap_id.add_body(filepath=str(path))
    assert names_in_file() == before


@pytest.mark.parametrize(
    ("name", "layout"), [("SMPL_male_default_resolution.obj", "SMPL atlas"), ("SMPLX-female.obj", "SMPL-X atlas")]
)
def test_real_bodies_are_known(smpl: Path, scene: bpy.types.Scene, name: str, layout: str) -> None:
    bpy.ops.uvmap_id.add_body(filepath=str(smpl / name))
    assert scene.uvmap_id.body_layout == layout
    # By its UVs alone.
    body = scene.uvmap_id.body
    body.name = body.data.name = "anything"
    body.data.uv_layers[0].name = "map1"
    scene.uvmap_id.body = None
    assert scene.uvmap_id.body_layout == ""
    scene.uvmap_id.body = body
    assert scene.uvmap_id.body_layout == layout


@pytest.fixture
def asking(scene: bpy.types.Scene, tmp_path: Path, no_backend: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scene that lacks nothing but a body and a backend."""
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(tmp_path / "none"))
    write_png(tmp_path / "face.png", (200, 150, 120))
    scene.uvmap_id.face_image = str(tmp_path / "face.png")
    scene.uvmap_id.prompt = "wearing a red dress"


def _generate_fails(reason: str) -> None:
    with pytest.raises(RuntimeError, match=reason):
        bpy.ops.uvmap_id.generate()


@pytest.mark.usefixtures("asking")
def test_generate_refuses_smplx_with_the_fix(smpl: Path, scene: bpy.types.Scene) -> None:
    bpy.ops.uvmap_id.add_body(filepath=str(smpl / "SMPLX-male.obj"))
    for scene.uvmap_id.assign_anyway in (False, True):
        _generate_fails(r"body_layout_differs: .*SMPL-X.*Transfer Texture")


@pytest.mark.usefixtures("asking")
def test_generate_refuses_an_unknown_layout_unless_told(scene: bpy.types.Scene) -> None:
    scene.uvmap_id.body = add_plane()
    assert scene.uvmap_id.body_layout == "Unknown layout"
    _generate_fails(r"body_layout_differs: .*Transfer Texture.*Assign Anyway")
    scene.uvmap_id.assign_anyway = True
    _generate_fails("backend_not_found: ")


def test_the_command_refuses_an_unknown_layout_unless_told(
    module: Callable[[str], ModuleType],
    tmp_path: Path,
    no_backend: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(tmp_path / "none"))
    write_png(tmp_path / "face.png", (200, 150, 120))
    add_plane()
    export(tmp_path / "plane.obj")
    arguments = [
        "render",
        "--face",
        str(tmp_path / "face.png"),
        "--prompt",
        "red",
        "--body",
        str(tmp_path / "plane.obj"),
    ]
    arguments += ["--out", str(tmp_path / "out.png")]
    for more, code in ([], "body_layout_differs: "), (["--assign-anyway"], "backend_not_found: "):
        assert module("cli").main(arguments + more) == 1
        assert code in capfd.readouterr().err


@pytest.mark.usefixtures("asking")
def test_generate_looks_again_at_a_body_that_was_changed(scene: bpy.types.Scene) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    _generate_fails("backend_not_found: ")
    for item in scene.uvmap_id.body.data.uv_layers[0].uv:
        item.vector = (0.5, 0.5)
    _generate_fails("body_layout_differs: ")
    assert scene.uvmap_id.body_layout == "Unknown layout"


def test_the_layout_is_that_of_the_rendered_uvs_also_in_edit_mode(
    module: Callable[[str], ModuleType], scene: bpy.types.Scene
) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    body, layout = scene.uvmap_id.body, module("body").layout
    bpy.ops.object.mode_set(mode="EDIT")
    assert layout(body).value == MANNEQUIN
    bpy.ops.object.mode_set(mode="OBJECT")
    other = body.data.uv_layers.new(do_init=False)
    body.data.uv_layers.active = other
    assert layout(body).value == MANNEQUIN
    other.active_render = True
    assert layout(body).value == "Unknown layout"


def test_the_layout_is_found_in_no_time(module: Callable[[str], ModuleType], scene: bpy.types.Scene) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    module("body").layout(scene.uvmap_id.body)
    start = time.perf_counter()
    module("body").layout(scene.uvmap_id.body)
    assert time.perf_counter() - start < 0.5
