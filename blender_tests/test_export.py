"""Export: what another program finds in the file, and that the scene is as it was."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# pyright: reportIndexIssue=false, reportOptionalSubscript=false, reportMissingImports=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
from conftest import make_textures, names_in_file
from skeletons import add_armature, add_body

Module = Callable[[str], ModuleType]
COLOR, ROUGHNESS, TILTED, TILTED_DOWN = (200, 30, 30), (90, 90, 90), (150, 200, 220), (150, 55, 220)
FRAMES = 6


@pytest.fixture(params=["opengl", "directx"])
def character(
    request: pytest.FixtureRequest, module: Module, scene: bpy.types.Scene, tmp_path: Path
) -> bpy.types.Object:
    """A textured body with armature, shape keys and a motion of a fifth of a second."""
    armature = add_armature(module("skeleton").PARENTS)
    body = scene.uvmap_id.body = add_body(armature)
    normal = TILTED if request.param == "opengl" else TILTED_DOWN
    folder = make_textures(
        tmp_path / "set", COLOR, request.param, normal=normal, roughness=ROUGHNESS, subsurface=(255, 255, 255)
    )
    module("material").assign(body, module("results").maps_in(folder))
    poses = np.zeros((FRAMES, 66))
    poses[:, 16 * 3 + 2] = np.linspace(0, -1, FRAMES)
    np.savez(tmp_path / "wave.npz", poses=poses, mocap_framerate=scene.render.fps)
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "wave.npz"))
    return body


def glb_content(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary chunk, as the format's specification lays them out."""
    content = path.read_bytes()
    assert struct.unpack_from("<4sII", content) == (b"glTF", 2, len(content))
    length, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    document = json.loads(content[20 : 20 + length])
    size, kind = struct.unpack_from("<I4s", content, 20 + length)
    assert kind == b"BIN\0"
    return document, content[28 + length : 28 + length + size]


def _image(document: dict[str, Any], binary: bytes, texture: dict[str, Any]) -> np.ndarray:
    from PIL import Image

    image = document["images"][document["textures"][texture["index"]]["source"]]
    view = document["bufferViews"][image["bufferView"]]
    start = view.get("byteOffset", 0)
    return np.asarray(Image.open(io.BytesIO(binary[start : start + view["byteLength"]])).convert("RGB"))


def test_glb_holds_everything(character: bpy.types.Object, tmp_path: Path) -> None:
    bpy.ops.uvmap_id.export_character(filepath=str(tmp_path / "c.glb"))
    document, binary = glb_content(tmp_path / "c.glb")
    (skin,) = document["skins"]
    names = {document["nodes"][joint]["name"] for joint in skin["joints"]}
    assert {"pelvis", "left_elbow", "right_ankle", "head"} <= names
    (mesh,) = document["meshes"]
    (primitive,) = mesh["primitives"]
    assert {"POSITION", "NORMAL", "TEXCOORD_0", "JOINTS_0", "WEIGHTS_0"} <= set(primitive["attributes"])
    assert mesh["extras"]["targetNames"] == ["Shape000", "Shape001"]
    assert len(primitive["targets"]) == 2
    (animation,) = document["animations"]
    paths = {(document["nodes"][c["target"]["node"]]["name"], c["target"]["path"]) for c in animation["channels"]}
    assert ("left_shoulder", "rotation") in paths
    (material,) = document["materials"]
    plain = material["pbrMetallicRoughness"]
    assert plain.get("metallicFactor", 1) == 0
    assert _image(document, binary, plain["baseColorTexture"]).reshape(-1, 3)[0].tolist() == list(COLOR)
    # glTF keeps roughness in green.
    assert (_image(document, binary, plain["metallicRoughnessTexture"])[..., 1] == ROUGHNESS[0]).all()
    # And wants OpenGL's normals, whatever the material shows.
    assert np.abs(_image(document, binary, material["normalTexture"]).astype(int) - TILTED).max() <= 1


def test_trimesh_reads_the_glb(character: bpy.types.Object, tmp_path: Path) -> None:
    import trimesh

    bpy.ops.uvmap_id.export_character(filepath=str(tmp_path / "c.glb"))
    loaded = trimesh.load_scene(tmp_path / "c.glb")
    (mesh,) = loaded.geometry.values()
    assert len(mesh.faces) == 2 * len(character.data.polygons)
    assert mesh.visual.uv.shape == (len(mesh.vertices), 2)
    assert mesh.visual.uv.min() == pytest.approx(0.1, abs=1e-5)
    assert mesh.visual.uv.max() == pytest.approx(0.9, abs=1e-5)
    texture = mesh.visual.material
    assert texture.baseColorTexture.getpixel((0, 0))[:3] == COLOR
    assert texture.normalTexture is not None
    # y up and metres, as glTF wants it.
    height = np.ptp(mesh.vertices, axis=0)
    assert height.argmax() in (0, 1)
    assert 1.4 < height[1] < 1.8


