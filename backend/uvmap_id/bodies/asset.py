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

from uvmap_id.bodies import bone_weights, shape_keys, skeleton
from uvmap_id.bodies.expressions import expressions
from uvmap_id.bodies.joint_rings import ring
from uvmap_id.bodies.landmarks import landmarks
from uvmap_id.bodies.mannequin_surface import Surface, VertexPart
from uvmap_id.bodies.poses import POSES, rotations
from uvmap_id.bodies.rigged_source import RiggedSource
from uvmap_id.bodies.shape_keys import Shape, Shaper
from uvmap_id.bodies.skeleton import BONES, NUMBER, PARENTS, Floats

FORMAT = 2
_BODY_KEY, _EXPRESSION_KEY = 0, 1
# Offsets below this, metres, are rounding.
_LEAST_OFFSET = 1e-5
_WHOLE = 32767
_DATE = (1980, 1, 1, 0, 0, 0)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Character:
    """The mannequin on the free body's own vertices, (V, ...), before it is brought to its surface.

    Attributes:
        source: The free body.
        neutral: In the T-pose.
        body_keys: By their names, what each adds to the neutral body.
        expressions: (V, 3) offsets by their names.
        weights: (V, B).
        eyes: The vertices of each eyeball, by its bone's name.
    """

    source: RiggedSource
    neutral: Shape
    body_keys: Mapping[str, Shape]
    expressions: Mapping[str, Floats]
    weights: Floats
    eyes: Mapping[str, NDArray[np.int64]]


def character() -> Character:
    """Measure everything on the free body."""
    source = RiggedSource()
    eyes = {f"eye{side}": source.vertices_of(f"eye_front{side}", f"eye_back{side}") for side in (".L", ".R")}
    weights = bone_weights.merged(source.shares)
    for name, own in eyes.items():
        weights[own] = np.eye(len(BONES))[NUMBER[name]]
    fixed = np.zeros(len(weights), bool)
    fixed[np.concatenate([*eyes.values()])] = True
    weights = bone_weights.smoothed(weights, source.edges, fixed)
    shaper = Shaper(source, weights, eyes)
    return Character(
        source, shaper.t_pose({}), shape_keys.body_keys(shaper), expressions(source, weights), weights, eyes
    )


def arrays_of(character: Character, surface: Surface) -> Arrays:
    """The file's arrays, by their names."""
    neutral = character.neutral
    frames = skeleton.axes(neutral.joints.heads, neutral.joints.tails)
    bones, values = bone_weights.quantized(_weights(character, surface))
    marks = landmarks(character.source, neutral, character.weights)
    return {
        "format": np.array(FORMAT, np.int32),
        "vertices": surface.carry(neutral.vertices).astype(np.float32),
        "faces": surface.faces.astype(np.int32),
        "uvs": surface.uvs.astype(np.float32),
        "face_materials": surface.face_materials.astype(np.uint8),
        **_keys(character, surface),
        "bone_names": np.array([bone.name for bone in BONES]),
        "bone_smpl": np.array([bone.smpl for bone in BONES]),
        "bone_parents": PARENTS,
        "bone_heads": neutral.joints.heads.astype(np.float32),
        "bone_tails": neutral.joints.tails.astype(np.float32),
        "bone_rolls": skeleton.rolls(frames).astype(np.float32),
        "joint_vertices": joint_vertices(character),
        "weight_bones": bones,
        "weight_values": values,
        "eye_centres": neutral.joints.heads[[NUMBER["eye.L"], NUMBER["eye.R"]]].astype(np.float32),
        "vertex_parts": surface.vertex_parts.astype(np.uint8),
        "pose_names": np.array(list(POSES)),
        "pose_rotations": np.stack([rotations(pose, frames) for pose in POSES.values()]).astype(np.float32),
        "landmark_names": np.array(list(marks)),
        "landmark_vertices": np.array(list(marks.values()), np.uint16),
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
    moved = [np.flatnonzero(np.linalg.norm(one, axis=1) > _LEAST_OFFSET) for one in offsets]
    scales = np.array([np.abs(one).max() / _WHOLE for one in offsets], np.float32)
    whole = [np.round(one[own] / scale) for one, own, scale in zip(offsets, moved, scales, strict=True)]
    kinds = [_BODY_KEY] * len(body) + [_EXPRESSION_KEY] * len(character.expressions)
    return {
        "shape_names": np.array([*body, *character.expressions]),
        "shape_kinds": np.array(kinds, np.uint8),
        "shape_starts": np.cumsum([0, *map(len, moved)]).astype(np.int32),
        "shape_vertices": np.concatenate(moved).astype(np.uint16),
        "shape_offsets": np.concatenate(whole).astype(np.int16),
        "shape_scales": scales,
    }


def joint_vertices(character: Character) -> NDArray[np.uint16]:
    """(B, 2, 8) the vertices that each head and tail follows; the surface numbers them as the free body does."""
    mirror, skin = character.source.mirror, character.neutral.vertices.copy()
    inside = character.source.vertices_of("mouth_cavity", "tongue", "eye_cavity.L", "eye_cavity.R")
    skin[np.union1d(inside, np.concatenate([*character.eyes.values()]))] = np.nan
    offsets = np.stack([key.vertices for key in character.body_keys.values()])
    chosen = np.zeros((len(BONES), 2, 8), np.uint16)
    for number, bone in enumerate(BONES):
        if skeleton.side_of(bone.name) == ".R":
            chosen[number] = mirror[chosen[NUMBER[skeleton.other_side(bone.name)]]]
            continue
        points = skin
        if bone.name in character.eyes:
            points = np.full_like(skin, np.nan)
            own = character.eyes[bone.name]
            points[own] = character.neutral.vertices[own]
        for end, part in enumerate(("heads", "tails")):
            place = getattr(character.neutral.joints, part)[number]
            moves = np.stack([getattr(key.joints, part)[number] for key in character.body_keys.values()])
            middle = skeleton.side_of(bone.name) == ""
            chosen[number, end] = ring(place, moves, points, offsets, mirror if middle else None)
    return chosen
