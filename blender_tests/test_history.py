"""What was made is kept, found, worn again, compared, recalled and deleted; and how strongly a material shows it."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# pyright: reportOptionalSubscript=false, reportIndexIssue=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import dataclasses
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
from conftest import make_textures, write_png

Module = Callable[[str], ModuleType]


@pytest.fixture
def character(scene: bpy.types.Scene, tmp_path: Path) -> bpy.types.Scene:
    """A saved file with a mannequin."""
    bpy.ops.uvmap_id.add_mannequin()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "character.blend"))
    return bpy.context.scene


def made(module: Module, scene: bpy.types.Scene, name: str, color: tuple[int, int, int], **fields: Any) -> Path:
    """A texture set that a job has made, in the history and on the body."""
    folder = make_textures(Path(bpy.data.filepath).parent / "textures" / "uvmap_id" / name, color)
    request = module("link.request").TextureRequest("0" * 64, name, **fields)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["request"] = dataclasses.asdict(request)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    origin = module("jobs").Origin(scene.session_uid, faces=("/photos/a.jpg", "/photos/b.npy"))
    job = module("jobs").Job(request, scene.session_uid, 0, 0.0, id=name, origin=origin)
    module("current").history().record(job, folder)
    module("material").assign(scene.uvmap_id.body, module("results").maps_in(folder))
    return folder


def worn(module: Module, scene: bpy.types.Scene) -> Path:
    return module("material").folder_of(scene.uvmap_id.body)


def test_apply_and_compare(character: bpy.types.Scene, module: Module) -> None:
    first, second = (made(module, character, name, (200, 30, shade)) for name, shade in (("first", 1), ("second", 2)))
    settings = character.uvmap_id
    assert [entry.name for entry in settings.history] == ["first · 0", "second · 0"]
    assert (settings.history_index, worn(module, character)) == (1, second)
    settings.history_index = 0
    for shown in (first, second, first, second):
        assert bpy.ops.uvmap_id.history_compare() == {"FINISHED"}
        assert worn(module, character) == shown
    assert bpy.ops.uvmap_id.history_apply() == {"FINISHED"}
    assert worn(module, character) == first


def test_recall_sets_everything(character: bpy.types.Scene, module: Module) -> None:
    request = module("link.request")
    diffusion = request.DiffusionSettings(
        weights="mine", preset="draft", steps=20, scheduler="euler", guidance=5.1, guidance_start=0.1,
        guidance_stop=0.9, identity_strength=1.3, negative_prompt="", template="{prompt}", anchor=0.3, upscaler="two",
    )  # fmt: skip
    fields = {
        "subject": "woman", "engine": "uvmap-id", "size": 2048, "seed": 2**31 - 1, "relight": 0.25,
        "extra_maps": ("orm", "subsurface"), "normal_convention": "directx", "diffusion": diffusion,
    }  # fmt: skip
    made(module, character, "everything", (1, 2, 3), **fields)
    settings = character.uvmap_id
    settings.seed_lock, settings.variations, settings.prompt = False, 4, "other"
    assert bpy.ops.uvmap_id.history_recall() == {"FINISHED"}
    found = module("operators.generate").request_of(settings)
    assert found == request.TextureRequest("", "everything", **fields)
    assert (settings.face_image, [face.path for face in settings.more_faces]) == ("/photos/a.jpg", ["/photos/b.npy"])
    assert (settings.seed_lock, settings.variations) == (True, 1)


def test_recall_from_a_manifest_and_from_a_map(character: bpy.types.Scene, module: Module, tmp_path: Path) -> None:
    folder = made(module, character, "red dress", (1, 2, 3), seed=7)
    settings = character.uvmap_id
    settings.face_image = "/photos/mine.jpg"
    for file, prompt in ((folder / "manifest.json", "red dress"), (tmp_path / "map.png", "in the map")):
        if file.suffix == ".png":
            text = json.dumps({"request": {"face_sha256": "0" * 64, "prompt": prompt, "seed": 7}})
            put_text(folder / "base_color.png", file, text)
        settings.prompt, settings.seed = "", 0
        assert bpy.ops.uvmap_id.recall_file(filepath=str(file)) == {"FINISHED"}
        assert (settings.prompt, settings.seed, settings.face_image) == (prompt, 7, "/photos/mine.jpg")


def put_text(source: Path, target: Path, text: str, *, compressed: bool = False, damage: bool = False) -> None:
    """Copy a PNG with the manifest's chunk, written here by the PNG specification."""
    content = zlib.compress(text.encode()) if compressed else text.encode()
    data = b"uvmap_id\0" + bytes([compressed, 0]) + b"\0\0" + content
    crc = zlib.crc32(b"iTXt" + data) ^ damage
    chunk = struct.pack(">I", len(data)) + b"iTXt" + data + struct.pack(">I", crc)
    png = source.read_bytes()
    # After the signature and the header.
    target.write_bytes(png[:33] + chunk + png[33:])


def test_compressed_text_is_read(module: Module, textures: Path, tmp_path: Path) -> None:
    put_text(textures / "normal.png", tmp_path / "a.png", '{"request": {"prompt": "Zoë"}}', compressed=True)
    assert module("png").manifest_of(tmp_path / "a.png") == {"request": {"prompt": "Zoë"}}


