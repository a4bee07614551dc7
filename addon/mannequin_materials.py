"""What the mannequin wears from the start: skin that waits for its texture set, eyes, and the mouth's inside."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# The stubs call optional what a new material has, and know a looked-up node only by its base class.

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from . import material

_IRIS_NAME = "UVMap-ID Iris"
_IRIS_MARK = "uvmap_id_iris"
_IRIS_SIDE = 256
_SKIN_COLOR, _MOUTH_COLOR = (0.8, 0.8, 0.8), (0.30, 0.08, 0.07)
# sRGB, from the pupil outwards: radius as a share of the iris, colour.
_RINGS = (
    (0.00, (8, 7, 7)),
    (0.34, (8, 7, 7)),
    (0.38, (98, 66, 38)),
    (0.60, (112, 78, 46)),
    (0.90, (72, 48, 30)),
    (1.00, (34, 26, 22)),
    (1.06, (226, 218, 212)),
    (2.50, (236, 230, 226)),
)


def wear(body: bpy.types.Object, iris_radius: float) -> None:
    """Give a mannequin its three materials, in the order of the file's `face_materials`.

    Args:
        body: A mesh object without materials.
        iris_radius: Of the iris in the eyes' UVs, whose square has the side 1.
    """
    skin = _plain(f"UVMap-ID {body.name}", _SKIN_COLOR, roughness=0.5)
    # The texture set goes here.
    skin[material.MARK] = True
    eye = _plain(f"UVMap-ID {body.name} Eye", (0.8, 0.8, 0.8), roughness=0.05)
    _show_image(eye.node_tree, _iris(iris_radius))
    mouth = _plain(f"UVMap-ID {body.name} Mouth", _MOUTH_COLOR, roughness=0.3)
    for worn in (skin, eye, mouth):
        body.data.materials.append(worn)


def _plain(name: str, color: tuple[float, float, float], roughness: float) -> bpy.types.Material:
    """A material with one Principled BSDF; the colour is linear."""
    made = bpy.data.materials.new(name)
    made.diffuse_color = (*color, 1.0)
    if made.node_tree is None:
        # Blender 4.2 makes no tree before it is asked; 5.0 has one and deprecates the question.
        made.use_nodes = True
    shader = _shader(made.node_tree)
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    return made


def _shader(tree: bpy.types.NodeTree) -> bpy.types.Node:
    return next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")


def _show_image(tree: bpy.types.NodeTree, image: bpy.types.Image) -> None:
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.location = (-320, 200)
    texture.image = image
    tree.links.new(texture.outputs["Color"], _shader(tree).inputs["Base Color"])


def _iris(radius: float) -> bpy.types.Image:
    """The eyes' picture, packed in the file; one is enough for all mannequins."""
    found = next((image for image in bpy.data.images if image.get(_IRIS_MARK) and not image.library), None)
    if found is not None:
        return found
    image = bpy.data.images.new(_IRIS_NAME, _IRIS_SIDE, _IRIS_SIDE)
    image[_IRIS_MARK] = True
    image.pixels.foreach_set(_iris_pixels(radius).ravel())
    image.pack()
    return image


def _iris_pixels(radius: float) -> NDArray[np.float32]:
    """(S, S, 4) sRGB from 0 to 1: rings of colour around the middle, with fibres across the iris."""
    across = (np.arange(_IRIS_SIDE) + 0.5) / _IRIS_SIDE - 0.5
    x, y = np.meshgrid(across, across)
    distance, angle = np.hypot(x, y) / radius, np.arctan2(y, x)
    stops = [stop for stop, _ in _RINGS]
    color = np.stack([np.interp(distance, stops, [ring[i] for _, ring in _RINGS]) for i in range(3)], axis=2)
    fibres = sum(np.sin(count * angle + phase) for count, phase in ((23, 0.0), (41, 1.3), (67, 2.1))) / 3
    iris = np.clip((distance - 0.38) / 0.1, 0, 1) * np.clip((0.98 - distance) / 0.1, 0, 1)
    color *= 1 + 0.22 * (fibres * iris)[..., None]
    opaque = np.full((_IRIS_SIDE, _IRIS_SIDE, 1), 255.0)
    return (np.concatenate([np.clip(color, 0, 255), opaque], axis=2) / 255).astype(np.float32)
