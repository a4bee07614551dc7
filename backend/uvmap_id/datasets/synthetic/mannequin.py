"""The free body's head and shoulders, shaped like a synthetic person.

Lengths are metres, z is up, the body faces -y. `docs/mannequin.md` describes the file.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from uvmap_id.bodies.poses import POSES, struck
from uvmap_id.bodies.skeleton import Joints
from uvmap_id.datasets.synthetic.identity import OLDEST, Identity
from uvmap_id.link.errors import ErrorCode, UVMapError

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]
SKIN, EYE, MOUTH = 0, 1, 2
_PACKAGED = Path(__file__).parents[2] / "bodies" / "mannequin.npz"
_REPOSITORY = Path(__file__).parents[4] / "addon" / "assets" / "mannequin.npz"
_LOWEST, _WIDEST = 1.18, 0.36  # Metres: what lies below or beyond is not in a portrait.
_ANCESTRY = {"african": "african", "asian": "asian", "white": "caucasian"}
_LANDMARKS = ("nose_tip", "chin", "crown", "upper_lip", "left_eye_outer_corner", "right_eye_outer_corner", "left_ear")


@dataclass(frozen=True, slots=True)
class Mannequin:
    """The mannequin's head and shoulders as triangles.

    Attributes:
        vertices: (V, 3) neutral, in the T-pose.
        triangles: (T, 3).
        uvs: (T, 3, 2), origin bottom left.
        materials: (T,) `SKIN`, `EYE` or `MOUTH`.
        keys: (V, 3) offsets by the names of shape keys.
        landmarks: Numbers of vertices by name.
        vertex_uvs: (V, 2) in the atlas, of one of the triangles that a vertex is in; NaN where none is skin.
        neighbours: (V, V) each row the mean over a vertex and its neighbours.
        weights: (V, B) of the bones.
        joints: Of the neutral body.
    """

    vertices: Floats
    triangles: NDArray[np.int64]
    uvs: Floats
    materials: NDArray[np.uint8]
    keys: dict[str, Floats]
    landmarks: dict[str, int]
    vertex_uvs: Floats
    neighbours: scipy.sparse.csr_matrix
    weights: Floats
    joints: Joints

    @classmethod
    def load(cls, path: Path | None = None) -> Mannequin:
        """Read the mannequin's file.

        Args:
            path: By default the one of the installed package or of the repository.

        Raises:
            UVMapError: body_missing, body_unreadable.
        """
        place = path or mannequin_path()
        try:
            with place.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return _cut(dict(stored))
        except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
            raise UVMapError(
                ErrorCode.BODY_UNREADABLE, f"{place} is not the mannequin.", "Name another: --mannequin mannequin.npz"
            ) from error

    def shaped(self, person: Identity, expression: dict[str, float]) -> Floats:
        """(V, 3) the person's face; the neck and the shoulders hang as when somebody stands at ease."""
        vertices = self.vertices.copy()
        for name, value in {**_key_values(person), **expression}.items():
            vertices += value * self.keys[name]
        vertices = self._modelled(vertices, person)
        moved, _ = struck(vertices, self.weights, self.joints, POSES["relaxed"])
        return moved

    def smooth(self, values: Floats, rounds: int) -> Floats:
        """Values at the vertices, (V,) or (V, C), averaged with their neighbours'."""
        for _ in range(rounds):
            values = self.neighbours @ values
        return values

    def _modelled(self, vertices: Floats, person: Identity) -> Floats:
        """Widths and lengths that the shape keys leave alone, each a few millimetres."""
        nose, chin, crown, lip, left, right, ear = (vertices[self.landmarks[name]] for name in _LANDMARKS)
        axis, eyes = (left[0] + right[0]) / 2, (left[2] + right[2]) / 2
        x, y, z = vertices[:, 0] - axis, vertices[:, 1], vertices[:, 2]
        head = _step(chin[2] - 0.05, chin[2] + 0.01, z)
        below = _step(lip[2] + 0.01, chin[2], z) * head
        above = _step(eyes + 0.015, crown[2] - 0.02, z)
        front = _step(ear[1] - 0.01, nose[1] + 0.02, y)
        on_nose = np.exp(-((x / 0.016) ** 2) - ((z - nose[2]) / 0.018) ** 2) * _step(ear[1], nose[1] + 0.012, y)
        cheek = np.exp(-(((np.abs(x) - 0.052) / 0.02) ** 2) - ((z - nose[2] - 0.012) / 0.022) ** 2) * front
        wider = 0.035 * person["head_width"] * head + 0.075 * person["jaw_width"] * below * front
        wider += 0.16 * person["nose_width"] * on_nose + 0.07 * person["cheekbones"] * cheek
        longer = -0.007 * person["chin_length"] * below * front + 0.006 * person["forehead"] * above
        longer -= 0.0035 * person["nose_length"] * on_nose
        forward = -0.004 * person["nose_length"] * on_nose - 0.003 * person["chin_length"] * below * front
        return vertices + np.stack([x * wider, forward, longer], axis=1)


