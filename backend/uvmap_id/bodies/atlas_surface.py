"""A surface with UVs, triangle by triangle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies.obj import TexturedMesh
from uvmap_id.bodies.seam_lines import islands


@dataclass(frozen=True, slots=True)
class Atlas:
    """A surface with UVs, prepared for closest-point queries.

    Attributes:
        corners: (T, 3, 3) positions of the triangles' corners, metres.
        uvs: (T, 3, 2) their UVs, origin bottom left.
        island: (T,) number of the island of each triangle.
    """

    corners: NDArray[np.float64]
    uvs: NDArray[np.float64]
    island: NDArray[np.int32]

    @classmethod
    def of(cls, mesh: TexturedMesh, vertices: NDArray[np.float64]) -> Atlas:
        """The atlas of a mesh, its vertices given anew, e.g. turned to another axis."""
        return cls(vertices[mesh.triangles], mesh.uvs[mesh.uv_triangles], islands(mesh.uv_triangles, len(mesh.uvs)))

    def sign(self, face: int) -> float:
        """-1 if the island of a triangle is a mirror image, as one of SMPL's legs is, else 1."""
        corners = self.uvs[self.island == self.island[face]]
        one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        return float(np.sign((one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum()))
