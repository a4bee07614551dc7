"""Texture sets on bodies: one Principled BSDF material, made once and given new images afterwards."""

# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# The stubs call optional what these nodes have, and know a looked-up node only by its base class.

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

from .blending import blend
from .body import mesh_of
from .link.errors import ErrorCode, UVMapError
from .material_nodes import (
    ALWAYS,
    BASE_COLOR,
    GREEN_UP,
    NORMAL,
    NORMAL_MAP,
    OUTPUT,
    ROUGHNESS,
    SHADER,
    SUBSURFACE,
    new_node,
    remove_texture,
    show,
)
from .results import TextureMaps
from .texture_files import write_picture

# The property of materials that `look` registers.
LOOK = "uvmap_id_look"
# Custom properties: of the material that a texture set is shown on, and of the mannequin's mesh.
MARK, MANNEQUIN = "uvmap_id", "uvmap_id_mannequin"
# How far red, green and blue light gets in skin: 3.67, 1.37 and 0.68 mm, the mean free paths that Jensen and others
# measured ("A Practical Model for Subsurface Light Transport", 2001). Metres.
_SCATTER_SCALE, _SCATTER_RADIUS = 0.00367, (1.0, 0.373, 0.185)


def assign(body: bpy.types.Object, maps: TextureMaps) -> bpy.types.Material:
    """Put a texture set on a body.

    The body's own UVMap-ID material is used again; otherwise a new one takes the place of what the body wore.

    Args:
        body: A mesh object.
        maps: Files that exist.

    Returns:
        The material.
    """
    material = _material_of(body) or _dress(body)
    if material.node_tree is None:
        # Blender 4.2 makes no tree before it is asked; 5.0 has one and deprecates the question.
        material.use_nodes = True
    nodes, look = material.node_tree.nodes, getattr(material, LOOK)
    worn = folder_of(body)
    if any(name not in nodes for name in ALWAYS):
        _build(material.node_tree)
    show(nodes[BASE_COLOR], maps.base_color, "sRGB")
    show(nodes[NORMAL], maps.normal, "Non-Color")
    show(nodes[ROUGHNESS], maps.roughness, "Non-Color")
    _turn_green_up(material.node_tree, needed=maps.green_is_down)
    _scatter(material.node_tree, maps.subsurface)
    if worn is not None and worn != maps.base_color.parent:
        look.previous = str(worn)
        # What is new is to be seen.
        look.mix = 0.0
    apply_look(material)
    return material


def apply_look(material: bpy.types.Material) -> None:
    """Show a texture set as strongly as the material's `LOOK` says."""
    tree, look = material.node_tree, getattr(material, LOOK)
    if tree is not None and all(name in tree.nodes for name in ALWAYS):
        factors = {name: getattr(look, name) for name in ("roughness", "normal_strength", "subsurface", "mix")}
        blend(tree, previous=look.previous, **factors)


def worn_by(body: bpy.types.Object | None) -> bpy.types.Material | None:
    """The material that shows a texture set on a body, if it wears one."""
    return None if body is None or folder_of(body) is None else _material_of(body)


def images_of(body: bpy.types.Object) -> list[bpy.types.Image]:
    """The images that a body wears.

    Raises:
        UVMapError: `body_without_textures`.
    """
    material = _material_of(body)
    nodes = material.node_tree.nodes if material is not None and material.node_tree is not None else ()
    images = [node.image for node in nodes if node.type == "TEX_IMAGE" and node.image is not None]
    if not images:
        raise UVMapError(
            ErrorCode.BODY_WITHOUT_TEXTURES, f'The body "{body.name}" wears no texture set.', "Generate one first."
        )
    return images


def load_in_steps(maps: TextureMaps) -> Iterator[None]:
    """Load the maps' images one by one, so that `assign` finds them; nothing shows them yet."""
    for path in (maps.base_color, maps.normal, maps.roughness, maps.subsurface):
        if path is not None:
            bpy.data.images.load(str(path), check_existing=True)
            yield


def folder_of(body: bpy.types.Object) -> Path | None:
    """Where the texture set lies that a body wears, if it wears one."""
    material = _material_of(body)
    node = material.node_tree.nodes.get(BASE_COLOR) if material is not None and material.node_tree else None
    image = node.image if node is not None else None
    return None if image is None else Path(bpy.path.abspath(image.filepath)).parent


def is_green_down(material: bpy.types.Material) -> bool:
    """True where a material shows a normal map as DirectX stores it."""
    return bool(material.get(MARK)) and material.node_tree is not None and GREEN_UP in material.node_tree.nodes


