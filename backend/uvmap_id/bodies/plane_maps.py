"""Small tools for laying a triangle mesh into the plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import spsolve


def edges_of(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """(E, 2) the edges of triangles (T, 3), each once, the lower index first."""
    pairs = np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=-1).reshape(-1, 2)
    return np.unique(np.sort(pairs, axis=1), axis=0)


def filled(
    values: NDArray[np.float64], known: NDArray[np.bool_], edges: NDArray[np.int64], positions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values (P, 2), the unknown ones between those around them, nearer ones counting more."""
    if known.all():
        return values
    one, other = edges.T
    weight = 1 / np.maximum(np.linalg.norm(positions[one] - positions[other], axis=1), 1e-5)
    count = len(values)
    near = coo_array((np.tile(weight, 2), (np.append(one, other), np.append(other, one))), shape=(count, count)).tocsr()
    laplacian = (diags_array(np.asarray(near.sum(axis=1)).ravel()) - near).tocsr()
    unknown = np.flatnonzero(~known)
    result = values.copy()
    result[unknown] = 0
    matrix = laplacian[unknown]
    solved = np.asarray(spsolve(matrix[:, unknown].tocsc(), -(matrix @ result)))
    result[unknown] = solved.reshape(-1, 2)
    return result


def isometric(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 2, 2) the two edges of triangles in space, (T, 2, 3), laid into a plane."""
    length = np.maximum(np.linalg.norm(edges[:, 0], axis=1), 1e-9)
    along = (edges[:, 0] * edges[:, 1]).sum(axis=1) / length
    height = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1) / length
    zero = np.zeros_like(length)
    return np.stack([np.stack([length, zero], axis=1), np.stack([along, np.maximum(height, 1e-7)], axis=1)], axis=1)
