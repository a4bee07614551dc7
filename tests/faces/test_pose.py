"""The pose of a head is found from where its points are seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from uvmap_id.atlas.face import FaceShape
from uvmap_id.atlas.layout import Atlas
from uvmap_id.faces.pose import Pose, fit_pose


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """(468, 3) SMPL's face landmarks in space."""
    return FaceShape.load().at(Atlas.load().landmarks[:468])


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0, 0, 0), (20, -10, 5), (-40, 15, -20), (55, 0, 0)])
@pytest.mark.parametrize("distance", [0.5, 1.5, 6.0])
def test_a_known_pose_is_found(points: np.ndarray, yaw: float, pitch: float, roll: float, distance: float) -> None:
    rotation = Rotation.from_euler("zxy", [yaw, pitch, roll], degrees=True)
    known = Pose(rotation.as_matrix(), points.mean(axis=0), 2500.0, np.array([400.0, 300.0]), 1 / distance)
    seen = known.project(points)
    found = fit_pose(seen, points, np.ones(len(points)))
    assert np.abs(found.project(points) - seen).max() < 2.0
    assert found.turned == pytest.approx(known.turned, abs=2.0)


def test_outliers_do_not_turn_the_head(points: np.ndarray) -> None:
    known = Pose(np.eye(3), points.mean(axis=0), 2500.0, np.array([400.0, 300.0]), 0.5)
    seen = known.project(points)
    seen[::12] += 60
    found = fit_pose(seen, points, np.ones(len(points)))
    assert found.turned < 2.5


def test_a_face_that_looks_at_the_camera_faces_it(points: np.ndarray) -> None:
    pose = Pose(np.eye(3), points.mean(axis=0), 1.0, np.zeros(2), 0.0)
    assert pose.turned == pytest.approx(0)
    assert pose.facing(np.array([[0.0, -1, 0], [0, 1, 0], [1, 0, 0]])) == pytest.approx([1, -1, 0])
