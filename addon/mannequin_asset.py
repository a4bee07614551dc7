"""The mannequin's file: numpy arrays in a zip, read without pickle and checked before anything is made of them.

`_LAYOUT` is the format; `docs/mannequin.md` explains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .link.errors import ErrorCode, UVMapError
from .npz import NUMBERS_AND_TEXT, read_arrays

FORMAT = 2
BODY_KEY, EXPRESSION_KEY = 0, 1
SKIN, EYE, MOUTH = 0, 1, 2
LEFT_EYE, RIGHT_EYE = 1, 2
POSES = ("t", "a", "relaxed")

# Unpacked; the arrays of a body have some ten megabytes.
_LARGEST = 100_000_000
_SHORTEST_BONE = 1e-4
_UNIT = 1e-3

# Kind and bytes of an item ("U": text of any length), and the shape. A letter is a count that is the same everywhere:
# Vertices, Faces, Keys (and L = K + 1), N offsets, Bones, Poses.
_LAYOUT: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "format": ("i4", ()),
    "vertices": ("f4", ("V", 3)),
    "faces": ("i4", ("F", 4)),
    "uvs": ("f4", ("F", 4, 2)),
    "face_materials": ("u1", ("F",)),
    "shape_names": ("U", ("K",)),
    "shape_kinds": ("u1", ("K",)),
    "shape_starts": ("i4", ("L",)),
    "shape_vertices": ("u2", ("N",)),
    "shape_offsets": ("i2", ("N", 3)),
    "shape_scales": ("f4", ("K",)),
    "bone_names": ("U", ("B",)),
    "bone_smpl": ("U", ("B",)),
    "bone_parents": ("i2", ("B",)),
    "bone_heads": ("f4", ("B", 3)),
    "bone_tails": ("f4", ("B", 3)),
    "bone_rolls": ("f4", ("B",)),
    "joint_vertices": ("u2", ("B", 2, 8)),
    "weight_bones": ("u1", ("V", 4)),
    "weight_values": ("u1", ("V", 4)),
    "eye_centres": ("f4", (2, 3)),
    "vertex_parts": ("u1", ("V",)),
    "pose_names": ("U", ("P",)),
    "pose_rotations": ("f4", ("P", "B", 4)),
}


@dataclass(frozen=True, slots=True)
class Asset:
    """The arrays of the mannequin's file under their own names; lengths in metres, z up, facing -y.

    Attributes:
        vertices: (V, 3) the neutral adult in the T-pose.
        faces: (F, 4) indices of vertices; a triangle repeats its last index.
        uvs: (F, 4, 2) origin bottom left.
        face_materials: (F,) `SKIN`, `EYE` or `MOUTH`.
        shape_names: (K,) of the shape keys.
        shape_kinds: (K,) `BODY_KEY` or `EXPRESSION_KEY`.
        shape_starts: (K + 1,) where each key's offsets begin; the last is N.
        shape_vertices: (N,) which vertex an offset moves.
        shape_offsets: (N, 3) whole numbers, in units of the key's scale.
        shape_scales: (K,) metres.
        bone_names: (B,).
        bone_smpl: (B,) the SMPL joint at each bone's head, or "".
        bone_parents: (B,) -1 for none.
        bone_heads: (B, 3).
        bone_tails: (B, 3).
        bone_rolls: (B,) radians, as Blender measures them.
        joint_vertices: (B, 2, 8) the vertices whose mean offset each bone's head and tail take.
        weight_bones: (V, 4) which bones move a vertex.
        weight_values: (V, 4) how much, in 255ths.
        eye_centres: (2, 3) left, right.
        vertex_parts: (V,) 0 body, `LEFT_EYE`, `RIGHT_EYE`, 3 mouth.
        pose_names: (P,).
        pose_rotations: (P, B, 4) unit quaternions w x y z in each bone's own axes.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    uvs: NDArray[np.float32]
    face_materials: NDArray[np.uint8]
    shape_names: NDArray[np.str_]
    shape_kinds: NDArray[np.uint8]
    shape_starts: NDArray[np.int32]
    shape_vertices: NDArray[np.uint16]
    shape_offsets: NDArray[np.int16]
    shape_scales: NDArray[np.float32]
    bone_names: NDArray[np.str_]
    bone_smpl: NDArray[np.str_]
    bone_parents: NDArray[np.int16]
    bone_heads: NDArray[np.float32]
    bone_tails: NDArray[np.float32]
    bone_rolls: NDArray[np.float32]
    joint_vertices: NDArray[np.uint16]
    weight_bones: NDArray[np.uint8]
    weight_values: NDArray[np.uint8]
    eye_centres: NDArray[np.float32]
    vertex_parts: NDArray[np.uint8]
    pose_names: NDArray[np.str_]
    pose_rotations: NDArray[np.float32]

    def key_points(self, key: int) -> NDArray[np.float32]:
        """(V, 3) the vertices with one shape key, by its place in `shape_names`, all the way up."""
        chosen = slice(self.shape_starts[key], self.shape_starts[key + 1])
        points = self.vertices.copy()
        points[self.shape_vertices[chosen]] += self.shape_offsets[chosen] * self.shape_scales[key]
        return points

    def eye_bone(self, side: int) -> int:
        """The bone that holds an eye, `LEFT_EYE` or `RIGHT_EYE`."""
        chosen = self.vertex_parts == side
        held = np.bincount(self.weight_bones[chosen].ravel(), self.weight_values[chosen].ravel(), len(self.bone_names))
        return int(held.argmax())


