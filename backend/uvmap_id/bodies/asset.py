"""The mannequin's file: everything that is known of the free body, on the mannequin's own surface.

`docs/mannequin.md` describes the arrays, `addon/mannequin_asset.py` reads them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies import bone_weights, skeleton
from uvmap_id.bodies.mannequin_surface import Surface, VertexPart
from uvmap_id.bodies.poses import POSES, rotations
from uvmap_id.bodies.shape_keys import Shape
from uvmap_id.bodies.skeleton import BONES, NUMBER, PARENTS, Floats

FORMAT = 2
_BODY_KEY, _EXPRESSION_KEY = 0, 1
# Metres: for the whole body's shape, and for expressions, where lids must meet. Finer steps that nobody sees would
# make the file twice as large.
_SHAPE_STEP, _EXPRESSION_STEP = 3e-4, 1e-4
_PLACE_STEP = 2.0**-16
# Of the atlas: a sixteenth of a texel at 4096.
_UV_STEP = 2.0**-18
_DATE = (1980, 1, 1, 0, 0, 0)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Character:
    """The mannequin on the free body's own vertices, (V, ...), before it is brought to its surface.

    Attributes:
        neutral: In the T-pose.
        body_keys: By their names, what each adds to the neutral body.
        expressions: (V, 3) offsets by their names.
        weights: (V, B).
        joint_vertices: (B, 2, 8) whose mean offset each head and tail takes; the surface numbers these as well.
        landmarks: Numbers of vertices by their names.
    """

    neutral: Shape
    body_keys: Mapping[str, Shape]
    expressions: Mapping[str, Floats]
    weights: Floats
    joint_vertices: NDArray[np.uint16]
    landmarks: Mapping[str, int]


def arrays_of(character: Character, surface: Surface) -> Arrays:
    """The file's arrays, by their names."""
    neutral = character.neutral
    frames = skeleton.axes(neutral.joints.heads, neutral.joints.tails)
    bones, values = bone_weights.quantized(_weights(character, surface))
    return {
        "format": np.array(FORMAT, np.int32),
        "vertices": _by_columns(_rounded(surface.carry(neutral.vertices), _PLACE_STEP).astype(np.float32)),
        "faces": surface.faces.astype(np.int32),
        "uvs": _rounded(surface.uvs.astype(np.float64), _UV_STEP).astype(np.float32),
        "face_materials": surface.face_materials.astype(np.uint8),
        **_keys(character, surface),
        "bone_names": np.array([bone.name for bone in BONES]),
        "bone_smpl": np.array([bone.smpl for bone in BONES]),
        "bone_parents": PARENTS,
        "bone_heads": neutral.joints.heads.astype(np.float32),
        "bone_tails": neutral.joints.tails.astype(np.float32),
        "bone_rolls": skeleton.rolls(frames).astype(np.float32),
        "joint_vertices": character.joint_vertices,
        "weight_bones": bones,
        "weight_values": values,
        "eye_centres": neutral.joints.heads[[NUMBER["eye.L"], NUMBER["eye.R"]]].astype(np.float32),
        "vertex_parts": surface.vertex_parts.astype(np.uint8),
        "pose_names": np.array(list(POSES)),
        "pose_rotations": np.stack([rotations(pose, frames) for pose in POSES.values()]).astype(np.float32),
        "landmark_names": np.array(list(character.landmarks)),
        "landmark_vertices": np.array(list(character.landmarks.values()), np.uint16),
    }


def write(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write arrays as numpy's .npz, always with the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), version=(1, 0), allow_pickle=False)
            # A date of its own, because the zip would have the present one.
            member = zipfile.ZipInfo(f"{name}.npy", _DATE)
            archive.writestr(member, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def _weights(character: Character, surface: Surface) -> Floats:
    """(V, B) on the surface; whatever belongs to an eyeball there is moved by the eye alone."""
    weights = surface.carry(character.weights)
    for part, name in ((VertexPart.LEFT_EYE, "eye.L"), (VertexPart.RIGHT_EYE, "eye.R")):
        weights[surface.vertex_parts == part] = np.eye(len(BONES))[NUMBER[name]]
    return weights


def _keys(character: Character, surface: Surface) -> Arrays:
    body = {name: key.vertices for name, key in character.body_keys.items()}
    offsets = [surface.carry(one) for one in (*body.values(), *character.expressions.values())]
    scales = [_SHAPE_STEP] * len(body) + [_EXPRESSION_STEP] * len(character.expressions)
    steps = [np.round(one / scale) for one, scale in zip(offsets, scales, strict=True)]
    moved = [np.flatnonzero(one.any(axis=1)) for one in steps]
    whole = [one[own] for one, own in zip(steps, moved, strict=True)]
    kinds = [_BODY_KEY] * len(body) + [_EXPRESSION_KEY] * len(character.expressions)
    return {
        "shape_names": np.array([*body, *character.expressions]),
        "shape_kinds": np.array(kinds, np.uint8),
        "shape_starts": np.cumsum([0, *map(len, moved)]).astype(np.int32),
        "shape_vertices": np.concatenate(moved).astype(np.uint16),
        "shape_offsets": _by_columns(np.concatenate(whole).astype(np.int16)),
        "shape_scales": np.array(scales, np.float32),
    }


def _rounded(values: Floats, step: float) -> Floats:
    return np.round(values / step) * step


def _by_columns(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, stored one column after the other, which packs better; readers see no difference."""
    return np.asfortranarray(array)
