"""Draws the same texture on the mannequin and on SMPL's template, with the same cameras, side by side.

    python benchmarks/bodies_picture.py --template smpl_uv.obj --texture TEXTURE.png --picture bodies.jpg

Needs Blender as a module, `bpy`.
"""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# pyright: reportCallIssue=false, reportIndexIssue=false
# The stubs of bpy call much optional that is there.

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

ASSET = Path(__file__).parents[1] / "addon/assets/mannequin.npz"
TILE, SAMPLES = 380, 8
IRIS = 0.07  # of the side of the eyes' square
# Where each camera looks from, by its name: a direction, and how many metres it sees.
VIEWS = {
    "body": ((0.0, -1.0, 0.0), 1.95),
    "face": ((0.0, -1.0, 0.0), 0.27),
    "ear": ((1.0, -0.35, 0.05), 0.16),
    "palm": ((0.1, -0.15, -1.0), 0.24),
    "hand": ((0.1, -0.15, 1.0), 0.24),
    "foot": ((0.35, -1.0, 1.1), 0.32),
    "back": ((0.0, 1.0, 0.0), 1.95),
}


def main() -> None:
    """Render and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--texture", type=Path, required=True, nargs="+")
    parser.add_argument("--picture", type=Path, required=True, metavar="FILE", help="a JPEG file")
    parser.add_argument("--mannequin", type=Path, default=ASSET)
    parser.add_argument("--views", nargs="+", choices=list(VIEWS), default=list(VIEWS))
    parser.add_argument("--tile", type=int, default=TILE, help="pixels")
    options = parser.parse_args()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    light()
    rows = []
    for texture in options.texture:
        for made_of, path in ((mannequin, options.mannequin), (template, options.template)):
            body = made_of(path)
            wear(body, texture)
            rows.append(np.concatenate([tile(body, view, options.tile) for view in options.views], axis=1))
            bpy.data.objects.remove(body)
    save(np.concatenate(rows[::-1]), options.picture)


def mannequin(path: Path) -> bpy.types.Object:
    """The mannequin's surface, as its file has it."""
    with np.load(path, allow_pickle=False) as stored:
        body = dict(stored)
    faces = [list(dict.fromkeys(face)) for face in body["faces"].tolist()]
    uvs = [corner for face, uv in zip(faces, body["uvs"], strict=True) for corner in uv[: len(face)].tolist()]
    return made("Mannequin", body["vertices"], faces, np.array(uvs), body.get("face_materials"))


