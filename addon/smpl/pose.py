"""What the pose correctives follow, as the papers define it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .families import Family

_IDENTITY_QUATERNION = np.array([0.0, 0.0, 0.0, 1.0])


def features(family: Family, quaternions: NDArray[np.float64], second_beta: float = 0.0) -> NDArray[np.float64]:
    """(P,) the numbers that a model's pose directions are multiplied with.

    SMPL, SMPL-H and SMPL-X use the joints' rotation matrices minus identity (Loper et al. 2015, equation 9);
    STAR and SUPR use quaternions minus identity, and STAR the second beta (Osman et al. 2020, section 3.2).

    Args:
        family: Which model.
        quaternions: (J, 4) unit quaternions x, y, z, w: each joint's rotation against its parent, in SMPL's axes.
        second_beta: For STAR.
    """
    followed = quaternions if family.root_corrects else quaternions[1:]
    if family.rotation == "matrix":
        return (_matrices(followed) - np.eye(3)).ravel()
    # A quaternion and its negative are one rotation; an angle below half a turn has a positive w.
    numbers = (np.where(followed[:, 3:] < 0, -followed, followed) - _IDENTITY_QUATERNION).ravel()
    return np.append(numbers, second_beta) if family.weight_corrects else numbers


def _matrices(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3, 3) rotation matrices."""
    x, y, z, w = quaternions.T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.array(rows).transpose(2, 0, 1)