def upright(material: bpy.types.Material, path: Path) -> tuple[bpy.types.Material, bpy.types.Image]:
    """A copy of such a material with an image as OpenGL stores it, for programs that read images and not nodes.

    Args:
        material: One that `is_green_down`.
        path: The PNG file to write the image to.

    Returns:
        The copy, and its image; both are the caller's to remove.

    Raises:
        OSError: The file can't be written.
    """
    node = material.node_tree.nodes[NORMAL]
    pixels = np.empty(len(node.image.pixels), dtype=np.float32)
    node.image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(node.image.size[1], node.image.size[0], -1)[..., :3]
    write_picture(path, np.stack([pixels[..., 0], 1 - pixels[..., 1], pixels[..., 2]], axis=-1))
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    copy = material.copy()
    copy.node_tree.nodes[NORMAL].image = image
    _turn_green_up(copy.node_tree, needed=False)
    return copy, image  # pyright: ignore[reportReturnType] - a copy is what it was copied from


def _material_of(body: bpy.types.Object) -> bpy.types.Material | None:
    worn = (slot.material for slot in body.material_slots)
    return next((material for material in worn if material is not None and material.get(MARK)), None)


def _dress(body: bpy.types.Object) -> bpy.types.Material:
    material = bpy.data.materials.new(f"UVMap-ID {body.name}")
    material[MARK] = True
    mesh = mesh_of(body)
    if MANNEQUIN in mesh and mesh.materials:
        # Its eyes and its mouth keep theirs.
        mesh.materials[0] = material
        return material
    mesh.materials.clear()
    mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", np.zeros(len(mesh.polygons), np.int32))
    return material


def _build(tree: bpy.types.NodeTree) -> None:
    tree.nodes.clear()
    output = new_node(tree, bpy.types.ShaderNodeOutputMaterial, OUTPUT, (300, 0))
    shader = new_node(tree, bpy.types.ShaderNodeBsdfPrincipled, SHADER, (0, 0))
    normal_map = new_node(tree, bpy.types.ShaderNodeNormalMap, NORMAL_MAP, (-250, -400))
    base_color = new_node(tree, bpy.types.ShaderNodeTexImage, BASE_COLOR, (-600, 200))
    roughness = new_node(tree, bpy.types.ShaderNodeTexImage, ROUGHNESS, (-600, -100))
    normal = new_node(tree, bpy.types.ShaderNodeTexImage, NORMAL, (-600, -400))
    for source, target in (
        (base_color.outputs["Color"], shader.inputs["Base Color"]),
        (roughness.outputs["Color"], shader.inputs["Roughness"]),
        (normal.outputs["Color"], normal_map.inputs["Color"]),
        (normal_map.outputs["Normal"], shader.inputs["Normal"]),
        (shader.outputs["BSDF"], output.inputs["Surface"]),
    ):
        tree.links.new(source, target)


def _turn_green_up(tree: bpy.types.NodeTree, *, needed: bool) -> None:
    """Blender reads OpenGL's normals; those of DirectX have their green turned over on the way: g becomes 1 - g."""
    nodes = tree.nodes
    if needed == (GREEN_UP in nodes):
        return
    source, target = nodes[NORMAL].outputs["Color"], nodes[NORMAL_MAP].inputs["Color"]
    if not needed:
        nodes.remove(nodes[GREEN_UP])
        tree.links.new(source, target)
        return
    turn = new_node(tree, bpy.types.ShaderNodeVectorMath, GREEN_UP, (-420, -550))
    turn.operation = "MULTIPLY_ADD"
    turn.inputs[1].default_value, turn.inputs[2].default_value = (1.0, -1.0, 1.0), (0.0, 1.0, 0.0)
    tree.links.new(source, turn.inputs[0])
    tree.links.new(turn.outputs["Vector"], target)


def _scatter(tree: bpy.types.NodeTree, mask: Path | None) -> None:
    """Let light into the skin where the mask says so."""
    nodes, shader = tree.nodes, tree.nodes[SHADER]
    if mask is None:
        remove_texture(tree, SUBSURFACE)
        return
    if SUBSURFACE not in nodes:
        texture = new_node(tree, bpy.types.ShaderNodeTexImage, SUBSURFACE, (-600, -700))
        tree.links.new(texture.outputs["Color"], shader.inputs["Subsurface Weight"])
        shader.inputs["Subsurface Scale"].default_value = _SCATTER_SCALE
        shader.inputs["Subsurface Radius"].default_value = _SCATTER_RADIUS
    show(nodes[SUBSURFACE], mask, "Non-Color")
