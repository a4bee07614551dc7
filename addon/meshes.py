"""Meshes from arrays, and arrays from meshes."""

from __future__ import annotations

import bmesh
import bpy
import numpy as np
from numpy.typing import NDArray

UV_LAYER = "SMPL"


def mesh_from_arrays(
    name: str, vertices: NDArray[np.float32], faces: NDArray[np.int32], uvs: NDArray[np.float32]
) -> bpy.types.Mesh:
    """A smooth-shaded mesh with one UV layer.

    Args:
        name: The mesh's name.
        vertices: (V, 3) metres, z up.
        faces: (F, 4) indices of vertices; a triangle repeats its last index.
        uvs: (F, 4, 2) origin bottom left; the repeated corner of a triangle is ignored.
    """
    corners = np.ones(faces.shape, dtype=bool)
    corners[:, 3] = faces[:, 3] != faces[:, 2]
    counts = corners.sum(axis=1)
    starts = np.cumsum(counts) - counts
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices, dtype=np.float32).ravel())
    mesh.loops.add(int(counts.sum()))
    mesh.loops.foreach_set("vertex_index", np.ascontiguousarray(faces[corners], dtype=np.int32))
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.ascontiguousarray(starts, dtype=np.int32))
    mesh.uv_layers.new(name=UV_LAYER)
    mesh.uv_layers[UV_LAYER].uv.foreach_set("vector", np.ascontiguousarray(uvs[corners], dtype=np.float32).ravel())
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    return mesh


def corner_uvs(mesh: bpy.types.Mesh) -> NDArray[np.float32]:
    """(N, 2) UVs of all corners of a mesh's faces, of the layer that is rendered; none where it has no layer."""
    layer = next((layer for layer in mesh.uv_layers if layer.active_render), None)
    if layer is None:
        return np.zeros((0, 2), np.float32)
    if mesh.is_editmode:
        edited = bmesh.from_edit_mesh(mesh)
        edited_layer = edited.loops.layers.uv[layer.name]
        corners = (loop[edited_layer].uv for face in edited.faces for loop in face.loops)
        return np.array([tuple(corner) for corner in corners], np.float32).reshape(-1, 2)
    uvs = np.empty(len(layer.uv) * 2, np.float32)
    layer.uv.foreach_get("vector", uvs)
    return uvs.reshape(-1, 2)


def points_of(mesh: bpy.types.Mesh) -> NDArray[np.float32]:
    """(V, 3) places of a mesh's vertices."""
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)
