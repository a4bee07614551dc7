"""The mannequin's first format: a mesh with UVs, without materials, shape keys and bones of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def completed(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of the present format for a file of the first one; what that did not know is empty."""
    vertices, faces = arrays["vertices"], arrays["faces"]
    return {
        "format": np.array(2, np.int32),
        "vertices": vertices,
        "faces": faces,
        "uvs": arrays["uvs"],
        "face_materials": np.zeros(len(faces), np.uint8),
        "shape_names": np.zeros(0, "U1"),
        "shape_kinds": np.zeros(0, np.uint8),
        "shape_starts": np.zeros(1, np.int32),
        "shape_vertices": np.zeros(0, np.uint16),
        "shape_offsets": np.zeros((0, 3), np.int16),
        "shape_scales": np.zeros(0, np.float32),
        "bone_names": np.zeros(0, "U1"),
        "bone_smpl": np.zeros(0, "U1"),
        "bone_parents": np.zeros(0, np.int16),
        "bone_heads": np.zeros((0, 3), np.float32),
        "bone_tails": np.zeros((0, 3), np.float32),
        "bone_rolls": np.zeros(0, np.float32),
        "joint_vertices": np.zeros((0, 2, 8), np.uint16),
        "weight_bones": np.zeros((len(vertices), 4), np.uint8),
        "weight_values": np.zeros((len(vertices), 4), np.uint8),
        "eye_centres": np.zeros((2, 3), np.float32),
        "vertex_parts": np.zeros(len(vertices), np.uint8),
        "pose_names": np.zeros(0, "U1"),
        "pose_rotations": np.zeros((0, 0, 4), np.float32),
    }
