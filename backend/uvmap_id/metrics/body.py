"""A body to put textures on, as triangles."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies.calibrate import z_up
from uvmap_id.bodies.obj import read_obj
from uvmap_id.bodies.poses import POSES, struck
from uvmap_id.bodies.skeleton import Joints
from uvmap_id.link.errors import ErrorCode, UVMapError

SKIN, EYE, MOUTH = 0, 1, 2
_HEIGHT = 1.75  # metres
_MANNEQUIN = "mannequin.npz"
_ANOTHER = "Name a body in SMPL's atlas: --body FILE.obj"


@dataclass(frozen=True, slots=True)
class Body:
    """Triangles in metres: z is up, the feet are at 0, the face looks along -y.

    Attributes:
        vertices: (V, 3) float64.
        triangles: (T, 3) int64.
        uvs: (T, 3, 2) float64, origin bottom left.
        materials: (T,) uint8: `SKIN`, which shows the texture, `EYE` and `MOUTH`, which have UVs of their own.
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]
    uvs: NDArray[np.float64]
    materials: NDArray[np.uint8]


def load_body(obj: Path | None = None) -> Body:
    """The body of an OBJ in SMPL's atlas, else the mannequin with its arms hanging.

    Raises:
        UVMapError: body_unreadable, body_without_uvs, body_missing.
    """
    return _mannequin(_mannequin_file()) if obj is None else _of_obj(obj)


def _of_obj(obj: Path) -> Body:
    mesh = read_obj(obj)
    vertices = z_up(mesh.vertices)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    middle = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    vertices = (vertices - middle) * (_HEIGHT / max(float(high[2] - low[2]), 1e-9))
    return Body(vertices, mesh.triangles, mesh.uvs[mesh.uv_triangles], np.zeros(len(mesh.triangles), np.uint8))


def _mannequin_file() -> Path:
    """The mannequin's file: inside the installed package, or the extension's in a checkout."""
    package = Path(str(resources.files("uvmap_id")))
    places = (package / "bodies" / _MANNEQUIN, package.parents[1] / "addon" / "assets" / _MANNEQUIN)
    for place in places:
        if place.is_file():
            return place
    raise UVMapError(ErrorCode.BODY_MISSING, "The mannequin is not in this installation.", _ANOTHER)


def _mannequin(file: Path) -> Body:
    try:
        with np.load(file, allow_pickle=False) as stored:
            body = dict(stored)
        weights = np.zeros((len(body["vertices"]), len(body["bone_names"])))
        np.add.at(weights, (np.arange(len(weights))[:, None], body["weight_bones"]), body["weight_values"] / 255)
        joints = Joints(body["bone_heads"].astype(np.float64), body["bone_tails"].astype(np.float64))
        vertices, _ = struck(body["vertices"].astype(np.float64), weights, joints, POSES["relaxed"])
        faces, uvs, materials = body["faces"], body["uvs"], body["face_materials"]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UVMapError(ErrorCode.BODY_UNREADABLE, f"{file} is damaged: {error}.", _ANOTHER) from error
    quads = faces[:, 2] != faces[:, 3]
    return Body(
        vertices,
        np.concatenate([faces[:, [0, 1, 2]], faces[quads][:, [0, 2, 3]]]).astype(np.int64),
        np.concatenate([uvs[:, [0, 1, 2]], uvs[quads][:, [0, 2, 3]]]).astype(np.float64),
        np.concatenate([materials, materials[quads]]).astype(np.uint8),
    )