def template(path: Path) -> bpy.types.Object:
    """SMPL's template."""
    vertices, uvs, faces, corners = [], [], [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            x, y, z = map(float, values[:3])
            vertices.append((x, -z, y))
        elif kind == "vt":
            uvs.append([float(value) for value in values[:2]])
        elif kind == "f":
            pairs = [[int(number) - 1 for number in value.split("/")[:2]] for value in values]
            faces.append([pair[0] for pair in pairs])
            corners += [uvs[pair[1]] for pair in pairs]
    return made("SMPL", np.array(vertices), faces, np.array(corners), None)


def made(
    name: str, vertices: NDArray, faces: list[list[int]], uvs: NDArray, materials: NDArray | None
) -> bpy.types.Object:
    """A smooth mesh object, its soles on the floor."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata((vertices - [0, 0, vertices[:, 2].min()]).tolist(), [], faces)
    mesh.uv_layers.new(name="SMPL").uv.foreach_set("vector", uvs.astype(np.float32).ravel())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    if materials is not None:
        mesh.polygons.foreach_set("material_index", materials.astype(np.int32))
    found = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(found)
    return found


def wear(body: bpy.types.Object, texture: Path) -> None:
    """Skin with the texture, eyes with a brown iris, a dark mouth."""
    iris = bpy.data.images.new("Iris", 128, 128)
    column, row = np.meshgrid(np.arange(128), np.arange(128))
    distance = np.hypot(column - 63.5, row - 63.5)[..., None] / 128
    dark, brown, white = (0.01, 0.01, 0.01, 1), (0.12, 0.06, 0.03, 1), (0.8, 0.78, 0.76, 1)
    pixels = np.where(distance < IRIS / 2, dark, np.where(distance < IRIS, brown, white))
    iris.pixels.foreach_set(pixels.astype(np.float32).ravel())
    skin = bpy.data.images.load(str(texture.resolve()))
    for each in (material("Skin", skin), material("Eye", iris), material("Mouth", None)):
        body.data.materials.append(each)


def material(name: str, picture: bpy.types.Image | None) -> bpy.types.Material:
    """A dull material with a picture, or dark red."""
    found = bpy.data.materials.new(name)
    found.use_nodes = True
    shader = found.node_tree.nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = 0.9
    shader.inputs["Base Color"].default_value = (0.25, 0.05, 0.05, 1)
    if picture is not None:
        node = found.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = picture
        found.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    return found


def light() -> None:
    """Even light from all around and a little from the front."""
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.75, 0.75, 0.75, 1)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy = 1.5
    sun.rotation_euler = (0.9, 0.0, 0.5)
    scene.collection.objects.link(sun)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = SAMPLES, False
    scene.view_settings.view_transform = "Standard"
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.camera.data.type = "ORTHO"
    scene.collection.objects.link(scene.camera)


def tile(body: bpy.types.Object, view: str, size: int) -> NDArray[np.float32]:
    """(N, N, 4) one view, bottom row first."""
    direction, extent = VIEWS[view]
    scene, camera = bpy.context.scene, bpy.context.scene.camera
    camera.data.ortho_scale = extent
    way = Vector(direction).normalized()
    camera.location = target(body, view) + way * 3
    camera.rotation_euler = way.to_track_quat("Z", "Y").to_euler()
    scene.render.resolution_x = scene.render.resolution_y = size
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder, "tile.png"))
        bpy.ops.render.render(write_still=True)
        picture = bpy.data.images.load(scene.render.filepath)
        pixels = np.empty(size * size * 4, np.float32)
        picture.pixels.foreach_get(pixels)
        bpy.data.images.remove(picture)
    return pixels.reshape(size, size, 4)


def target(body: bpy.types.Object, view: str) -> Vector:
    """Where a camera looks at, found by the body's extremes."""
    points = np.empty(len(body.data.vertices) * 3, np.float32)
    body.data.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)
    high = points[:, 2].max()
    head = points[points[:, 2] > high - 0.24]
    middle = head[np.abs(head[:, 0]) < 0.01]
    nose = middle[middle[:, 1].argmin()]
    ear = head[(head[:, 0]).argmax()]
    hand = points[points[:, 0].argmax()]
    foot = points[(points[:, 0] > 0) & (points[:, 2] < 0.1)]
    toe = foot[foot[:, 1].argmin()]
    return Vector(
        {
            "face": nose + np.array([0, 0, 0.015]),
            "ear": ear + np.array([0, 0, -0.01]),
            "palm": hand - [0.09, 0, 0],
            "hand": hand - [0.09, 0, 0],
            "foot": toe + np.array([0.03, 0.09, 0.03]),
        }.get(view, np.array([0, 0, high / 2]))
    )


def save(pixels: NDArray[np.float32], path: Path) -> None:
    """Write a JPEG."""
    height, width, _ = pixels.shape
    picture = bpy.data.images.new("Picture", width, height)
    picture.pixels.foreach_set(np.ascontiguousarray(pixels, np.float32).ravel())
    settings = bpy.context.scene.render.image_settings
    settings.file_format, settings.quality = "JPEG", 85
    picture.file_format = "JPEG"
    picture.filepath_raw = str(path.resolve())
    picture.save(quality=85)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # The bpy wheels of Blender 4 hang or crash on the way out of the interpreter.
    os._exit(0)
