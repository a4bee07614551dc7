"""The names of a texture set's nodes, and what is done with any of them."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs know a looked-up node only by its base class.

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import bpy

OUTPUT, SHADER, NORMAL_MAP = "UVMap-ID Output", "UVMap-ID Principled BSDF", "UVMap-ID Normal Map"
BASE_COLOR, NORMAL, ROUGHNESS = "UVMap-ID Base Color", "UVMap-ID Normal", "UVMap-ID Roughness"
ALWAYS = (OUTPUT, SHADER, NORMAL_MAP, BASE_COLOR, NORMAL, ROUGHNESS)
# Only where a texture set asks for them.
SUBSURFACE, GREEN_UP = "UVMap-ID Subsurface", "UVMap-ID Green Up"

Node = TypeVar("Node", bound=bpy.types.Node)


def new_node(tree: bpy.types.NodeTree, kind: type[Node], name: str, place: tuple[float, float]) -> Node:
    """A new node with a name that it is found by."""
    node = tree.nodes.new(kind.__name__)
    node.name = node.label = name
    node.location = place
    return node  # pyright: ignore[reportReturnType] - `new` makes what its name says


def show(node: bpy.types.ShaderNodeTexImage, path: Path, color_space: str) -> None:
    """Have a node show a file; the image that it showed goes, unless something else shows it."""
    before = node.image
    image = bpy.data.images.load(str(path), check_existing=True)
    # The path may have been loaded before with other content.
    image.reload()
    image.colorspace_settings.name = color_space
    if bpy.data.filepath and path.is_relative_to(Path(bpy.data.filepath).parent):
        image.filepath = bpy.path.relpath(str(path))
    node.image = image
    if before != image:
        forget(before)


def remove_texture(tree: bpy.types.NodeTree, name: str) -> None:
    """Remove an image's node, if it is there, and its image, if nothing else shows it."""
    node = tree.nodes.get(name)
    if node is not None:
        image = node.image
        tree.nodes.remove(node)
        forget(image)


def forget(image: bpy.types.Image | None) -> None:
    """Remove an image that nothing shows any more."""
    if image is not None and image.users == 0:
        bpy.data.images.remove(image)
