"""Points held by the triangles of a mesh, and the nearest ones."""

# anny, torch and trimesh come with the `dev` extra only.
# pyright: reportMissingImports=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SurfacePoints:
    """Points held by triangles.

    Attributes:
        triangles: (N,) index of the triangle, -1 where the point is not on the mesh.
        barycentric: (N, 3) weights of its corners.
    """

    triangles: NDArray[np.int64]
    barycentric: NDArray[np.float64]

    def carry(self, corners: NDArray[np.floating]) -> NDArray[np.float64]:
        """Values at the points, (N, C), from values at the triangles' corners, (T, 3, C)."""
        return np.einsum("nk,nkc->nc", self.barycentric, corners[self.triangles])


def closest(
    points: NDArray[np.floating], vertices: NDArray[np.floating], triangles: NDArray[np.integer]
) -> SurfacePoints:
    """The nearest points of a mesh."""
    mesh = trimesh.Trimesh(vertices, triangles, process=False)
    nearest, _, index = trimesh.proximity.closest_point(mesh, points)
    return SurfacePoints(index, trimesh.triangles.points_to_barycentric(mesh.triangles[index], nearest))
