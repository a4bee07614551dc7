"""The mannequin's poses, as rotations of its bones from the T-pose."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from uvmap_id.bodies.posture import posed_joints, quaternions, skinned
from uvmap_id.bodies.skeleton import BONES, PARENTS, Floats, Joints, other_side

# Degrees about the world's axes x (to the left), y (to the back) and z (up), as one vector; the right side mirrors it.
# A bone is turned in the axes that it has in the T-pose, and then along with its parent.
Turns = Mapping[str, tuple[float, float, float]]

_CURLED: Turns = {
    **{f"{finger}1.L": (0, 14 + 3 * place, 0) for place, finger in enumerate(("index", "middle", "ring", "pinky"))},
    **{f"{finger}2.L": (0, 20, 0) for finger in ("index", "middle", "ring", "pinky")},
    **{f"{finger}3.L": (0, 12, 0) for finger in ("index", "middle", "ring", "pinky")},
    "thumb1.L": (0, -6, 10),
    "thumb3.L": (0, 0, -12),
}
POSES: Mapping[str, Turns] = {
    "t": {},
    "a": {"upperarm.L": (0, 45, 0)},
    "relaxed": {
        "collar.L": (0, 5, 0),
        "upperarm.L": (0, 66, 4),
        "forearm.L": (0, 0, -20),
        "hand.L": (0, 4, 0),
        **_CURLED,
    },
}


def turns_of(pose: Turns) -> Floats:
    """(B, 3, 3) how far each bone is turned in the world's axes, its parents' turns included."""
    turns = np.tile(np.eye(3), (len(BONES), 1, 1))
    for number, bone in enumerate(BONES):
        own = _rotation(np.radians(_vector(pose, bone.name)))
        turns[number] = own if PARENTS[number] < 0 else turns[PARENTS[number]] @ own
    return turns


def rotations(pose: Turns, axes: Floats) -> Floats:
    """(B, 4) quaternions w x y z of a pose in each bone's own axes, (B, 3, 3) columns x, y, z."""
    own = np.stack([_rotation(np.radians(_vector(pose, bone.name))) for bone in BONES])
    return quaternions(np.swapaxes(axes, 1, 2) @ own @ axes)


def struck(vertices: Floats, weights: Floats, rest: Joints, pose: Turns) -> tuple[Floats, Joints]:
    """A body in a pose: its vertices (V, 3) and joints."""
    turns = turns_of(pose)
    return skinned(vertices, weights, rest, turns), posed_joints(rest, turns)


def _vector(pose: Turns, bone: str) -> Floats:
    if bone in pose:
        return np.array(pose[bone], np.float64)
    # A mirror image turns the same way about x, and the other way about y and z.
    return np.array(pose.get(other_side(bone), (0, 0, 0)), np.float64) * [1, -1, -1]


def _rotation(vector: Floats) -> Floats:
    """(3, 3) the rotation about a vector by its length in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
