"""Finds the edges along which an atlas is cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies.obj import TexturedMesh


def seam_corners(mesh: TexturedMesh) -> NDArray[np.float32]:
    """(E, 2, 3, 2) as in `uvmap_id.atlas.seams.Seams`: the edges between two triangles that the atlas keeps apart."""
    order = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
    vertices = mesh.triangles[:, order].reshape(-1, 3)
    uv_index = mesh.uv_triangles[:, order].reshape(-1, 3)
    # Both sides run along the edge in the same direction: from the lower to the higher vertex.
    turned = vertices[:, 0] > vertices[:, 1]
    vertices[turned] = vertices[turned][:, [1, 0, 2]]
    uv_index[turned] = uv_index[turned][:, [1, 0, 2]]
    _, edge, count = np.unique(vertices[:, :2], axis=0, return_inverse=True, return_counts=True)
    edge = edge.ravel()
    shared = np.argsort(edge, kind="stable")
    sides = shared[count[edge[shared]] == 2].reshape(-1, 2)
    corners = mesh.uvs[uv_index[sides]]
    cut = (uv_index[sides[:, 0], :2] != uv_index[sides[:, 1], :2]).any(axis=1)
    apart = np.abs(corners[:, 0, :2] - corners[:, 1, :2]).max(axis=(1, 2)) > 1e-6
    return corners[cut & apart].astype(np.float32)
