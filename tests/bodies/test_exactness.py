"""The mannequin's file wears SMPL's atlas as exactly as its documentation says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from shared_data import shared

from uvmap_id.bodies.obj import TexturedMesh, read_obj

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    """The benchmark."""
    spec = importlib.util.spec_from_file_location("benchmark_bodies", ROOT / "benchmarks" / "bodies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def template() -> TexturedMesh:
    return read_obj(shared("smpl/smpl_uv.obj"))


@pytest.fixture(scope="module")
def body(measure: ModuleType) -> dict[str, NDArray]:
    with np.load(measure.ASSET, allow_pickle=False) as stored:
        return dict(stored)


def test_its_features_lie_where_smpls_do(measure: ModuleType, body: dict, template: TexturedMesh) -> None:
    distances = measure.landmark_distances(body, template)
    assert len(distances) == 30
    for name, distance in distances.items():
        assert distance < (0.01 if name.endswith("_tip") and name != "nose_tip" else 0.006), name


def test_no_face_is_folded_or_lies_in_two_islands(measure: ModuleType, body: dict, template: TexturedMesh) -> None:
    faces = measure.outside(body)
    corners, of = measure.triangles_of(body["faces"][faces])
    uvs = body["uvs"][faces][of[:, None], corners].astype(np.float64)
    places = body["vertices"][body["faces"][faces][of[:, None], corners]].astype(np.float64)
    signs, alone = measure.orientation(uvs, body, faces, of, template)
    assert (measure.cross(uvs) * signs).min() > 0
    assert alone.all()
    area = np.linalg.norm(np.cross(places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]), axis=1)
    assert measure.part_share(body, faces, of, uvs, area) > 0.98
    order = np.argsort(stretch := measure.stretches(uvs, area, template))
    assert stretch[order][np.cumsum(area[order]) > 0.95 * area.sum()][0] < 2


def test_the_measure_sees_what_is_wrong(measure: ModuleType, body: dict, template: TexturedMesh) -> None:
    """Turned over or moved to another island, faces count as bad, and features move as far as the UVs do."""
    moved = body | {"uvs": body["uvs"] + np.array([0.02, 0], np.float32)}
    nearer = measure.landmark_distances(body, template)
    assert all(
        distance > 0.02 - nearer[name] - 1e-6 for name, distance in measure.landmark_distances(moved, template).items()
    )
    faces = measure.outside(body)
    corners, of = measure.triangles_of(body["faces"][faces])
    uvs = body["uvs"][faces][of[:, None], corners].astype(np.float64)
    uvs[:50] = uvs[:50, ::-1]
    uvs[[100]] = np.array([[[0.1, 0.7], [0.9, 0.1], [0.9, 0.7]]])
    signs, alone = measure.orientation(uvs, body, faces, of, template)
    assert (measure.cross(uvs) * signs < 0).sum() == 50
    assert np.flatnonzero(~alone).tolist() == [100]


def test_iris_and_lids(body: dict[str, NDArray]) -> None:
    """The middle of an eye's square is the most forward point of the ball, and the eyeballs' UVs fill their squares."""
    eye = body["face_materials"] == 1
    uvs = body["uvs"][eye].reshape(-1, 2)
    points = body["vertices"][body["faces"][eye]].reshape(-1, 3)
    for centre in body["eye_centres"]:
        near = np.linalg.norm(points - centre, axis=1) < 0.03
        front = near & (np.linalg.norm(uvs - 0.5, axis=1) < 0.08)
        assert front.any()
        directions = (points[front] - centre) / np.linalg.norm(points[front] - centre, axis=1, keepdims=True)
        assert (-directions[:, 1] > np.cos(np.radians(40))).all()
