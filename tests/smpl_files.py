"""Body models of random numbers in the real files' layouts. Needs numpy alone: Blender's tests use it, too."""

from __future__ import annotations

import contextlib
import pickle
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]

# Name -> vertices, triangles, joints, shape directions, pose directions.
SIZES = {
    "SMPL": (6890, 13776, 24, 10, 207),
    "STAR": (6890, 13776, 24, 12, 93),
    "SMPL-H": (6890, 13776, 52, 16, 459),
    "SMPL-X": (10475, 20908, 55, 20, 486),
    "SUPR": (10475, 20908, 75, 10, 300),
}
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


def make_model(family: str, faces: np.ndarray | None = None, seed: int = 0, *, correctives: bool = True) -> Arrays:
    """The arrays of a model that is a body in nothing but its layout."""
    vertices, triangles, joints, shapes, poses = SIZES[family]
    random = np.random.default_rng(seed)
    if faces is None:
        steps = np.where(np.arange(triangles)[:, None] < vertices, (0, 1, 2), (0, 3, 7))
        faces = (np.arange(triangles)[:, None] + steps) % vertices
    arrays = {
        "v_template": random.normal(size=(vertices, 3)) * (0.2, 0.5, 0.1),
        "f": faces.astype(np.uint32),
        "shapedirs": random.normal(size=(vertices, 3, shapes)) * 0.01,
        "J_regressor": _regressor(random, family),
        "kintree_table": np.array([_parents(joints), np.arange(joints)], np.uint32),
        "weights": _weights(random, vertices, joints),
    }
    if correctives:
        arrays["posedirs"] = random.normal(size=(vertices, 3, poses)).astype(np.float32) * 0.01
    if family in ("SMPL-H", "SMPL-X"):
        arrays |= {name: random.normal(size=45) * 0.3 for name in ("hands_meanl", "hands_meanr")}
    if family == "SMPL-X":
        arrays |= {"vt": random.random((11313, 2)), "ft": random.integers(0, 11313, (triangles, 3)).astype(np.uint32)}
    return arrays


def _parents(joints: int) -> np.ndarray:
    parents = [*SMPL_PARENTS[:22], *range(20, joints - 2)][:joints]
    return np.array([2**32 - 1, *parents[1:]], np.uint32)


def _regressor(random: np.random.Generator, family: str) -> np.ndarray:
    """Some vertices a joint; SUPR's mixes the axes and has a constant."""
    vertices, _, joints, _, _ = SIZES[family]
    rows, columns = (joints * 3, vertices * 3 + 1) if family == "SUPR" else (joints, vertices)
    regressor = np.zeros((rows, columns))
    for row in regressor:
        row[random.integers(0, columns, 20)] = 1 / 20
    return regressor


def _weights(random: np.random.Generator, vertices: int, joints: int) -> np.ndarray:
    """Four joints a vertex, as in the published models."""
    weights = np.zeros((vertices, joints))
    for _ in range(4):
        weights[np.arange(vertices), random.integers(0, joints, vertices)] += random.random(vertices) + 0.01
    return weights / weights.sum(axis=1, keepdims=True)


def write_template(path: Path, arrays: Mapping[str, np.ndarray], seed: int = 0) -> np.ndarray:
    """A UV template for a model: an OBJ file with its faces in another order. Returns (F, 3, 2) the model's UVs."""
    random = np.random.default_rng(seed)
    faces, vertices = arrays["f"].astype(int), arrays["v_template"]
    uvs = random.random((faces.size, 2)).round(6)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices] + [f"vt {u:.6f} {v:.6f}" for u, v in uvs]
    for face in random.permutation(len(faces)).tolist():
        corners = [f"{faces[face, place] + 1}/{face * 3 + place + 1}" for place in range(3)]
        turn = face % 3
        lines.append("f " + " ".join(corners[turn:] + corners[:turn]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return uvs.reshape(-1, 3, 2)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray], **more: Any) -> Path:
    np.savez(path, **arrays, **more)
    return path


def write_python2_pickle(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """As Python 2 wrote SMPL's files: its strings, a sparse regressor, shape directions of chumpy."""
    shapes = arrays["shapedirs"]
    with _stand_ins() as (sparse, ch, select):
        model: dict[str, Any] = dict(arrays)
        model["J_regressor"] = sparse(arrays["J_regressor"])
        model["shapedirs"] = select(ch(shapes), np.arange(shapes.size), shapes.shape)
        model["bs_style"], model["pose_training_info"] = "lbs", {"gender": "neutral"}
        with path.open("wb") as file:
            _Python2Pickler(file, protocol=2).dump(model)
    return path


def write_supr(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """As SUPR comes: a dictionary in an .npy file."""
    np.save(path, np.array(dict(arrays), dtype=object), allow_pickle=True)
    return path


class _Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2's strings, and old names of modules."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if type(obj) in (bytes, str):
            value = obj.encode() if isinstance(obj, str) else obj
            self.write(b"T" + struct.pack("<I", len(value)) + value)  # pyright: ignore[reportAttributeAccessIssue]
        else:
            super().save(obj, save_persistent_id)  # pyright: ignore[reportAttributeAccessIssue]


@contextlib.contextmanager
def _stand_ins() -> Iterator[tuple[Any, Any, Any]]:
    """Classes with the names that scipy 0.x and chumpy gave theirs, importable as long as a pickle is written."""

    class csc_matrix:  # noqa: N801 - scipy's name
        def __init__(self, dense: np.ndarray) -> None:
            columns, rows = np.nonzero(dense.T)
            starts = np.searchsorted(columns, np.arange(dense.shape[1] + 1)).astype(np.int32)
            self.__dict__ = {
                "_shape": dense.shape,
                "maxprint": 50,
                "indices": rows.astype(np.int32),
                "indptr": starts,
                "data": dense[rows, columns],
            }

    class Ch:
        def __init__(self, x: np.ndarray) -> None:
            self.__dict__ = {"x": x, "_dirty_vars": set(), "_itr": None}

    class Select:
        def __init__(self, a: Ch, idxs: np.ndarray, shape: tuple[int, ...]) -> None:
            self.__dict__ = {"a": a, "idxs": idxs, "preferred_shape": shape, "_dirty_vars": set()}

    places = {"scipy.sparse.csc": csc_matrix, "chumpy.ch": Ch, "chumpy.reordering": Select}
    names = {*places, "scipy", "scipy.sparse", "chumpy"}
    before = {name: sys.modules.get(name) for name in names}
    try:
        for name in names:
            sys.modules[name] = ModuleType(name)
        for name, kind in places.items():
            kind.__module__, kind.__qualname__ = name, kind.__name__
            setattr(sys.modules[name], kind.__name__, kind)
        yield csc_matrix, Ch, Select
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
