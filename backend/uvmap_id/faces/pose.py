"""Where a face stands before the camera, from its landmarks and a shape that is about its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

# Photos of faces are taken from arm's length to a few metres; the prior of the fit.
_USUAL_DISTANCE_M = 1.5
_NEAREST_M = 0.35
_NOISE_M = 0.003


@dataclass(frozen=True, slots=True)
class Pose:
    """A camera that sees a head: rotation, then scaling with perspective, then a shift.

    Attributes:
        rotation: (3, 3) from body axes (x left, y back, z up) to camera axes (x right, y away, z up).
        centre: (3,) metres, the point about which is turned.
        scale: Pixels per metre at that point.
        shift: (2,) pixels x, y where the point is seen.
        nearness: 1 / distance of the camera in 1/m; 0 is an orthographic picture.
    """

    rotation: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: float
    shift: NDArray[np.float64]
    nearness: float

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 2) pixels x, y of points (..., 3) in metres."""
        seen = (points - self.centre) @ self.rotation.T
        factor = self.scale / (1 + self.nearness * seen[..., 1])
        return self.shift + np.stack([seen[..., 0] * factor, -seen[..., 2] * factor], axis=-1)

    def facing(self, normals: NDArray[np.floating]) -> NDArray[np.float64]:
        """(...) how squarely surfaces with these normals (..., 3) face the camera: 1 fully, below 0 not at all."""
        return -(normals @ self.rotation.T)[..., 1]

    @property
    def turned(self) -> float:
        """Degrees between where the face looks and the camera."""
        forward = np.array([0.0, -1.0, 0.0])
        return float(np.degrees(np.arccos(np.clip(self.facing(forward), -1, 1))))


def fit_pose(points: NDArray[np.floating], shape: NDArray[np.floating], weights: NDArray[np.floating]) -> Pose:
    """The pose under which a shape's points are seen where the photo has them.

    Args:
        points: (N, 2) pixels x, y.
        shape: (N, 3) metres in body axes.
        weights: (N,) how much each point counts; 0 leaves it out.

    The loss is robust (soft L1), because no face has exactly the given shape.
    """
    used = weights > 0
    points, shape, weights = points[used].astype(np.float64), shape[used].astype(np.float64), weights[used]
    centre, middle = shape.mean(axis=0), points.mean(axis=0)
    scale = float(np.sqrt(((points - middle) ** 2).sum() / ((shape - centre)[:, [0, 2]] ** 2).sum()))
    start = np.array([0.0, 0.0, 0.0, 0.0, *np.zeros(2), 1 / _USUAL_DISTANCE_M])

    def pose_of(values: NDArray[np.float64]) -> Pose:
        rotation = Rotation.from_rotvec(values[:3]).as_matrix()
        return Pose(rotation, centre, scale * np.exp(values[3]), middle + values[4:6] * scale, float(values[6]))

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        error = (pose_of(values).project(shape) - points) / (scale * _NOISE_M)
        prior = (values[6] - 1 / _USUAL_DISTANCE_M) / 0.5
        return np.append((error * np.sqrt(weights)[:, None]).ravel(), prior)

    limits = (np.array([-np.inf] * 6 + [0.0]), np.array([np.inf] * 6 + [1 / _NEAREST_M]))
    return pose_of(least_squares(residuals, start, bounds=limits, loss="soft_l1", max_nfev=60).x)
