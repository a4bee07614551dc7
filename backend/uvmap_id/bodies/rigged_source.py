"""The free body with its bones and face: what the mannequin's shapes, expressions and armature are measured on."""

# anny, torch and trimesh come with the `dev` extra only.
# pyright: reportMissingImports=false

from __future__ import annotations

import functools
from collections.abc import Mapping

import anny
import numpy as np
import torch
from anny.face_segmentation import get_face_segmentation_mask
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from uvmap_id.bodies.skeleton import Floats, other_side


class RiggedSource:
    """anny's quad mesh in metres, z up, facing -y, with MakeHuman's bones and the face units of ARKit.

    Vertices are numbered as in `uvmap_id.bodies.source.Source`. Everything here is symmetric: what anny has on both
    sides is made the mean of the two.
    """

    def __init__(self) -> None:
        self.model = anny.Anny(
            rig="makehuman",
            topology="anny-quads",
            phenotypes="all",
            facial_actions="all",
            phenotype_blendshapes="original",
        )
        self.quads: NDArray[np.int64] = self.model.faces.numpy()
        self.bones: list[str] = list(self.model.bone_labels)

    @functools.cached_property
    def mirror(self) -> NDArray[np.int64]:
        """(V,) the vertex on the other side of the body; vertices in the middle are their own."""
        points = self.model.template_vertices.double().numpy()
        return cKDTree(points).query(points * [-1, 1, 1])[1]

    def rest(self, phenotypes: Mapping[str, float]) -> tuple[Floats, dict[str, Floats]]:
        """A body as anny stands: (V, 3) vertices, and for each of MakeHuman's bones (2, 3) its head and tail."""
        with torch.no_grad():
            output = self.model(phenotype_kwargs=dict(phenotypes))
        vertices, heads, tails = (
            output[name][0].double().numpy() for name in ("rest_vertices", "rest_bone_heads", "rest_bone_tails")
        )
        ends = {name: np.stack([heads[number], tails[number]]) for number, name in enumerate(self.bones)}
        vertices = (vertices + vertices[self.mirror] * [-1, 1, 1]) / 2
        return vertices, {name: (ends[name] + ends[other_side(name)] * [-1, 1, 1]) / 2 for name in self.bones}

    @functools.cached_property
    def shares(self) -> dict[str, Floats]:
        """(V,) for each of MakeHuman's bones: how much it moves each vertex; they sum to 1."""
        weights = self.model.vertex_bone_weights.double().numpy()
        dense = np.zeros((len(weights), len(self.bones)))
        np.add.at(dense, (np.arange(len(weights))[:, None], self.model.vertex_bone_indices.numpy()), weights)
        return {name: dense[:, number] for number, name in enumerate(self.bones)}

    @functools.cached_property
    def face_units(self) -> dict[str, Floats]:
        """(V, 3) offsets for each of ARKit's facial actions, metres on anny's template."""
        labels = self.model.facial_action_labels
        shapes = self.model.blendshapes[-len(labels) :].double().numpy()
        return dict(zip(labels, shapes, strict=True))

    def vertices_of(self, *parts: str) -> NDArray[np.int64]:
        """The vertices of some of the named parts of anny's own segmentation."""
        return np.unique(self.quads[get_face_segmentation_mask(self.model, list(parts)).numpy()])

    @functools.cached_property
    def edges(self) -> NDArray[np.int64]:
        """(E, 2) pairs of vertices, each once."""
        pairs = np.concatenate([self.quads[:, [i, (i + 1) % 4]] for i in range(4)])
        pairs = np.unique(np.sort(pairs, axis=1), axis=0)
        return pairs[pairs[:, 0] != pairs[:, 1]]