def read(path: Path) -> Asset:
    """Read and check the mannequin's file.

    Raises:
        UVMapError: `body_unreadable`: it is damaged, or not of this format.
    """
    try:
        arrays = _load(path)
        _check_layout(arrays)
        asset = Asset(**{name: array for name, array in arrays.items() if name != "format"})
        _check_mesh(asset)
        _check_keys(asset)
        _check_weights(asset)
        _check_bones(asset)
    except (OSError, ValueError) as error:
        raise UVMapError(
            ErrorCode.BODY_UNREADABLE, f"The mannequin can't be read: {error}.", "Install the extension again."
        ) from error
    return asset


def _load(path: Path) -> dict[str, NDArray[Any]]:
    arrays = read_arrays(path, _LAYOUT, _LARGEST, NUMBERS_AND_TEXT)
    missing = [name for name in _LAYOUT if name not in arrays]
    _require(not missing, f"it lacks {', '.join(missing)}")
    return arrays


def _check_layout(arrays: Mapping[str, NDArray[Any]]) -> None:
    counts: dict[int | str, int] = {}
    for name, (item, shape) in _LAYOUT.items():
        array = arrays[name]
        kind = array.dtype.kind if item == "U" else f"{array.dtype.kind}{array.dtype.itemsize}"
        _require(kind == item and array.ndim == len(shape), f"{name} has the wrong type or shape")
        for length, wanted in zip(array.shape, shape, strict=True):
            expected = wanted if isinstance(wanted, int) else counts.setdefault(wanted, length)
            _require(length == expected, f"{name} has the wrong length")
        _require(array.dtype.kind != "f" or bool(np.isfinite(array).all()), f"{name} holds numbers that are none")
    _require(int(arrays["format"]) == FORMAT, "it is of another format")
    _require(counts["L"] == counts["K"] + 1, "shape_starts has the wrong length")
    _require(min(counts[name] for name in "VFKB") > 0, "it is empty")


def _check_mesh(asset: Asset) -> None:
    count = len(asset.vertices)
    _require(asset.faces.min() >= 0 and asset.faces.max() < count, "faces names vertices that are not there")
    _require(asset.face_materials.max() <= MOUTH, "face_materials names materials that are not there")


def _check_weights(asset: Asset) -> None:
    _require(bool((asset.weight_values.sum(axis=1, dtype=np.int64) == 255).all()), "weights don't add up")
    _require(asset.weight_bones.max() < len(asset.bone_names), "weight_bones names bones that are not there")


def _check_keys(asset: Asset) -> None:
    starts, offsets = asset.shape_starts, len(asset.shape_vertices)
    _require(starts[0] == 0 and starts[-1] == offsets and bool((np.diff(starts) >= 0).all()), "shape_starts is no list")
    _require(bool((asset.shape_vertices < len(asset.vertices)).all()), "shape_vertices names vertices not there")
    _require(bool((asset.shape_kinds <= EXPRESSION_KEY).all()), "shape_kinds names kinds that are not there")
    _require(_unique(asset.shape_names) and _unique(asset.pose_names), "two shape keys or poses have one name")


def _check_bones(asset: Asset) -> None:
    count = len(asset.bone_names)
    _require(_unique(asset.bone_names), "two bones have one name")
    # Parents come first, so that no bone can be its own ancestor.
    _require(bool((asset.bone_parents < np.arange(count)).all()) and asset.bone_parents.min() >= -1, "bones in a ring")
    lengths = np.linalg.norm(asset.bone_tails - asset.bone_heads, axis=1)
    _require(bool((lengths > _SHORTEST_BONE).all()), "a bone has no length")
    _require(asset.joint_vertices.max() < len(asset.vertices), "joint_vertices names vertices that are not there")
    turns = np.linalg.norm(asset.pose_rotations, axis=2)
    _require(bool((abs(turns - 1) < _UNIT).all()), "pose_rotations are no rotations")
    _require(set(POSES) <= set(asset.pose_names.tolist()), "a pose is missing")
    for side in (LEFT_EYE, RIGHT_EYE):
        _require(bool((asset.vertex_parts == side).any()), "an eye is missing")


def _unique(names: NDArray[np.str_]) -> bool:
    return len(set(names.tolist())) == len(names) and "" not in names.tolist()


def _require(holds: bool | np.bool_, reason: str) -> None:
    if not holds:
        raise ValueError(reason)
