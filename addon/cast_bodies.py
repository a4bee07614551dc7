"""The characters of a cast in a scene: a collection each, with a body of its shape, on a grid.

Two bodies of one shape share one mesh and one armature's rest pose; materials hang on the objects. Shape keys are the
heaviest part of a mannequin, 13 MB, so a shape is written into the mesh unless the sliders are to stay.
"""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportGeneralTypeIssues=false, reportOptionalSubscript=false, reportReturnType=false
# The stubs know an object's data by its base class only, and not that numpy's arrays are taken.

from __future__ import annotations

import json
import math

import bpy
import numpy as np

from . import mannequin, mannequin_rig, material, shape
from .cast import Row
from .mannequin_asset import Asset

COLLECTION = "UVMap-ID Cast"
# Custom properties: of a character's collection, whose it is; of a mesh, the sliders that it was made with.
_CHARACTER, _SHAPE = "uvmap_id_cast", "uvmap_id_cast_shape"
# Metres between neighbours; arms are a little away from the body.
_APART = (1.4, 1.6)


def body_of(scene: bpy.types.Scene, row: Row) -> bpy.types.Object | None:
    """The body that a row's character has in a scene."""
    for collection in scene.collection.children_recursive:
        if collection.get(_CHARACTER) == row.name:
            return next((item for item in collection.objects if item.type == "MESH"), None)
    return None


def place_of(number: int, count: int) -> tuple[float, float, float]:
    """Where the character with a number, from 1, stands among so many: rows one behind the other, which face -y."""
    columns = math.ceil(math.sqrt(count))
    behind, beside = divmod(number - 1, columns)
    return ((beside - (columns - 1) / 2) * _APART[0], behind * _APART[1], 0.0)


def add(scene: bpy.types.Scene, row: Row, count: int, asset: Asset, *, sliders: bool) -> bpy.types.Object:
    """Add a row's character: about 0.1 s for the first body, or each with sliders; a few milliseconds for others.

    Args:
        scene: To where.
        row: Who.
        count: How many the grid is for.
        asset: The mannequin's file.
        sliders: Whether the body keeps its shape keys.

    Returns:
        The body; its parent is the armature.
    """
    wanted = json.dumps(dict(sorted(row.shape.items())))
    model = None if sliders else _wearer(scene, wanted, asset)
    if model is None:
        collection = _collection(scene, row)
        body = mannequin.add(scene, collection, asset)
        if row.shape:
            shape.set_values(body, row.shape)
        if not sliders:
            _write_shape(body)
            body.data[_SHAPE] = wanted
            _own_materials(body, {0: body.data.materials[0]})
    else:
        body = _twin(model, _collection(scene, row))
        if model.data[_SHAPE] != wanted:
            _reshape(body, row, asset)
            body.data[_SHAPE] = wanted
    body.name = body.parent.name = row.name
    body.parent.location = place_of(row.number, count)
    return body


def _wearer(scene: bpy.types.Scene, wanted: str, asset: Asset) -> bpy.types.Object | None:
    """A body of this cast to make another one of: one that has the shape already, or any one."""
    other = None
    for item in scene.objects:
        made_as = item.data.get(_SHAPE) if item.type == "MESH" and item.parent is not None else None
        if made_as == wanted:
            return item
        if made_as is not None and other is None and len(item.data.vertices) == len(asset.vertices):
            other = item
    return other


def _twin(model: bpy.types.Object, collection: bpy.types.Collection) -> bpy.types.Object:
    body, rig = model.copy(), model.parent.copy()
    # Poses and motions of the one are not the other's.
    rig.animation_data_clear()
    for bone in rig.pose.bones:
        bone.matrix_basis.identity()
    collection.objects.link(body)
    collection.objects.link(rig)
    body.parent = rig
    for modifier in body.modifiers:
        if modifier.type == "ARMATURE":
            modifier.object = rig
    skin = bpy.data.materials.new("UVMap-ID Skin")
    skin[material.MARK] = True
    _own_materials(body, {0: skin})
    return body


def _reshape(body: bpy.types.Object, row: Row, asset: Asset) -> None:
    """Give a twin a mesh and bones of its own, in the row's shape."""
    body.data, body.parent.data = body.data.copy(), body.parent.data.copy()
    offsets = shape.offsets_of(asset, row.shape)
    body.data.vertices.foreach_set("co", (asset.vertices + offsets).ravel())
    body.data.update()
    mannequin_rig.follow(body.parent, offsets)


def _own_materials(body: bpy.types.Object, own: dict[int, bpy.types.Material]) -> None:
    """Hang materials on the object, since others share its mesh."""
    for number, worn in own.items():
        body.material_slots[number].link = "OBJECT"
        body.material_slots[number].material = worn


def _write_shape(body: bpy.types.Object) -> None:
    mixed = body.shape_key_add(name="Mixed", from_mix=True)
    points = np.empty(len(mixed.points) * 3, dtype=np.float32)
    mixed.points.foreach_get("co", points)
    body.shape_key_clear()
    body.data.vertices.foreach_set("co", points)
    body.data.update()


def _collection(scene: bpy.types.Scene, row: Row) -> bpy.types.Collection:
    whole = next((item for item in scene.collection.children if item.name.startswith(COLLECTION)), None)
    if whole is None:
        whole = bpy.data.collections.new(COLLECTION)
        scene.collection.children.link(whole)
    found = next((item for item in whole.children if item.get(_CHARACTER) == row.name), None)
    if found is None:
        found = bpy.data.collections.new(row.name)
        found[_CHARACTER] = row.name
        whole.children.link(found)
    return found
