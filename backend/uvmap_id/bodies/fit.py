"""Poses and shapes the free body to another body's surface, so that a registration starts close."""

# anny, torch and trimesh come with the `dev` extra only.
# pyright: reportMissingImports=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from uvmap_id.atlas.view import vertex_normals
from uvmap_id.bodies.source import Source

_STEPS = 260
_MATCH_EVERY = 5
_FREE_SHAPE = ("gender", "muscle", "weight", "height", "proportions")
_ARMS_TO_T_POSE = 0.75


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Pairs of points that must meet.

    Attributes:
        triangles: (N,) numbers of the source's outer triangles that hold the landmarks.
        corners: (N, 3) vertex indices of the source's triangle that holds each landmark.
        barycentric: (N, 3) weights of those vertices.
        targets: (N, 3) metres, where the landmark must come to lie.
    """

    triangles: NDArray[np.int64]
    corners: NDArray[np.int64]
    barycentric: NDArray[np.float64]
    targets: NDArray[np.float64]


def joined(*parts: Landmarks) -> Landmarks:
    """All landmarks of several sets."""
    return Landmarks(
        np.concatenate([part.triangles for part in parts]),
        np.concatenate([part.corners for part in parts]),
        np.concatenate([part.barycentric for part in parts]),
        np.concatenate([part.targets for part in parts]),
    )


def fit(
    source: Source,
    outer: NDArray[np.int64],
    target: NDArray[np.float64],
    normals: NDArray[np.float64],
    marks: Landmarks,
) -> NDArray[np.float64]:
    """Vertices of the source, (V, 3), after bone rotations, phenotypes, scale and translation were fitted.

    Args:
        source: The free body.
        outer: Indices of its vertices on the outside of the body.
        target: (P, 3) points of the other body's surface, metres, z up, facing -y.
        normals: (P, 3) their unit normals, outwards.
        marks: Landmarks on the face.
    """
    torch.manual_seed(0)
    bones = [bone for bone in source.model.bone_labels if not bone.startswith("toe") and bone != "root"]
    rotations = torch.zeros(len(bones), 3)
    for side, sign in (("L", -1.0), ("R", 1.0)):
        rotations[bones.index(f"upperarm01.{side}"), 1] = sign * _ARMS_TO_T_POSE
    rotations.requires_grad_(True)
    shape = torch.full((len(_FREE_SHAPE),), 0.5, requires_grad=True)
    scale = torch.ones(1, requires_grad=True)
    with torch.no_grad():
        start = source.deform(dict(zip(bones, rotations, strict=True)), {})[outer]
    move = (torch.from_numpy(target).float().mean(0) - start.mean(0)).requires_grad_(True)
    optimizer = torch.optim.Adam(
        [{"params": [rotations], "lr": 0.01}, {"params": [shape], "lr": 0.01}, {"params": [scale, move], "lr": 0.003}]
    )
    tree, triangles = cKDTree(target), _outer_triangles(source, outer)
    pinned = rotations.detach().clone()
    matched: tuple[torch.Tensor, torch.Tensor] | None = None
    vertices = torch.empty(0)
    for step in range(_STEPS):
        kinds: dict[str, torch.Tensor] = dict(zip(_FREE_SHAPE, torch.clamp(shape, 0.05, 0.95), strict=True))
        vertices = scale * source.deform(dict(zip(bones, rotations, strict=True)), kinds) + move
        if step % _MATCH_EVERY == 0 or matched is None:
            matched = _match(vertices[outer].detach().double().numpy(), triangles, tree, target, normals)
        weight, goal = matched
        loss = (weight * (vertices[outer] - goal).square().sum(1)).mean() * 1e3
        held = (vertices[torch.from_numpy(marks.corners)] * torch.from_numpy(marks.barycentric).float()[..., None]).sum(
            1
        )
        loss = loss + (held - torch.from_numpy(marks.targets).float()).square().sum(1).mean() * 1e2
        loss = loss + 0.02 * (rotations - pinned).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return vertices.detach().double().numpy()


def _outer_triangles(source: Source, outer: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles among the outer vertices, in the numbering of `outer`."""
    position = np.full(len(source.rest), -1)
    position[outer] = np.arange(len(outer))
    quads = position[source.quads]
    return quads[(quads >= 0).all(axis=1)][:, :3]


def _match(
    points: NDArray[np.float64],
    triangles: NDArray[np.int64],
    tree: cKDTree,
    target: NDArray[np.float64],
    normals: NDArray[np.float64],
) -> tuple[torch.Tensor, torch.Tensor]:
    """For each point the nearest target point; weight 0 where the normals disagree."""
    distance, index = tree.query(points)
    agrees = (vertex_normals(points, triangles) * normals[index]).sum(1) > 0.5
    # A robust weight: far pairs are most often wrong pairs.
    weight = agrees / (1 + (distance / 0.05) ** 2)
    return torch.from_numpy(weight).float(), torch.from_numpy(target[index]).float()
