"""Texture sets on bodies: one Principled BSDF material, made once and given new images afterwards."""

# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# The stubs call optional what these nodes have, and know a looked-up node only by its base class.

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import bpy
import numpy as np

from .body import mesh_of
from .results import TextureMaps
from .texture_files import write_picture

# Custom properties: of the material that a texture set is shown on, and of the mannequin's mesh.
MARK, MANNEQUIN = "uvmap_id", "uvmap_id_mannequin"
_OUTPUT, _SHADER, _NORMAL_MAP = "UVMap-ID Output", "UVMap-ID Principled BSDF", "UVMap-ID Normal Map"
_BASE_COLOR, _NORMAL, _ROUGHNESS = "UVMap-ID Base Color", "UVMap-ID Normal", "UVMap-ID Roughness"
_NODES = (_OUTPUT, _SHADER, _NORMAL_MAP, _BASE_COLOR, _NORMAL, _ROUGHNESS)
# Only where a texture set asks for them.
_SUBSURFACE, _GREEN_UP = "UVMap-ID Subsurface", "UVMap-ID Green Up"
# How far red, green and blue light gets in skin: 3.67, 1.37 and 0.68 mm, the mean free paths that Jensen and others
# measured ("A Practical Model for Subsurface Light Transport", 2001). Metres.
_SCATTER_SCALE, _SCATTER_RADIUS = 0.00367, (1.0, 0.373, 0.185)

Node = TypeVar("Node", bound=bpy.types.Node)


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
    nodes = material.node_tree.nodes
    if any(name not in nodes for name in _NODES):
        _build(material.node_tree)
    _show(nodes[_BASE_COLOR], maps.base_color, "sRGB")
    _show(nodes[_NORMAL], maps.normal, "Non-Color")
    _show(nodes[_ROUGHNESS], maps.roughness, "Non-Color")
    _turn_green_up(material.node_tree, needed=maps.green_is_down)
    _scatter(material.node_tree, maps.subsurface)
    return material


def folder_of(body: bpy.types.Object) -> Path | None:
    """Where the texture set lies that a body wears, if it wears one."""
    material = _material_of(body)
    node = material.node_tree.nodes.get(_BASE_COLOR) if material is not None and material.node_tree else None
    image = node.image if node is not None else None
    return None if image is None else Path(bpy.path.abspath(image.filepath)).parent


def is_green_down(material: bpy.types.Material) -> bool:
    """True where a material shows a normal map as DirectX stores it."""
    return bool(material.get(MARK)) and material.node_tree is not None and _GREEN_UP in material.node_tree.nodes


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
    node = material.node_tree.nodes[_NORMAL]
    pixels = np.empty(len(node.image.pixels), dtype=np.float32)
    node.image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(node.image.size[1], node.image.size[0], -1)[..., :3]
    write_picture(path, np.stack([pixels[..., 0], 1 - pixels[..., 1], pixels[..., 2]], axis=-1))
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    copy = material.copy()
    copy.node_tree.nodes[_NORMAL].image = image
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
    mesh.polygons.foreach_set("material_index", [0] * len(mesh.polygons))
    return material


def _build(tree: bpy.types.NodeTree) -> None:
    tree.nodes.clear()
    output = _node(tree, bpy.types.ShaderNodeOutputMaterial, _OUTPUT, (300, 0))
    shader = _node(tree, bpy.types.ShaderNodeBsdfPrincipled, _SHADER, (0, 0))
    normal_map = _node(tree, bpy.types.ShaderNodeNormalMap, _NORMAL_MAP, (-250, -400))
    base_color = _node(tree, bpy.types.ShaderNodeTexImage, _BASE_COLOR, (-600, 200))
    roughness = _node(tree, bpy.types.ShaderNodeTexImage, _ROUGHNESS, (-600, -100))
    normal = _node(tree, bpy.types.ShaderNodeTexImage, _NORMAL, (-600, -400))
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
    if needed == (_GREEN_UP in nodes):
        return
    source, target = nodes[_NORMAL].outputs["Color"], nodes[_NORMAL_MAP].inputs["Color"]
    if not needed:
        nodes.remove(nodes[_GREEN_UP])
        tree.links.new(source, target)
        return
    turn = _node(tree, bpy.types.ShaderNodeVectorMath, _GREEN_UP, (-420, -550))
    turn.operation = "MULTIPLY_ADD"
    turn.inputs[1].default_value, turn.inputs[2].default_value = (1.0, -1.0, 1.0), (0.0, 1.0, 0.0)
    tree.links.new(source, turn.inputs[0])
    tree.links.new(turn.outputs["Vector"], target)


def _scatter(tree: bpy.types.NodeTree, mask: Path | None) -> None:
    """Let light into the skin where the mask says so."""
    nodes, shader = tree.nodes, tree.nodes[_SHADER]
    if mask is None:
        if _SUBSURFACE in nodes:
            image = nodes[_SUBSURFACE].image
            nodes.remove(nodes[_SUBSURFACE])
            _forget(image)
        return
    if _SUBSURFACE not in nodes:
        texture = _node(tree, bpy.types.ShaderNodeTexImage, _SUBSURFACE, (-600, -700))
        tree.links.new(texture.outputs["Color"], shader.inputs["Subsurface Weight"])
        shader.inputs["Subsurface Scale"].default_value = _SCATTER_SCALE
        shader.inputs["Subsurface Radius"].default_value = _SCATTER_RADIUS
    _show(nodes[_SUBSURFACE], mask, "Non-Color")


def _node(tree: bpy.types.NodeTree, kind: type[Node], name: str, place: tuple[float, float]) -> Node:
    node = tree.nodes.new(kind.__name__)
    node.name = node.label = name
    node.location = place
    return node  # pyright: ignore[reportReturnType] - `new` makes what its name says


def _show(node: bpy.types.ShaderNodeTexImage, path: Path, color_space: str) -> None:
    before = node.image
    image = bpy.data.images.load(str(path), check_existing=True)
    # The path may have been loaded before with other content.
    image.reload()
    image.colorspace_settings.name = color_space
    if bpy.data.filepath and path.is_relative_to(Path(bpy.data.filepath).parent):
        image.filepath = bpy.path.relpath(str(path))
    node.image = image
    if before != image:
        _forget(before)


def _forget(image: bpy.types.Image | None) -> None:
    """Remove an image that nothing shows any more."""
    if image is not None and image.users == 0:
        bpy.data.images.remove(image)