@pytest.mark.parametrize("case", ["plain", "no request", "damaged", "cut", "no png", "empty", "deep", "missing"])
def test_files_that_say_nothing(character: bpy.types.Scene, textures: Path, tmp_path: Path, case: str) -> None:
    source, path = textures / "normal.png", tmp_path / "map.png"
    texts = {"no request": '{"a": 1}', "damaged": '{"request": {}}', "deep": "[" * 100_000}
    if case in texts:
        put_text(source, path, texts[case], damage=case == "damaged")
    elif case != "missing":
        content = {"plain": source.read_bytes(), "cut": source.read_bytes()[:40], "no png": b"GIF89a", "empty": b""}
        path.write_bytes(content[case])
    code = "image_unreadable" if case == "missing" else "settings_unreadable"
    with pytest.raises(RuntimeError, match=code):
        bpy.ops.uvmap_id.recall_file(filepath=str(path))
    assert character.uvmap_id.prompt == ""


def test_what_can_not_be_accepted_changes_nothing(character: bpy.types.Scene, module: Module) -> None:
    made(module, character, "jeans", (1, 2, 3))
    entry = character.uvmap_id.history[0]
    values = json.loads(entry.settings)
    for name, value in (("size", 77), ("seed", 2**31), ("engine", "other"), ("nonsense", 1), ("prompt", 3)):
        entry.settings = json.dumps({**values, "request": {**values["request"], name: value}})
        with pytest.raises(RuntimeError):
            bpy.ops.uvmap_id.history_recall()
        assert character.uvmap_id.prompt == ""


def test_delete_spares_what_is_used(character: bpy.types.Scene, module: Module) -> None:
    first, second = (made(module, character, name, (200, 30, shade)) for name, shade in (("first", 1), ("second", 2)))
    settings = character.uvmap_id
    settings.history_index = 1
    assert bpy.ops.uvmap_id.history_delete(files=True) == {"FINISHED"}
    # The body wears it.
    assert second.is_dir()
    assert [entry.job for entry in settings.history] == ["first"]
    copied = settings.history.add()
    for name in ("name", "folder", "thumbnail", "settings"):
        setattr(copied, name, getattr(settings.history[0], name))
    copied.job = "copied"
    settings.history_index = 0
    bpy.ops.uvmap_id.history_delete(files=True)
    # The other entry has the same folder.
    assert first.is_dir()
    settings.history_index = 0
    bpy.ops.uvmap_id.history_delete(files=False)
    assert first.is_dir()
    assert bpy.ops.uvmap_id.history_find() == {"FINISHED"}
    assert sorted(entry.job for entry in settings.history) == ["first", "second"]
    settings.history_index = [entry.job for entry in settings.history].index("first")
    bpy.ops.uvmap_id.history_delete(files=True)
    assert not first.exists()
    settings.history.clear()
    with pytest.raises(RuntimeError, match="history"):
        bpy.ops.uvmap_id.history_apply()


def test_deleted_entries_do_not_come_back_with_an_undo(character: bpy.types.Scene, module: Module) -> None:
    made(module, character, "first", (1, 2, 3))
    bpy.ops.uvmap_id.history_delete(files=False)
    assert module("current").history().restore() == 0
    assert len(character.uvmap_id.history) == 0


def test_the_history_moves_with_its_file(character: bpy.types.Scene, module: Module, tmp_path: Path) -> None:
    made(module, character, "first", (1, 2, 3))
    bpy.ops.wm.save_mainfile()
    (tmp_path / "elsewhere").mkdir()
    for name in ("character.blend", "textures"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "elsewhere" / "character.blend"))
    scene = bpy.context.scene
    bpy.ops.uvmap_id.history_apply()
    assert worn(module, scene) == tmp_path / "elsewhere" / "textures" / "uvmap_id" / "first"


def test_maps_that_are_gone_are_an_answer(character: bpy.types.Scene, module: Module) -> None:
    first, _ = made(module, character, "first", (1, 2, 3)), made(module, character, "second", (1, 2, 4))
    (first / "manifest.json").unlink()
    character.uvmap_id.history_index = 0
    with pytest.raises(RuntimeError, match="result_damaged"):
        bpy.ops.uvmap_id.history_apply()
    assert worn(module, character).name == "second"
    shutil.rmtree(first)
    for name in ("apply", "compare", "reveal"):
        with pytest.raises(RuntimeError, match=r"result_damaged: The maps are gone: .* Recall Settings"):
            getattr(bpy.ops.uvmap_id, f"history_{name}")()
    assert worn(module, character).name == "second"


def test_a_compared_set_that_is_gone_is_not_shown(character: bpy.types.Scene, module: Module) -> None:
    first, second = (made(module, character, name, (200, 30, shade)) for name, shade in (("first", 1), ("second", 2)))
    character.uvmap_id.history_index = 0
    bpy.ops.uvmap_id.history_compare()
    shutil.rmtree(second)
    for _ in range(2):
        assert bpy.ops.uvmap_id.history_compare() == {"FINISHED"}
        assert worn(module, character) == first


