"""The mannequin's file, as the extension brings it, and what its tests measure on it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from uvmap_id.bodies.posture import skinned
from uvmap_id.bodies.skeleton import BONES, Joints

ASSET = Path(__file__).parents[2] / "addon" / "assets" / "mannequin.npz"


@functools.cache
def arrays() -> Mapping[str, NDArray[Any]]:
    with np.load(ASSET, allow_pickle=False) as found:
        return dict(found)


def names() -> list[str]:
    return arrays()["shape_names"].tolist()


@functools.cache
def offsets(name: str) -> NDArray[np.float64]:
    """(V, 3) of a key."""
    found, key = arrays(), names().index(name)
    part = slice(*found["shape_starts"][key : key + 2])
    moved = np.zeros(found["vertices"].shape)
    moved[found["shape_vertices"][part]] = found["shape_offsets"][part] * float(found["shape_scales"][key])
    return moved


def body(**values: float) -> NDArray[np.float64]:
    """(V, 3) with some keys, "_" standing for "-" in their names, and the products that belong to them."""
    wanted = {name.replace("_", "-").replace("0", "+"): value for name, value in values.items()}
    for name in names():
        first, _, second = name.partition("*")
        if first in wanted and second in wanted:
            wanted[name] = wanted[first] * wanted[second]
    points = arrays()["vertices"].astype(np.float64)
    for name, value in wanted.items():
        points += value * offsets(name)
    return points


def joints(points: NDArray[np.float64]) -> Joints:
    """Where the joints are in a shape: the extension moves them with eight vertices each."""
    found = arrays()
    moved = (points - found["vertices"])[found["joint_vertices"]].mean(axis=2)
    return Joints(found["bone_heads"] + moved[:, 0], found["bone_tails"] + moved[:, 1])


@functools.cache
def weights() -> NDArray[np.float64]:
    """(V, B)"""
    found = arrays()
    dense = np.zeros((len(found["vertices"]), len(BONES)))
    np.add.at(dense, (np.arange(len(dense))[:, None], found["weight_bones"]), found["weight_values"] / 255)
    return dense


def posed(turns: NDArray[np.float64], points: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """(V, 3) in a pose, (B, 3, 3) how far each bone is turned in the world's axes."""
    points = arrays()["vertices"].astype(np.float64) if points is None else points
    return skinned(points, weights(), joints(points), turns)


@functools.cache
def pairs() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Vertices and their mirror images; a few beside the atlas's cuts may have none."""
    points = arrays()["vertices"]
    distances, partners = cKDTree(points).query(points * [-1, 1, 1])
    own = np.flatnonzero((distances < 1e-5) & (partners[partners] == np.arange(len(points))))
    return own, partners[own]


def skin_triangles() -> NDArray[np.int64]:
    """(T, 3) of all faces but the eyes' and the mouth's."""
    return _halves(arrays()["faces"][arrays()["face_materials"] == 0])


def all_triangles() -> NDArray[np.int64]:
    return _halves(arrays()["faces"])


def _halves(faces: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]]).astype(np.int64)


def landmark(name: str) -> int:
    return int(arrays()["landmark_vertices"][arrays()["landmark_names"].tolist().index(name)])


def volume(points: NDArray[np.float64]) -> float:
    """Cubic metres inside the skin; the holes at eyes and lips are small."""
    first, second, third = np.moveaxis(points[skin_triangles()], 1, 0)
    return float((np.cross(first, second) * third).sum() / 6)
