"""Carries an atlas from one surface to another that lies on it, island by island, cutting where the first is cut."""

# anny, torch and trimesh come with the `dev` extra only.
# pyright: reportMissingImports=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from uvmap_id.bodies.obj import TexturedMesh
from uvmap_id.bodies.seam_lines import islands

# A quad of the body spans about 0.005 of the atlas; corners farther than this from its middle lie across a cut.
_REACH = 0.035
_CANDIDATES = 24


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


def transfer(vertices: NDArray[np.float64], quads: NDArray[np.integer], atlas: Atlas) -> NDArray[np.float64]:
    """UVs, (F, 4, 2), of quads that lie on the atlas's surface.

    Each quad belongs to the island, and to the side of a cut, on which its middle lies. A corner that lies beyond
    the island's edge gets the UV that continues the nearest triangle of that side.
    """
    mesh = trimesh.Trimesh(
        atlas.corners.reshape(-1, 3), np.arange(len(atlas.corners) * 3).reshape(-1, 3), process=False
    )
    middles = vertices[quads].mean(axis=1)
    home, home_uv = _nearest(mesh, atlas, middles)
    corner_triangle, corner_uv = _nearest(mesh, atlas, vertices)
    uvs = corner_uv[quads]
    strange = (np.linalg.norm(uvs - home_uv[:, None], axis=2) > _REACH) | (
        atlas.island[corner_triangle[quads]] != atlas.island[home][:, None]
    )
    neighbours = _Neighbours(atlas)
    for quad in np.flatnonzero(strange.any(axis=1)):
        candidates = neighbours.near(home[quad], home_uv[quad])
        for corner in np.flatnonzero(strange[quad]):
            uvs[quad, corner] = _continued(vertices[quads[quad, corner]], atlas, candidates)
    offset = uvs - home_uv[:, None]
    # Continuing a sliver can shoot far off; no quad may leave its neighbourhood.
    return (
        home_uv[:, None] + offset * np.minimum(1, _REACH / np.maximum(np.linalg.norm(offset, axis=2), 1e-9))[..., None]
    )


def _nearest(
    mesh: trimesh.Trimesh, atlas: Atlas, points: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    nearest, _, triangle = trimesh.proximity.closest_point(mesh, points)
    weights = trimesh.triangles.points_to_barycentric(atlas.corners[triangle], nearest)
    return triangle, np.einsum("nk,nkc->nc", weights, atlas.uvs[triangle])


class _Neighbours:
    """Triangles of the same island around a place of the atlas."""

    def __init__(self, atlas: Atlas) -> None:
        self._island = atlas.island
        self._tree = cKDTree(atlas.uvs.mean(axis=1))

    def near(self, home: int, uv: NDArray[np.float64]) -> NDArray[np.int64]:
        found = self._tree.query(uv, k=_CANDIDATES)[1]
        return np.append(found[self._island[found] == self._island[home]], home)


def _continued(point: NDArray[np.float64], atlas: Atlas, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    corners = atlas.corners[candidates]
    on_triangle = trimesh.triangles.closest_point(corners, np.tile(point, (len(candidates), 1)))
    best = candidates[np.argmin(np.linalg.norm(on_triangle - point, axis=1))]
    # Barycentric weights of the projection onto the triangle's plane, not clamped: this continues its UVs.
    weights = trimesh.triangles.points_to_barycentric(atlas.corners[best][None], point[None])[0]
    return np.clip(weights, -2, 3) @ atlas.uvs[best]


def frontal_patch(
    rim: NDArray[np.float64], rim_uvs: NDArray[np.floating], points: NDArray[np.float64], shrink: float
) -> NDArray[np.float64]:
    """UVs, (N, 2), for points seen through an opening from the front, such as an eyeball between its lids.

    The map from x and z to UV is the affine one that fits the opening's rim best, drawn together by `shrink`
    so that no lid is painted on the ball.
    """
    middle = rim[:, [0, 2]].mean(axis=0)
    design = np.column_stack([rim[:, [0, 2]] - middle, np.ones(len(rim))])
    affine, *_ = np.linalg.lstsq(design, rim_uvs, rcond=None)
    return np.column_stack([(points[:, [0, 2]] - middle) * shrink, np.ones(len(points))]) @ affine
