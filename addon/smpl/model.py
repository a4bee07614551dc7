"""A body model: its arrays, checked once, so that what is built from them can't fail halfway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .families import FAMILIES, Family, family_of
from .refusal import RefusedError

WANTED = frozenset(
    "v_template f shapedirs posedirs J_regressor kintree_table weights vt ft hands_meanl hands_meanr".split()
)
_REQUIRED = ("v_template", "f", "shapedirs", "J_regressor", "kintree_table", "weights")
# SMPL-X with fewer directions than these has ten of each sort.
_COMPLETE_DIRECTIONS, _SHORT_SHAPES = 400, 10
_WEIGHT_TOLERANCE = 1e-2
_HAND_NUMBERS = 45


@dataclass(frozen=True, slots=True)
class BodyModel:
    """One body model in SMPL's axes: metres, y up, facing +z.

    Attributes:
        family: Which of the families it is of.
        vertices: (V, 3) float32, the template.
        faces: (F, 3) int32.
        shape_directions: (V, 3, B) float32, what one unit of each beta adds.
        expression_directions: (V, 3, E) float32.
        pose_directions: (V, 3, P) float32, what `pose.features` are multiplied with; P is 0 in a model without.
        joints: (J, 3) float64, those of the template.
        joint_directions: (J, 3, B + E) float64, how they follow betas and expressions.
        parents: (J,) int; the root's is -1, and every joint's comes before it.
        weights: (V, J) float32, rows add up to 1.
        uvs: (F, 3, 2) float32, origin bottom left, or None: most models bring none.
        hands: (2, 15, 3) float32 axis-angles of relaxed fingers, left and right, or None.
    """

    family: Family
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    shape_directions: NDArray[np.float32]
    expression_directions: NDArray[np.float32]
    pose_directions: NDArray[np.float32]
    joints: NDArray[np.float64]
    joint_directions: NDArray[np.float64]
    parents: NDArray[np.int64]
    weights: NDArray[np.float32]
    uvs: NDArray[np.float32] | None = None
    hands: NDArray[np.float32] | None = None


def model_from(arrays: Mapping[str, NDArray[Any]]) -> BodyModel:
    """Check the arrays of a body model's file and make a model of them.

    Args:
        arrays: Some of `WANTED`.

    Raises:
        RefusedError: One is missing, has another shape than the family's, holds NaN or leads out of another.
    """
    for name in _REQUIRED:
        if name not in arrays:
            raise RefusedError(f'it has no "{name}", which every body model has')
    vertices = _numbers(arrays, "v_template", 2)
    weights = _numbers(arrays, "weights", 2)
    pose = _numbers(arrays, "posedirs", 3) if "posedirs" in arrays else np.zeros((len(vertices), 3, 0), np.float32)
    family = _family(vertices, weights, pose)
    shapes = _numbers(arrays, "shapedirs", 3)
    for name, array in (("shapedirs", shapes), ("posedirs", pose)):
        if array.shape[:2] != vertices.shape:
            raise RefusedError(f'its "{name}" has the shape {array.shape}')
    regressor = _numbers(arrays, "J_regressor", 2, np.float64)
    joints = len(family.joint_names)
    if regressor.shape not in ((joints, len(vertices)), (joints * 3, len(vertices) * 3 + 1)):
        raise RefusedError(f'its "J_regressor" has the shape {regressor.shape}')
    parts = [shapes, np.zeros((len(vertices), 3, 0), np.float32)]
    if family.expressions:
        count = shapes.shape[2] - family.expressions if shapes.shape[2] >= _COMPLETE_DIRECTIONS else _SHORT_SHAPES
        parts = np.split(shapes, [count, count + family.expressions], axis=2)
    return BodyModel(
        family=family,
        vertices=vertices,
        faces=_faces(arrays["f"], family),
        shape_directions=parts[0],
        expression_directions=parts[1],
        pose_directions=pose,
        joints=_joints(regressor, vertices[..., None], 1)[..., 0],
        joint_directions=_joints(regressor, np.concatenate(parts[:2], axis=2), 0),
        parents=_parents(arrays["kintree_table"], family),
        weights=_weights(weights),
        uvs=_uvs(arrays, family),
        hands=_hands(arrays, family),
    )


def _numbers(arrays: Mapping[str, NDArray[Any]], name: str, dimensions: int, dtype: Any = np.float32) -> NDArray[Any]:
    array = arrays[name]
    if array.dtype.kind not in "fiu" or array.ndim != dimensions:
        raise RefusedError(f'its "{name}" has the shape {array.shape} and the type {array.dtype}')
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype)
    if not np.isfinite(array).all():
        raise RefusedError(f'its "{name}" holds numbers that are infinite or none (NaN)')
    return array


def _family(vertices: NDArray[Any], weights: NDArray[Any], pose: NDArray[Any]) -> Family:
    family = family_of(len(vertices), weights.shape[1], pose.shape[2])
    if family is None or vertices.shape[1] != 3 or len(weights) != len(vertices):
        raise RefusedError(
            f"its {len(vertices)} vertices, {weights.shape[1]} joints and {pose.shape[2]} pose correctives "
            "are those of no known body model",
            f"Choose a model of {', '.join(item.name for item in FAMILIES)}.",
        )
    return family


def _faces(array: NDArray[Any], family: Family) -> NDArray[np.int32]:
    if array.dtype.kind not in "iu" or array.shape != (family.triangles, 3):
        raise RefusedError(f"its faces have the shape {array.shape} instead of {family.name}'s {family.triangles, 3}")
    if array.min() < 0 or array.max() >= family.vertices:
        raise RefusedError("its faces lead to vertices that are not there")
    faces = array.astype(np.int32)
    if (faces == np.roll(faces, 1, axis=1)).any():
        raise RefusedError("some of its faces have a vertex twice")
    return faces


def _joints(regressor: NDArray[np.float64], points: NDArray[np.float32], constant: int) -> NDArray[np.float64]:
    """(J, 3, N) joints of (V, 3, N) points; SUPR's regressor mixes the axes and has a constant, 1 for points."""
    vertices, _, count = points.shape
    if regressor.shape[1] == vertices:
        return np.einsum("jv,vcn->jcn", regressor, points, optimize=True)
    flat = points.reshape(vertices * 3, count).astype(np.float64)
    joints = regressor[:, :-1] @ flat + constant * regressor[:, -1:]
    return joints.reshape(-1, 3, count)