def test_gltf_is_one_file(character: bpy.types.Object, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    bpy.ops.uvmap_id.export_character(filepath=str(tmp_path / "out/c.gltf"), animation=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.gltf"]
    document = json.loads((tmp_path / "out/c.gltf").read_text(encoding="utf-8"))
    assert "animations" not in document
    assert len(document["images"]) >= 3
    for item in (*document["buffers"], *document["images"]):
        head, _, content = item["uri"].partition(",")
        assert head in ("data:application/octet-stream;base64", "data:image/png;base64")
        assert base64.b64decode(content, validate=True)
    import trimesh

    (mesh,) = trimesh.load_scene(tmp_path / "out/c.gltf").geometry.values()
    assert mesh.visual.material.baseColorTexture is not None


def test_fbx_comes_back(character: bpy.types.Object, tmp_path: Path, scene: bpy.types.Scene) -> None:
    faces, bones = len(character.data.polygons), len(character.parent.data.bones)
    bpy.ops.uvmap_id.export_character(filepath=str(tmp_path / "c.fbx"))
    content = (tmp_path / "c.fbx").read_bytes()
    assert content.count(b"\x89PNG\r\n\x1a\n") >= 3
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    (tmp_path / "moved").mkdir()
    (tmp_path / "c.fbx").rename(tmp_path / "moved/c.fbx")
    bpy.ops.import_scene.fbx(filepath=str(tmp_path / "moved/c.fbx"))
    (body,) = (item for item in bpy.data.objects if item.type == "MESH")
    assert len(body.data.polygons) == faces
    assert len(body.data.uv_layers) == 1
    assert len(body.find_armature().data.bones) == bones
    assert [key.name for key in body.data.shape_keys.key_blocks] == ["Basis", "Shape000", "Shape001"]
    assert {image.name for image in bpy.data.images} >= {"base_color.png", "roughness.png"}
    assert len(bpy.data.actions) > 0
    assert len(body.data.materials) == 1


@pytest.mark.parametrize("name", ["c.glb", "c.fbx"])
def test_the_scene_stays_as_it_was(
    character: bpy.types.Object, scene: bpy.types.Scene, tmp_path: Path, name: str
) -> None:
    other = bpy.data.objects.new("Other", None)
    scene.collection.objects.link(other)
    other.select_set(True)
    bpy.context.view_layer.objects.active = other
    character.hide_set(True)
    scene.frame_set(3)
    before = _state(character), names_in_file()
    bpy.ops.uvmap_id.export_character(filepath=str(tmp_path / name))
    assert (_state(character), names_in_file()) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_plain_body_is_exported_too(scene: bpy.types.Scene, tmp_path: Path, module: Module) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    bpy.ops.uvmap_id.export_character(filepath=str(tmp_path / "m.glb"))
    document, _ = glb_content(tmp_path / "m.glb")
    assert len(document["meshes"]) == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("c.obj", "export_failed: .*glb, .gltf, .fbx"),
        ("c", "export_failed"),
        ("none/c.glb", "output_not_writable"),
        ("folder.glb", "output_not_writable"),
    ],
)
def test_refusals_leave_the_old_file(character: bpy.types.Object, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder.glb").mkdir()
    before = sorted(tmp_path.iterdir()), names_in_file()
    with pytest.raises(RuntimeError, match=reason):
        bpy.ops.uvmap_id.export_character(filepath=str(tmp_path / name))
    assert (sorted(tmp_path.iterdir()), names_in_file()) == before


def test_a_failed_export_keeps_the_older_file(
    character: bpy.types.Object, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    """A body outside of the view layer can't be exported; nor can it cost what was exported before."""
    path = tmp_path / "c.glb"
    bpy.ops.uvmap_id.export_character(filepath=str(path))
    whole = path.read_bytes()
    away = bpy.data.collections.new("Away")
    scene.collection.children.link(away)
    away.objects.link(character)
    scene.collection.objects.unlink(character)
    bpy.context.view_layer.layer_collection.children["Away"].exclude = True
    with pytest.raises(RuntimeError, match=r"export_failed: .*view layer"):
        bpy.ops.uvmap_id.export_character(filepath=str(path))
    assert path.read_bytes() == whole


def test_without_a_body_nothing_is_exported(scene: bpy.types.Scene, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="body_missing"):
        bpy.ops.uvmap_id.export_character(filepath=str(tmp_path / "c.glb"))
    assert list(tmp_path.iterdir()) == []


def _state(character: bpy.types.Object) -> Any:
    context = bpy.context
    objects = [(item.name, item.select_get(), item.hide_get(), item.hide_viewport) for item in context.scene.objects]
    worn = [slot.material.name for slot in character.material_slots]
    armature = character.parent
    action = armature.animation_data.action.name
    poses = [tuple(bone.rotation_quaternion) for bone in armature.pose.bones]
    return objects, context.view_layer.objects.active.name, context.scene.frame_current, worn, action, poses


def test_command_exports_a_texture_set(
    module: Module, tmp_path: Path, textures: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--textures", str(textures), "--out", str(tmp_path / "c.glb")]
    assert module("cli").main(["export", *arguments]) == 0
    assert capfd.readouterr().out.strip().endswith(str(tmp_path / "c.glb"))
    assert len(glb_content(tmp_path / "c.glb")[0]["images"]) >= 3
    assert module("cli").main(["export", "--textures", str(tmp_path / "none"), "--out", str(tmp_path / "d.glb")]) == 1
    assert "result_damaged" in capfd.readouterr().err
    assert not (tmp_path / "d.glb").exists()
