"""Materials to bake with: they show one map of a texture set, whatever the light."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# pyright: reportOptionalSubscript=false, reportOptionalIterable=false
# The stubs call optional what these nodes have, and know a looked-up node only by its base class.

from __future__ import annotations

import bpy

from .material import MARK

_SOCKETS = {"base_color": "Base Color", "roughness": "Roughness"}


def emission() -> bpy.types.Material:
    """A material that shines white."""
    material = _empty()
    tree = material.node_tree
    light = tree.nodes.new("ShaderNodeEmission")
    light.inputs["Color"].default_value = (1, 1, 1, 1)
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(light.outputs["Emission"], output.inputs["Surface"])
    return material


def shining(worn: bpy.types.Material | None, image: bpy.types.Image, name: str) -> bpy.types.Material:
    """A material that shines in what a slot of the source shows: a map, or another material's own colour."""
    if worn is not None and worn.get(MARK):
        made = emission()
        tree = made.node_tree
        texture = tree.nodes.new("ShaderNodeTexImage")
        texture.image = image
        light = next(node for node in tree.nodes if node.type == "EMISSION")
        tree.links.new(texture.outputs["Color"], light.inputs["Color"])
        return made
    return _shining_other(worn, name)


def _shining_other(worn: bpy.types.Material | None, name: str) -> bpy.types.Material:
    """Eyes and the like: what drives their shader's socket, or black where there is none for such a map."""
    shader = None
    if worn is not None and worn.node_tree is not None:
        worn = worn.copy()
        shader = next((node for node in worn.node_tree.nodes if node.type == "BSDF_PRINCIPLED"), None)
    made = emission() if worn is None or shader is None else worn
    tree = made.node_tree
    light = tree.nodes.new("ShaderNodeEmission")
    light.inputs["Color"].default_value = (0, 0, 0, 1)
    socket = shader.inputs[_SOCKETS[name]] if shader is not None and name in _SOCKETS else None
    if socket is not None and socket.is_linked:
        tree.links.new(socket.links[0].from_socket, light.inputs["Color"])
    elif socket is not None:
        value = socket.default_value
        light.inputs["Color"].default_value = (value, value, value, 1) if name == "roughness" else tuple(value)
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(light.outputs["Emission"], output.inputs["Surface"])
    return made


def bumpy(worn: bpy.types.Material | None, image: bpy.types.Image, *, down: bool) -> bpy.types.Material:
    """A material with the source's normal map, or with none where a slot wears something else."""
    made = _empty()
    tree = made.node_tree
    shader = tree.nodes.new("ShaderNodeBsdfDiffuse")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    if worn is None or not worn.get(MARK):
        return made
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    normal_map = tree.nodes.new("ShaderNodeNormalMap")
    upright = tree.nodes.new("ShaderNodeVectorMath")
    upright.operation = "MULTIPLY_ADD"
    upright.inputs[1].default_value = (1, -1 if down else 1, 1)
    upright.inputs[2].default_value = (0, 1 if down else 0, 0)
    tree.links.new(texture.outputs["Color"], upright.inputs[0])
    tree.links.new(upright.outputs["Vector"], normal_map.inputs["Color"])
    tree.links.new(normal_map.outputs["Normal"], shader.inputs["Normal"])
    return made


def _empty() -> bpy.types.Material:
    """A material with an empty tree."""
    material = bpy.data.materials.new("UVMap-ID Bake")
    if material.node_tree is None:
        material.use_nodes = True
    material.node_tree.nodes.clear()
    return material