def _parents(array: NDArray[Any], family: Family) -> NDArray[np.int64]:
    """Joints name their parents by the numbers in the table's second row; the root's parent is no joint."""
    count = len(family.joint_names)
    if array.dtype.kind not in "iu" or array.shape != (2, count):
        raise RefusedError(f'its "kintree_table" has the shape {array.shape} instead of {2, count}')
    numbers = {int(number): place for place, number in enumerate(array[1])}
    parents = [-1, *(numbers.get(int(number), count) for number in array[0, 1:])]
    if len(numbers) != count or any(parent >= place for place, parent in enumerate(parents)):
        raise RefusedError("its joints form no tree")
    return np.array(parents)


def _weights(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    sums = weights.sum(axis=1, keepdims=True)
    if weights.min() < -_WEIGHT_TOLERANCE or np.abs(sums - 1).max() > _WEIGHT_TOLERANCE:
        raise RefusedError("its weights don't add up to 1")
    return np.clip(weights, 0, None) / sums


def _uvs(arrays: Mapping[str, NDArray[Any]], family: Family) -> NDArray[np.float32] | None:
    if "vt" not in arrays or "ft" not in arrays:
        return None
    uvs, indices = _numbers(arrays, "vt", 2), arrays["ft"]
    if uvs.shape[1] != 2 or indices.shape != (family.triangles, 3) or indices.dtype.kind not in "iu":
        raise RefusedError(f'its UVs ("vt", "ft") have the shapes {uvs.shape} and {indices.shape}')
    if not len(uvs) or indices.min() < 0 or indices.max() >= len(uvs):
        raise RefusedError("its faces lead to UVs that are not there")
    return uvs[indices]


def _hands(arrays: Mapping[str, NDArray[Any]], family: Family) -> NDArray[np.float32] | None:
    names = ("hands_meanl", "hands_meanr")
    if "left_index1" not in family.joint_names or any(name not in arrays for name in names):
        return None
    hands = [_numbers(arrays, name, 1) for name in names]
    if any(len(hand) != _HAND_NUMBERS for hand in hands):
        raise RefusedError("its relaxed hands have another number of fingers")
    return np.stack(hands).reshape(2, -1, 3)