def mannequin_path() -> Path:
    """Where the mannequin lies. Raises `UVMapError` (body_missing)."""
    for place in (_PACKAGED, _REPOSITORY):
        if place.is_file():
            return place
    raise UVMapError(
        ErrorCode.BODY_MISSING,
        "The mannequin's file does not come with this installation.",
        "Name it: --mannequin mannequin.npz, from the folder addon/assets of the project.",
    )


def _key_values(person: Identity) -> dict[str, float]:
    """How strong each of the body's shape keys is."""
    old = float(np.clip((person.age - 25) / (OLDEST - 25), 0, 1))
    woman = person.gender == "woman"
    weight = person["weight"]
    values = {
        "gender+" if woman else "gender-": 0.9,
        "age+": 0.8 * old,
        "weight+" if weight > 0 else "weight-": abs(weight),
        _ANCESTRY[person.group]: 1.0,
    }
    return values | ({"age+*gender+": 0.9 * 0.8 * old} if woman else {})


def _step(low: float, high: float, value: Floats) -> Floats:
    """0 at `low`, 1 at `high`, smooth; `low` may be above `high`."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _cut(body: Arrays) -> Mannequin:
    """Head and shoulders of the file's arrays."""
    every = np.asarray(body["vertices"], np.float64)
    kept = (every[:, 2] > _LOWEST) & (np.abs(every[:, 0]) < _WIDEST)
    number = np.cumsum(kept) - 1
    faces, uvs, materials = (np.asarray(body[name]) for name in ("faces", "uvs", "face_materials"))
    chosen = kept[faces].all(axis=1)
    faces, uvs, materials = faces[chosen], uvs[chosen].astype(np.float64), materials[chosen]
    quads = faces[:, 2] != faces[:, 3]
    triangles = number[np.concatenate([faces[:, [0, 1, 2]], faces[quads][:, [0, 2, 3]]])]
    corners = np.concatenate([uvs[:, [0, 1, 2]], uvs[quads][:, [0, 2, 3]]])
    kinds = np.concatenate([materials, materials[quads]]).astype(np.uint8)
    bones, values = np.asarray(body["weight_bones"]), np.asarray(body["weight_values"], np.float64)
    weights = np.zeros((len(every), len(body["bone_names"])))
    np.add.at(weights, (np.arange(len(every))[:, None], bones), values / 255)
    names, marks = np.asarray(body["landmark_names"]).tolist(), np.asarray(body["landmark_vertices"], np.int64)
    count = int(kept.sum())
    return Mannequin(
        vertices=every[kept],
        triangles=triangles.astype(np.int64),
        uvs=corners,
        materials=kinds,
        keys=_keys(body, kept, number),
        landmarks={name: int(number[mark]) for name, mark in zip(names, marks, strict=True) if kept[mark]},
        vertex_uvs=_vertex_uvs(triangles, corners, kinds, count),
        neighbours=_neighbours(triangles, count),
        weights=weights[kept],
        joints=Joints(np.asarray(body["bone_heads"], np.float64), np.asarray(body["bone_tails"], np.float64)),
    )


def _keys(body: Arrays, kept: NDArray[np.bool_], number: NDArray[np.int64]) -> dict[str, Floats]:
    names, starts = np.asarray(body["shape_names"]).tolist(), np.asarray(body["shape_starts"], np.int64)
    moved, offsets = np.asarray(body["shape_vertices"], np.int64), np.asarray(body["shape_offsets"], np.float64)
    keys: dict[str, Floats] = {}
    for index, name in enumerate(names):
        part = slice(starts[index], starts[index + 1])
        mine = kept[moved[part]]
        dense = np.zeros((int(kept.sum()), 3))
        dense[number[moved[part][mine]]] = offsets[part][mine] * float(np.asarray(body["shape_scales"])[index])
        keys[name] = dense
    return keys


def _vertex_uvs(triangles: NDArray[np.int64], uvs: Floats, materials: NDArray[np.uint8], count: int) -> Floats:
    found = np.full((count, 2), np.nan)
    skin = materials == SKIN
    found[triangles[skin].ravel()] = uvs[skin].reshape(-1, 2)
    return found


def _neighbours(triangles: NDArray[np.int64], count: int) -> scipy.sparse.csr_matrix:
    rows = triangles[:, [0, 1, 2, 1, 2, 0]].ravel()
    columns = triangles[:, [1, 2, 0, 0, 1, 2]].ravel()
    linked = scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    linked.data[:] = 1
    linked = linked + scipy.sparse.eye(count, format="csr")
    return scipy.sparse.csr_matrix(scipy.sparse.diags(1 / np.asarray(linked.sum(axis=1)).ravel()) @ linked)