def test_what_is_gone_is_not_packed(character: bpy.types.Scene, module: Module) -> None:
    (made(module, character, "first", (1, 2, 3)) / "normal.png").unlink()
    with pytest.raises(RuntimeError, match=r"result_damaged: The maps are gone: there is no .*normal\.png"):
        bpy.ops.uvmap_id.pack_textures()
    assert not any(image.packed_file for image in module("material").images_of(character.uvmap_id.body))


def test_thumbnails_come_out_of_the_base_colour(module: Module, tmp_path: Path, textures: Path) -> None:
    write_png(tmp_path / "small.png", (9, 9, 9), 16)
    small = (tmp_path / "small.png").read_bytes()
    chunk = struct.pack(">I", len(small)) + b"thMB" + small + struct.pack(">I", zlib.crc32(b"thMB" + small))
    png = (textures / "base_color.png").read_bytes()
    (textures / "base_color.png").write_bytes(png[:33] + chunk + png[33:])
    path = module("history").keep_thumbnail(textures)
    assert path.read_bytes() == small
    assert path.parent.parent == textures.parent


def test_textures_are_packed(character: bpy.types.Scene, module: Module) -> None:
    with pytest.raises(RuntimeError, match="body_without_textures"):
        bpy.ops.uvmap_id.pack_textures()
    made(module, character, "first", (1, 2, 3))
    assert bpy.ops.uvmap_id.pack_textures() == {"FINISHED"}
    images = module("material").images_of(character.uvmap_id.body)
    assert len(images) == 3
    assert all(image.packed_file for image in images)
    # What is packed needs its files no longer.
    bpy.ops.uvmap_id.history_delete(files=True)
    assert not (Path(bpy.data.filepath).parent / "textures" / "uvmap_id" / "first").exists()


def test_the_look_is_neutral_at_first_and_again(character: bpy.types.Scene, module: Module) -> None:
    made(module, character, "first", (1, 2, 3))
    made(module, character, "second", (9, 2, 3))
    material = module("material").worn_by(character.uvmap_id.body)
    look, tree = material.uvmap_id_look, material.node_tree
    plain = links(tree)
    assert ("UVMap-ID Base Color", "UVMap-ID Principled BSDF", "Base Color") in plain
    look.roughness, look.normal_strength, look.mix = 0.5, 1.5, 0.25
    assert tree.nodes["UVMap-ID Roughness Factor"].inputs[1].default_value == pytest.approx(0.5)
    assert tree.nodes["UVMap-ID Normal Map"].inputs["Strength"].default_value == pytest.approx(1.5)
    previous = tree.nodes["UVMap-ID Base Color Previous"].image
    assert Path(bpy.path.abspath(previous.filepath)).parent.name == "first"
    assert ("UVMap-ID Base Color Mix", "UVMap-ID Principled BSDF", "Base Color") in links(tree)
    look.roughness = look.normal_strength = 1.0
    look.mix = 0.0
    assert links(tree) == plain
    assert not [image for image in bpy.data.images if "first" in image.filepath]


def test_a_new_texture_shows_itself_and_keeps_the_look(character: bpy.types.Scene, module: Module) -> None:
    made(module, character, "first", (1, 2, 3))
    made(module, character, "second", (9, 2, 3))
    look = module("material").worn_by(character.uvmap_id.body).uvmap_id_look
    look.roughness, look.mix = 0.5, 1.0
    made(module, character, "third", (9, 9, 3))
    assert (look.roughness, look.mix, Path(look.previous).name) == (0.5, 0.0, "second")


def test_a_previous_set_that_is_gone_is_not_mixed(character: bpy.types.Scene, module: Module) -> None:
    first, _ = made(module, character, "first", (1, 2, 3)), made(module, character, "second", (9, 2, 3))
    (first / "manifest.json").unlink()
    material = module("material").worn_by(character.uvmap_id.body)
    before = links(material.node_tree)
    material.uvmap_id_look.mix = 0.5
    assert links(material.node_tree) == before


def test_mixing_shows_the_mean_of_both(character: bpy.types.Scene, module: Module, tmp_path: Path) -> None:
    made(module, character, "first", (255, 0, 0))
    made(module, character, "second", (0, 0, 255))
    look = module("material").worn_by(character.uvmap_id.body).uvmap_id_look
    shades = []
    for mix in (0.0, 0.5, 1.0):
        look.mix = mix
        path = tmp_path / f"{mix}.png"
        bpy.ops.uvmap_id.render_character(filepath=str(path), resolution=(64, 96), samples=4)
        image = bpy.data.images.load(str(path))
        pixels = list(image.pixels)
        bpy.data.images.remove(image)
        shades.append((sum(pixels[0::4]), sum(pixels[2::4])))
    (red0, blue0), (red1, blue1), (red2, blue2) = shades
    assert red0 < red1 < red2
    assert blue0 > blue1 > blue2


def links(tree: bpy.types.NodeTree) -> set[tuple[str, str, str]]:
    return {(link.from_node.name, link.to_node.name, link.to_socket.name) for link in tree.links}
