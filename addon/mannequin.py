"""The mannequin: the free body that comes with the extension, made of the arrays in its file."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from . import mannequin_materials, mannequin_rig, material
from .mannequin_asset import EYE, LEFT_EYE, Asset, read
from .meshes import mesh_from_arrays

ASSET = Path(__file__).parent / "assets" / "mannequin.npz"

# Of a grown person, metres.
_IRIS_RADIUS = 0.006


def add(
    scene: bpy.types.Scene, collection: bpy.types.Collection | None = None, asset: Asset | None = None
) -> bpy.types.Object:
    """Add a mannequin with materials, shape keys and armature to a scene.

    Args:
        scene: To where.
        collection: One of the scene's; default: its topmost one.
        asset: What was read from `ASSET` before.

    Returns:
        The mesh object; its parent is the armature.

    Raises:
        UVMapError: `body_unreadable`: the extension's file is damaged; nothing was added then.
    """
    asset = asset or read(ASSET)
    collection = collection or scene.collection
    mesh = mesh_from_arrays("Mannequin", asset.vertices, asset.faces, asset.uvs)
    mesh.polygons.foreach_set("material_index", asset.face_materials.astype(np.int32))
    body = bpy.data.objects.new("Mannequin", mesh)
    mesh[material.MANNEQUIN] = len(asset.vertices)
    collection.objects.link(body)
    mannequin_materials.wear(body, _iris_radius(asset))
    _add_keys(body, asset)
    collection.objects.link(mannequin_rig.build(body, asset))
    return body


def _add_keys(body: bpy.types.Object, asset: Asset) -> None:
    body.shape_key_add(name="Basis", from_mix=False)
    for number, name in enumerate(asset.shape_names.tolist()):
        key = body.shape_key_add(name=name, from_mix=False)
        key.value = 0.0
        key.points.foreach_set("co", asset.key_points(number).ravel())


def _iris_radius(asset: Asset) -> float:
    """How far from the middle of the eyes' UVs the iris ends, measured on the left eye, which looks along -y."""
    chosen = (asset.face_materials == EYE)[:, None] & (asset.vertex_parts[asset.faces] == LEFT_EYE)
    rays = asset.vertices[asset.faces[chosen]] - asset.eye_centres[0]
    in_front = rays[:, 1] < 0
    distances = np.linalg.norm(rays[in_front][:, [0, 2]], axis=1)
    radii = np.linalg.norm(asset.uvs[chosen][in_front] - 0.5, axis=1)
    order = np.argsort(distances)
    return float(np.interp(_IRIS_RADIUS, distances[order], radii[order]))
