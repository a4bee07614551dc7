"""How strongly a material shows its texture set, and how much of the one before: nodes that are there only in need.

At their defaults the images lead straight to the shader, as exporters want them.
"""

# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalIterable=false
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# The stubs call optional what these nodes have, and know a looked-up node only by its base class.

from __future__ import annotations

from pathlib import Path

import bpy

from .link.errors import UVMapError
from .material_nodes import (
    BASE_COLOR,
    GREEN_UP,
    NORMAL,
    NORMAL_MAP,
    ROUGHNESS,
    SHADER,
    SUBSURFACE,
    new_node,
    remove_texture,
    show,
)
from .results import TextureMaps, maps_in

_PREVIOUS, _MIX, _FACTOR = " Previous", " Mix", " Factor"


def blend(
    tree: bpy.types.NodeTree, *, roughness: float, normal_strength: float, subsurface: float, mix: float, previous: str
) -> None:
    """Wire a texture set's nodes anew.

    Args:
        tree: With the nodes of `material`.
        roughness: Multiple of the roughness map.
        normal_strength: Of the normal map node.
        subsurface: Multiple of the subsurface map, where there is one.
        mix: 0 to 1, how much of the previous set is shown.
        previous: The folder of that set; one that is missing is not shown.
    """
    nodes = tree.nodes
    shader = nodes[SHADER]
    before = _previous(previous, green_is_down=GREEN_UP in nodes) if mix > 0 else None
    color = _mixed(tree, BASE_COLOR, before.base_color if before else None, "sRGB", mix)
    tree.links.new(color, shader.inputs["Base Color"])
    rough = _mixed(tree, ROUGHNESS, before.roughness if before else None, "Non-Color", mix)
    tree.links.new(_scaled(tree, ROUGHNESS, rough, roughness), shader.inputs["Roughness"])
    normal = _mixed(tree, NORMAL, before.normal if before else None, "Non-Color", mix)
    tree.links.new(normal, nodes[GREEN_UP].inputs[0] if GREEN_UP in nodes else nodes[NORMAL_MAP].inputs["Color"])
    nodes[NORMAL_MAP].inputs["Strength"].default_value = normal_strength
    if SUBSURFACE in nodes:
        mask = nodes[SUBSURFACE].outputs["Color"]
        tree.links.new(_scaled(tree, SUBSURFACE, mask, subsurface), shader.inputs["Subsurface Weight"])
    elif SUBSURFACE + _FACTOR in nodes:
        nodes.remove(nodes[SUBSURFACE + _FACTOR])


def _previous(folder: str, *, green_is_down: bool) -> TextureMaps | None:
    if not folder:
        return None
    try:
        maps = maps_in(Path(folder))
    except UVMapError:
        # Deleted meanwhile, or never complete.
        return None
    # Normals of different conventions have no mean.
    return maps if maps.green_is_down == green_is_down else None


def _mixed(
    tree: bpy.types.NodeTree, name: str, previous: Path | None, color_space: str, mix: float
) -> bpy.types.NodeSocket:
    """The output of a map's node, mixed with the same map of the previous set if there is one."""
    nodes, source = tree.nodes, tree.nodes[name].outputs["Color"]
    if previous is None:
        remove_texture(tree, name + _PREVIOUS)
        if name + _MIX in nodes:
            nodes.remove(nodes[name + _MIX])
        return source
    x, y = nodes[name].location
    other = nodes.get(name + _PREVIOUS) or new_node(tree, bpy.types.ShaderNodeTexImage, name + _PREVIOUS, (x - 300, y))
    show(other, previous, color_space)
    mixer = nodes.get(name + _MIX)
    if mixer is None:
        mixer = new_node(tree, bpy.types.ShaderNodeMix, name + _MIX, (x + 280, y))
        mixer.data_type = "RGBA"
    first, second = (socket for socket in mixer.inputs if socket.type == "RGBA")
    mixer.inputs[0].default_value = mix
    tree.links.new(source, first)
    tree.links.new(other.outputs["Color"], second)
    return next(socket for socket in mixer.outputs if socket.type == "RGBA")


def _scaled(tree: bpy.types.NodeTree, name: str, source: bpy.types.NodeSocket, factor: float) -> bpy.types.NodeSocket:
    """A map's values times a factor, at most 1."""
    node = tree.nodes.get(name + _FACTOR)
    if factor == 1:
        if node is not None:
            tree.nodes.remove(node)
        return source
    if node is None:
        x, y = tree.nodes[name].location
        node = new_node(tree, bpy.types.ShaderNodeMath, name + _FACTOR, (x + 420, y))
        node.operation, node.use_clamp = "MULTIPLY", True
    node.inputs[1].default_value = factor
    tree.links.new(source, node.inputs[0])
    return node.outputs[0]
