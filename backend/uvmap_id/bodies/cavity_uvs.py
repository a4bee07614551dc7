"""UVs of what lies inside the body: the sockets of the eyes and the mouth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from uvmap_id.bodies.plane_maps import edges_of, filled, isometric
from uvmap_id.bodies.untangle import Aims, untangled
from uvmap_id.bodies.wedges import triangles_of

_MARGIN = 0.02


def cavity_uvs(
    vertices: NDArray[np.float64], quads: NDArray[np.integer], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(F, 4, 2) UVs inside the hole that a cavity's rim leaves in the atlas.

    Args:
        vertices: (V, 3).
        quads: (F, 4) of one cavity with one rim.
        places: (V, 2) UVs of the rim.
    """
    own, flat = np.unique(quads, return_inverse=True)
    corners = flat.reshape(quads.shape)
    directed = np.stack([corners, np.roll(corners, -1, axis=1)], axis=-1).reshape(-1, 2)
    _, number, count = np.unique(np.sort(directed, axis=1), axis=0, return_inverse=True, return_counts=True)
    rim = np.zeros(len(own), bool)
    rim[directed[count[number] == 1]] = True
    triangles = triangles_of(corners)
    positions, known = vertices[own], places[own]
    start = filled(known, rim, edges_of(triangles), np.zeros_like(positions))
    edges = positions[triangles[:, 1:]] - positions[triangles[:, :1]]
    rest = np.concatenate([np.zeros((len(edges), 1, 2)), isometric(edges)], axis=1)
    # As large as the hole: what matters is that nothing folds.
    scale = np.ptp(known[rim], axis=0).prod() / np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1).sum()
    nothing = Aims(csr_array((0, len(own))), np.zeros((0, 2)), np.zeros(0))
    return untangled(start, triangles, rest * np.sqrt(scale), rim, nothing)[corners]


def square_uvs(corners: NDArray[np.floating]) -> NDArray[np.float64]:
    """UVs (F, 4, 2) moved and scaled alike in both directions into the unit square."""
    low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    return (corners - (low + high) / 2) / (high - low).max() * (1 - 2 * _MARGIN) + 0.5
