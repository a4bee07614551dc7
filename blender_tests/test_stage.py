"""Renders: the body is in the picture, seen from the right side, and the user's scene is left alone."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false, reportIndexIssue=false, reportGeneralTypeIssues=false, reportReturnType=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from conftest import names_in_file

# Red in front, green behind: the sides of the body must end up in the right pictures.
WIDTH, HEIGHT = 64, 96


@pytest.fixture
def two_colored(scene: bpy.types.Scene) -> bpy.types.Object:
    """The mannequin, red where it faces -y and green where it faces +y."""
    bpy.ops.uvmap_id.add_mannequin()
    body = scene.uvmap_id.body
    body.data.materials.clear()
    for name, color in (("front", (0.8, 0.02, 0.02, 1)), ("back", (0.02, 0.6, 0.02, 1))):
        material = bpy.data.materials.new(name)
        if material.node_tree is None:
            material.use_nodes = True
        material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = color
        body.data.materials.append(material)
    for polygon in body.data.polygons:
        polygon.material_index = 0 if polygon.normal.y < 0 else 1
    return body


@pytest.mark.parametrize(("view", "channel"), [("FRONT", 0), ("BACK", 1), ("FACE", 0)])
def test_views_show_their_side(two_colored: bpy.types.Object, tmp_path: Path, view: str, channel: int) -> None:
    before = names_in_file()
    path = tmp_path / "picture.png"
    bpy.ops.uvmap_id.render_character(filepath=str(path), view=view, resolution=(WIDTH, HEIGHT), samples=8)
    assert names_in_file() == before
    assert [item.name for item in tmp_path.iterdir()] == ["picture.png"]
    picture = _pixels(path)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    other = 1 - channel
    colored = picture[..., channel] > picture[..., other] + 0.15
    wrong = picture[..., other] > picture[..., channel] + 0.15
    assert colored.mean() > 0.05
    assert wrong.mean() < colored.mean() / 10
    # Nothing of the body is cut off at the sides, and the background is lit.
    assert not (colored | wrong)[:, [0, -1]].any() or view == "FACE"
    assert picture[0].mean() > 0.2


def test_any_size_is_framed_and_lit_alike(two_colored: bpy.types.Object, tmp_path: Path) -> None:
    pictures = []
    for scale in (1.0, 100.0):
        two_colored.scale = (scale, scale, scale)
        two_colored.location = (3.0 * scale, -7.0, 0.0)
        path = tmp_path / f"{scale}.png"
        bpy.ops.uvmap_id.render_character(filepath=str(path), resolution=(WIDTH, HEIGHT), samples=8)
        pictures.append(_pixels(path))
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.03


def test_the_user_scene_is_left_alone(scene: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    alone, path = tmp_path / "alone.png", tmp_path / "picture.png"
    bpy.ops.uvmap_id.render_character(filepath=str(alone), resolution=(WIDTH, HEIGHT), samples=4)
    bpy.ops.mesh.primitive_cube_add(size=10)
    scene.render.filepath = "//mine.png"
    scene.render.resolution_x = 123
    engine = scene.render.engine
    bpy.ops.uvmap_id.render_character(filepath=str(path), resolution=(WIDTH, HEIGHT), samples=4)
    assert bpy.context.scene == scene
    assert (scene.render.filepath, scene.render.resolution_x, scene.render.engine) == ("//mine.png", 123, engine)
    # The cube around the body is not in the picture.
    assert np.abs(_pixels(path) - _pixels(alone)).mean() < 0.01


def test_pictures_that_cannot_be_written(scene: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    before = names_in_file()
    for path in ("", str(tmp_path), str(tmp_path / "none" / "a.png"), str(tmp_path / "file" / "a.png")):
        with pytest.raises(RuntimeError, match="output_not_writable: "):
            bpy.ops.uvmap_id.render_character(filepath=path)
    assert names_in_file() == before
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_failed_render_keeps_the_old_picture(
    scene: bpy.types.Scene, tmp_path: Path, module: Callable[[str], ModuleType]
) -> None:
    scene.uvmap_id.body = bpy.data.objects.new("empty", bpy.data.meshes.new("empty"))
    scene.collection.objects.link(scene.uvmap_id.body)
    scene.uvmap_id.body.data.uv_layers.new(name="SMPL")
    before = names_in_file()
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="render_failed: "):
        bpy.ops.uvmap_id.render_character(filepath=str(path))
    assert path.read_bytes() == b"old"
    assert names_in_file() == before


def test_without_a_body(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="body_missing: "):
        bpy.ops.uvmap_id.render_character(filepath=str(tmp_path / "picture.png"))
    assert list(tmp_path.iterdir()) == []


def _pixels(path: Path) -> np.ndarray:
    """(height, width, 3) float32, row 0 at the top."""
    image = bpy.data.images.load(str(path))
    pixels = np.empty(len(image.pixels), dtype=np.float32)
    image.pixels.foreach_get(pixels)
    width, height = image.size
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1, :, :3]
