"""A small body in the layout of the mannequin's file: tubes for trunk and limbs, and two spheres."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARKIT = """browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight
jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight
mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft
mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight tongueOut""".split()
SLIDERS = ("gender", "age", "muscle", "weight", "height", "proportions")
# name, SMPL's name, parent, head, tail
_BONES = (
    ("pelvis", "pelvis", -1, (0, 0, 0.9), (0, 0, 1.0)),
    ("spine", "spine1", 0, (0, 0, 1.0), (0, 0, 1.45)),
    ("head", "head", 1, (0, 0, 1.45), (0, 0, 1.7)),
    ("eye.L", "", 2, (0.03, -0.08, 1.6), (0.03, -0.1, 1.6)),
    ("eye.R", "", 2, (-0.03, -0.08, 1.6), (-0.03, -0.1, 1.6)),
    ("upperarm.L", "left_shoulder", 1, (0.15, 0, 1.4), (0.45, 0, 1.4)),
    ("forearm.L", "left_elbow", 5, (0.45, 0, 1.4), (0.75, 0, 1.4)),
    ("upperarm.R", "right_shoulder", 1, (-0.15, 0, 1.4), (-0.45, 0, 1.4)),
    ("forearm.R", "right_elbow", 7, (-0.45, 0, 1.4), (-0.75, 0, 1.4)),
    ("thigh.L", "left_hip", 0, (0.1, 0, 0.9), (0.1, 0, 0.45)),
    ("shin.L", "left_knee", 9, (0.1, 0, 0.45), (0.1, 0, 0.0)),
    ("thigh.R", "right_hip", 0, (-0.1, 0, 0.9), (-0.1, 0, 0.45)),
    ("shin.R", "right_knee", 11, (-0.1, 0, 0.45), (-0.1, 0, 0.0)),
)
# bones on its way, start, end, radius
_TUBES = (
    ((0, 1, 2), (0, 0, 0.85), (0, 0, 1.75), 0.09),
    ((5, 6), (0.15, 0, 1.4), (0.75, 0, 1.4), 0.04),
    ((7, 8), (-0.15, 0, 1.4), (-0.75, 0, 1.4), 0.04),
    ((9, 10), (0.1, 0, 0.9), (0.1, 0, 0.0), 0.06),
    ((11, 12), (-0.1, 0, 0.9), (-0.1, 0, 0.0), 0.06),
)
_EYE_RADIUS, _BLEND = 0.012, 0.06

# Vertices, faces, UVs.
Piece = tuple[np.ndarray, np.ndarray, np.ndarray]


def sample_arrays(rings: int = 24, segments: int = 16) -> dict[str, np.ndarray]:
    """The arrays of a body; `rings` and `segments` say how fine its tubes are."""
    pieces = [_tube(np.array(start), np.array(end), radius, rings, segments) for _, start, end, radius in _TUBES]
    eyes = [_BONES[number][3] for number in (3, 4)]
    pieces += [_sphere(np.array(eye)) for eye in eyes]
    sizes = [len(points) for points, _, _ in pieces]
    firsts = np.cumsum(sizes) - sizes
    vertices = np.concatenate([points for points, _, _ in pieces])
    parts = np.repeat([0] * len(_TUBES) + [1, 2], sizes)
    heads, tails = (np.array([bone[i] for bone in _BONES], np.float32) for i in (3, 4))
    bones, weights = _weights(vertices, np.repeat(np.arange(len(pieces)), sizes))
    return {
        "format": np.array(2, np.int32),
        "vertices": vertices.astype(np.float32),
        "faces": np.concatenate([f + first for (_, f, _), first in zip(pieces, firsts, strict=True)]).astype(np.int32),
        "uvs": np.concatenate([uvs for _, _, uvs in pieces]).astype(np.float32),
        "face_materials": np.repeat([0] * len(_TUBES) + [1, 1], [len(f) for _, f, _ in pieces]).astype(np.uint8),
        **_keys(vertices),
        "bone_names": np.array([bone[0] for bone in _BONES]),
        "bone_smpl": np.array([bone[1] for bone in _BONES]),
        "bone_parents": np.array([bone[2] for bone in _BONES], np.int16),
        "bone_heads": heads,
        "bone_tails": tails,
        "bone_rolls": np.zeros(len(_BONES), np.float32),
        "joint_vertices": np.stack([_nearest(vertices, heads), _nearest(vertices, tails)], axis=1),
        "weight_bones": bones,
        "weight_values": weights,
        "eye_centres": np.array(eyes, np.float32),
        "vertex_parts": parts.astype(np.uint8),
        **_poses(),
    }


def write_sample(path: Path, changes: Mapping[str, np.ndarray] = MappingProxyType({}), without: str = "") -> Path:
    """Write the sample, with some arrays in the place of its own, and without one."""
    arrays: dict[str, Any] = {name: array for name, array in {**sample_arrays(), **changes}.items() if name != without}
    np.savez_compressed(path, **arrays)
    return path


def _grid(rows: int, columns: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Quads and UVs of a grid whose columns close to a ring."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    corners = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)]
    faces = np.stack([r * columns + c % columns for r, c in corners], axis=-1).reshape(-1, 4)
    uvs = np.stack([np.stack([c / columns, r / (rows - 1)], axis=-1) for r, c in corners], axis=-2)
    return faces, uvs.reshape(-1, 4, 2)


def _tube(start: np.ndarray, end: np.ndarray, radius: float, rings: int, segments: int):
    along = (end - start) / np.linalg.norm(end - start)
    side = np.array([0.0, 1.0, 0.0])
    up = np.cross(along, side)
    angle = np.arange(segments) / segments * 2 * np.pi
    ring = radius * (np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up)
    points = start + np.linspace(0, 1, rings)[:, None, None] * (end - start) + ring
    return (points.reshape(-1, 3), *_grid(rings, segments))


def _sphere(center: np.ndarray):
    """Poles along y; the front one in the middle of the UVs."""
    polar, around = np.meshgrid(np.linspace(0.02, np.pi - 0.02, 9), np.arange(12) / 12 * 2 * np.pi, indexing="ij")
    rays = np.stack([np.sin(polar) * np.cos(around), -np.cos(polar), np.sin(polar) * np.sin(around)], axis=-1)
    faces, _ = _grid(9, 12)
    flat = 0.5 + 0.5 * (polar / np.pi)[..., None] * np.stack([np.cos(around), np.sin(around)], axis=-1)
    return center + _EYE_RADIUS * rays.reshape(-1, 3), faces, flat.reshape(-1, 2)[faces]


def _weights(vertices: np.ndarray, piece: np.ndarray) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    bones, weights = (np.zeros((len(vertices), 4), np.uint8) for _ in range(2))
    chains = [chain for chain, *_ in _TUBES] + [(3,), (4,)]
    for number, chain in enumerate(chains):
        chosen = piece == number
        start, end = np.array(_BONES[chain[0]][3]), np.array(_BONES[chain[-1]][4])
        along = (end - start) / np.linalg.norm(end - start)
        place = (vertices[chosen] - start) @ along
        shares = np.zeros((chosen.sum(), 4))
        shares[:, 0] = 1
        for joint, bone in enumerate(chain[1:], start=1):
            at = (np.array(_BONES[bone][3]) - start) @ along
            beyond = np.clip((place - at) / (2 * _BLEND) + 0.5, 0, 1)
            shares[:, joint] = shares[:, joint - 1] * beyond
            shares[:, joint - 1] *= 1 - beyond
        whole = np.round(shares * 255).astype(int)
        whole[:, 0] += 255 - whole.sum(axis=1)
        weights[chosen], bones[chosen] = whole, (*chain, *[0] * (4 - len(chain)))
    return bones, weights


def _keys(vertices: np.ndarray) -> dict[str, np.ndarray]:
    fat, tall = vertices * (0.2, 0.2, 0), vertices * (0, 0, 0.1)
    turned = np.roll(fat, 1, axis=1) * 0.2
    body = {f"{name}{end}": (0.1 * fat if end == "+" else -0.1 * fat) for name in SLIDERS for end in "-+"}
    body |= {"weight+": fat, "weight-": -0.5 * fat, "height+": tall, "height-": -tall, "age-": -3 * tall}
    body |= {"african": turned, "asian": tall * 0.2, "caucasian": -turned - tall * 0.2}
    face = vertices * 0
    face[(vertices[:, 2] > 1.6) & (vertices[:, 1] < -0.05)] = (0, -0.01, 0)
    offsets = [*body.values(), *[face] * len(ARKIT)]
    scales = np.array([max(np.abs(offset).max(), 1e-6) / 32767 for offset in offsets], np.float32)
    moved = [np.flatnonzero(np.abs(offset).max(axis=1) > 0) for offset in offsets]
    whole = [np.round(o[m] / scale) for o, m, scale in zip(offsets, moved, scales, strict=True)]
    return {
        "shape_names": np.array([*body, *ARKIT]),
        "shape_kinds": np.array([0] * len(body) + [1] * len(ARKIT), np.uint8),
        "shape_starts": np.cumsum([0, *map(len, moved)]).astype(np.int32),
        "shape_vertices": np.concatenate(moved).astype(np.uint16),
        "shape_offsets": np.concatenate(whole).astype(np.int16),
        "shape_scales": scales,
    }


def _nearest(vertices: np.ndarray, joints: np.ndarray) -> NDArray[np.uint16]:
    distances = np.linalg.norm(vertices[None] - joints[:, None], axis=2)
    return np.argsort(distances, axis=1, kind="stable")[:, :8].astype(np.uint16)


def _poses() -> dict[str, np.ndarray]:
    rotations = np.zeros((3, len(_BONES), 4), np.float32)
    rotations[..., 0] = 1
    for pose, degrees in ((1, 45), (2, 75)):
        half = np.radians(degrees) / 2
        rotations[pose, [5, 7]] = (np.cos(half), -np.sin(half), 0, 0)
    return {"pose_names": np.array(["t", "a", "relaxed"]), "pose_rotations": rotations}
