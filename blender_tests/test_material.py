"""The material: linked by socket, in the right colour spaces, made once."""

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
from conftest import Color, make_textures, names_in_file

Assign = Callable[[Path], bpy.types.Material]


@pytest.fixture
def assign(module: Callable[[str], ModuleType], scene: bpy.types.Scene) -> Assign:
    """Puts the texture set of a folder on the scene's mannequin."""
    bpy.ops.uvmap_id.add_mannequin()
    body = scene.uvmap_id.body
    return lambda folder: module("material").assign(body, module("results").maps_in(folder))


def test_maps_reach_their_sockets(assign: Assign, textures: Path) -> None:
    tree = assign(textures).node_tree
    shader = _source(tree, "OUTPUT_MATERIAL", "Surface")
    assert shader.type == "BSDF_PRINCIPLED"
    normal_map = shader.inputs["Normal"].links[0].from_node
    assert normal_map.type == "NORMAL_MAP"
    found = {
        "base_color": shader.inputs["Base Color"].links[0].from_node.image,
        "roughness": shader.inputs["Roughness"].links[0].from_node.image,
        "normal": normal_map.inputs["Color"].links[0].from_node.image,
    }
    for name, image in found.items():
        assert Path(bpy.path.abspath(image.filepath)) == textures / f"{name}.png"
        assert image.size[0] == 8
    assert found["base_color"].colorspace_settings.name == "sRGB"
    assert found["roughness"].colorspace_settings.name == "Non-Color"
    assert found["normal"].colorspace_settings.name == "Non-Color"


def test_either_convention_of_normals_renders_the_same(
    assign: Assign, module: Callable[[str], ModuleType], scene: bpy.types.Scene, tmp_path: Path
) -> None:
    tilted: Color = (150, 200, 220)
    flipped: Color = (150, 55, 220)
    sets = {
        "up": make_textures(tmp_path / "up", (180, 120, 90), normal=tilted),
        "down": make_textures(tmp_path / "down", (180, 120, 90), "directx", normal=flipped),
        "wrong": make_textures(tmp_path / "wrong", (180, 120, 90), normal=flipped),
        "up again": make_textures(tmp_path / "again", (180, 120, 90), normal=tilted),
    }
    stage, pictures = module("stage"), {}
    for name, folder in sets.items():
        assign(folder)
        path = stage.render(scene.uvmap_id.body, tmp_path / f"{name}.png", stage.Shot(stage.View.FACE, 64, 64, 4))
        pictures[name] = _pixels(path)
    assert np.abs(pictures["up"] - pictures["down"]).max() < 0.01
    assert np.abs(pictures["up"] - pictures["up again"]).max() < 0.01
    assert np.abs(pictures["up"] - pictures["wrong"]).max() > 0.1


def _pixels(path: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    image = bpy.data.images.load(str(path))
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels


def test_skin_scatters_light_where_the_mask_says_so(assign: Assign, textures: Path, tmp_path: Path) -> None:
    plain, nodes = assign(textures), len(assign(textures).node_tree.nodes)
    before = names_in_file()
    masked = make_textures(tmp_path / "masked", (200, 30, 30), subsurface=(255, 255, 255), orm=(255, 128, 0))
    assert assign(masked) == plain
    shader = _source(plain.node_tree, "OUTPUT_MATERIAL", "Surface")
    mask = shader.inputs["Subsurface Weight"].links[0].from_node.image
    assert Path(bpy.path.abspath(mask.filepath)) == masked / "subsurface.png"
    assert mask.colorspace_settings.name == "Non-Color"
    # Millimetres of a person of natural size.
    assert 0.001 < shader.inputs["Subsurface Scale"].default_value < 0.01
    assign(textures)
    assert len(plain.node_tree.nodes) == nodes
    assert shader.inputs["Subsurface Weight"].default_value == 0
    assert names_in_file() == before


def test_assigning_again_piles_nothing_up(assign: Assign, textures: Path, tmp_path: Path) -> None:
    material = assign(textures)
    before = names_in_file()
    nodes = len(material.node_tree.nodes)
    other = make_textures(tmp_path / "other", (10, 200, 10))
    assert assign(other) == material
    assert assign(textures) == material
    assert names_in_file() == before
    assert len(material.node_tree.nodes) == nodes


def test_new_content_under_an_old_path_is_seen(assign: Assign, tmp_path: Path) -> None:
    folder = make_textures(tmp_path / "a", (255, 0, 0))
    image = _base_color(assign(folder))
    assert image.pixels[:3] == pytest.approx((1, 0, 0), abs=0.01)
    green = make_textures(tmp_path / "b", (0, 255, 0))
    (green / "base_color.png").replace(folder / "base_color.png")
    assert _base_color(assign(folder)).pixels[:3] == pytest.approx((0, 1, 0), abs=0.01)


def test_body_wears_only_this_material(module: Callable[[str], ModuleType], textures: Path) -> None:
    bpy.ops.mesh.primitive_cube_add()
    body = bpy.context.object
    mesh = body.data
    for name in ("skin", "cloth"):
        mesh.materials.append(bpy.data.materials.new(name))
    mesh.polygons.foreach_set("material_index", [1] * len(mesh.polygons))
    material = module("material").assign(body, module("results").maps_in(textures))
    assert list(mesh.materials) == [material]
    assert {polygon.material_index for polygon in mesh.polygons} == {0}


def test_two_bodies_wear_two_materials(assign: Assign, module: Callable[[str], ModuleType], textures: Path) -> None:
    first = assign(textures)
    bpy.ops.uvmap_id.add_mannequin()
    second = module("material").assign(bpy.context.scene.uvmap_id.body, module("results").maps_in(textures))
    assert first != second


def test_images_beside_a_saved_file_are_relative(assign: Assign, textures: Path, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "character.blend"))
    assert _base_color(assign(textures)).filepath.startswith("//")


def test_an_incomplete_set_is_refused(assign: Assign, textures: Path, module: Callable[[str], ModuleType]) -> None:
    (textures / "normal.png").unlink()
    with pytest.raises(module("link.errors").UVMapError, match="result_damaged"):
        assign(textures)


@pytest.mark.parametrize("text", ["", "{}", '{"maps": []}', "[" * 100_000])
def test_a_set_without_a_real_manifest_is_refused(
    assign: Assign, textures: Path, module: Callable[[str], ModuleType], text: str
) -> None:
    (textures / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(module("link.errors").UVMapError, match="settings_unreadable"):
        assign(textures)


def _base_color(material: bpy.types.Material) -> bpy.types.Image:
    return _source(material.node_tree, "OUTPUT_MATERIAL", "Surface").inputs["Base Color"].links[0].from_node.image


def _source(tree: bpy.types.NodeTree, kind: str, socket: str) -> bpy.types.Node:
    node = next(node for node in tree.nodes if node.type == kind)
    return node.inputs[socket].links[0].from_node
