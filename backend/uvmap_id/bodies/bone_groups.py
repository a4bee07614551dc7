"""Which bones of the free body move which part, and the joints between the parts."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.parts import JOINTS


class Group(IntEnum):
    """Parts of the body that move as one."""

    HEAD = 0
    NECK = 1
    CHEST = 2
    BELLY = 3
    PELVIS = 4
    UPPER_ARM = 5
    FOREARM = 6
    HAND = 7
    FINGERS = 8
    THIGH = 9
    SHIN = 10
    FOOT = 11
    TOES = 12


_BEGINNINGS = {
    **dict.fromkeys(("head", "eye"), Group.HEAD),
    "neck": Group.NECK,
    **dict.fromkeys(("spine01", "spine02", "clavicle"), Group.CHEST),
    **dict.fromkeys(("spine03", "spine04", "spine05"), Group.BELLY),
    **dict.fromkeys(("root", "pelvis"), Group.PELVIS),
    **dict.fromkeys(("shoulder", "upperarm"), Group.UPPER_ARM),
    "lowerarm": Group.FOREARM,
    **dict.fromkeys(("wrist", "metacarpal"), Group.HAND),
    "finger": Group.FINGERS,
    "upperleg": Group.THIGH,
    "lowerleg": Group.SHIN,
    "foot": Group.FOOT,
    "toe": Group.TOES,
}
_JOINT_GROUPS = {
    "head": (Group.HEAD, Group.NECK),
    "neck": (Group.NECK, Group.CHEST),
    "waist": (Group.CHEST, Group.BELLY),
    "shoulder": (Group.CHEST, Group.UPPER_ARM),
    "elbow": (Group.UPPER_ARM, Group.FOREARM),
    "wrist": (Group.FOREARM, Group.HAND),
    "knuckles": (Group.HAND, Group.FINGERS),
    "hip": (Group.PELVIS, Group.THIGH),
    "knee": (Group.THIGH, Group.SHIN),
    "ankle": (Group.SHIN, Group.FOOT),
    "toes": (Group.FOOT, Group.TOES),
}


def group_of(bone: str) -> Group:
    """The part that a bone of the free body moves."""
    return next(group for beginning, group in _BEGINNINGS.items() if bone.startswith(beginning))


def joints(vertices: NDArray[np.floating], shares: NDArray[np.floating]) -> NDArray[np.float32]:
    """(J, 3) in the order of `JOINTS`: the middles of the vertices that two parts move together.

    Args:
        vertices: (V, 3) of the body in the T-pose.
        shares: (V, G) how much each group moves each vertex.
    """
    places = []
    for name in JOINTS:
        kind, _, side = name.partition("_")
        one, other = _JOINT_GROUPS[kind]
        weight = shares[:, one] * shares[:, other]
        if side:
            weight = weight * (vertices[:, 0] > 0 if side == "left" else vertices[:, 0] < 0)
        places.append(weight @ vertices / weight.sum())
    return np.array(places, np.float32)
