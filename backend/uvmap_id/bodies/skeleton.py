"""The mannequin's bones: which there are, where their joints lie in any shape, and the T-pose.

Lengths are metres, z is up, the body faces -y and has its left at +x. Where two bones differ by their side only, the
left one is written down, and the right one is its mirror image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Heads and tails (2, 3) of MakeHuman's bones, by their names.
Ends = Mapping[str, Floats]

_FINGERS = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}
_UP, _FRONT, _DOWN, _BACK = (0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Bone:
    """One bone of the mannequin.

    Attributes:
        name: Its name, as Blender names bones of two sides.
        smpl: SMPL's name of the joint at its head.
        parent: Its parent's name, or "".
        bends: Where its tail goes when it is turned about its own x axis: its z axis points there.
        moves: Beginnings of the names of those of MakeHuman's bones whose vertices it takes over.
    """

    name: str
    smpl: str
    parent: str
    bends: tuple[float, float, float]
    moves: tuple[str, ...] = ()


def side_of(name: str) -> str:
    """A bone's side: ".L", ".R" or ""."""
    return name[-2:] if name[-2:] in (".L", ".R") else ""


def other_side(name: str) -> str:
    """The name of the bone on the other side: "hand.R" for "hand.L"."""
    sides = {".L": ".R", ".R": ".L", "": ""}
    return name.removesuffix(side_of(name)) + sides[side_of(name)]


def _one_side() -> list[Bone]:
    bones = [
        Bone("collar.L", "left_collar", "spine3", _FRONT, ("clavicle.L", "shoulder01.L")),
        Bone("upperarm.L", "left_shoulder", "collar.L", _FRONT, ("upperarm01.L", "upperarm02.L")),
        Bone("forearm.L", "left_elbow", "upperarm.L", _FRONT, ("lowerarm01.L", "lowerarm02.L")),
        Bone("hand.L", "left_wrist", "forearm.L", _DOWN, ("wrist.L", *(f"metacarpal{i}.L" for i in range(1, 5)))),
        Bone("fingers.L", "left_hand", "hand.L", _DOWN),
    ]
    for finger, number in _FINGERS.items():
        parent, bends = ("hand.L", _FRONT) if finger == "thumb" else ("fingers.L", _DOWN)
        for part in (1, 2, 3):
            name = f"{finger}{part}.L"
            bones.append(Bone(name, f"left_{finger}{part}", parent, bends, (f"finger{number}-{part}.L",)))
            parent = name
    return [
        *bones,
        Bone("thigh.L", "left_hip", "pelvis", _BACK, ("upperleg01.L", "upperleg02.L")),
        Bone("shin.L", "left_knee", "thigh.L", _BACK, ("lowerleg01.L", "lowerleg02.L")),
        Bone("foot.L", "left_ankle", "shin.L", _UP, ("foot.L",)),
        Bone("toes.L", "left_foot", "foot.L", _UP, tuple(f"toe{i}-" for i in range(1, 6))),
    ]


def _mirrored(bone: Bone) -> Bone:
    return replace(
        bone,
        name=other_side(bone.name),
        smpl=bone.smpl.replace("left_", "right_"),
        parent=other_side(bone.parent),
        moves=tuple(other_side(name) for name in bone.moves),
    )


_EYE = Bone("eye.L", "left_eye_smplhf", "head", _UP, ("eye.L",))
_TRUNK = [
    Bone("pelvis", "pelvis", "", _FRONT, ("root", "pelvis.", "spine05")),
    Bone("spine1", "spine1", "pelvis", _FRONT, ("spine04", "spine03")),
    Bone("spine2", "spine2", "spine1", _FRONT, ("spine02", "breast.")),
    Bone("spine3", "spine3", "spine2", _FRONT, ("spine01",)),
    Bone("neck", "neck", "spine3", _FRONT, ("neck",)),
    # The face's muscles: the jaw takes those of the lower lip, the head all others.
    Bone(
        "head",
        "head",
        "neck",
        _FRONT,
        ("head", "levator", "special", "oris0", "orbicularis", "temporalis", "oculi", "risorius"),
    ),
    Bone("jaw", "jaw", "head", _DOWN, ("jaw", "special04", "oris02", "oris01", "oris06.", "oris07.", "tongue")),
    _EYE,
    _mirrored(_EYE),
]


def _in_order(bones: list[Bone], parent: str = "") -> list[Bone]:
    """Each bone followed by its children and theirs, which is Blender's order."""
    own = [bone for bone in bones if bone.parent == parent]
    return [one for bone in own for one in (bone, *_in_order(bones, bone.name))]


BONES: tuple[Bone, ...] = tuple(_in_order([*_TRUNK, *_one_side(), *map(_mirrored, _one_side())]))
NUMBER = {bone.name: number for number, bone in enumerate(BONES)}
PARENTS = np.array([NUMBER.get(bone.parent, -1) for bone in BONES], np.int16)


def taken_over(name: str) -> int:
    """Which bone takes over one of MakeHuman's; the longest beginning of its name decides."""
    fits = [
        (len(start), NUMBER[bone.name])
        for bone in BONES
        for start in bone.moves
        if name.startswith(start) and side_of(bone.name) in ("", side_of(name))
    ]
    return max(fits)[1]


@dataclass(frozen=True, slots=True)
class Joints:
    """Heads and tails of all `BONES`, (B, 3) each."""

    heads: Floats
    tails: Floats


def joints(ends: Ends, eyes: Mapping[str, Floats]) -> Joints:
    """Where the bones are, from MakeHuman's, and the middles of the eyes by their bones' names."""
    head_of: dict[str, Floats] = {
        "pelvis": (ends["spine05"][0] + ends["spine04"][0]) / 2,
        "spine1": (ends["spine04"][0] + ends["spine03"][0]) / 2,
        "spine2": ends["spine02"][0],
        "spine3": ends["spine01"][0],
        "neck": ends["neck01"][0],
        "head": ends["head"][0],
        "jaw": ends["jaw"][0],
    }
    tail_of = {"head": ends["head"][1], "jaw": ends["jaw"][1]}
    for side in (".L", ".R"):
        head_of["eye" + side] = eyes["eye" + side]
        tail_of["eye" + side] = eyes["eye" + side] + [0.0, -0.03, 0.0]
        for bone, source in _LIMBS.items():
            head_of[bone + side] = ends[source + side][0]
        knuckles = [f"finger{number}-1{side}" for finger, number in _FINGERS.items() if finger != "thumb"]
        head_of["fingers" + side], tail_of["fingers" + side] = np.mean([ends[name] for name in knuckles], axis=0)
        head_of["toes" + side] = np.mean([ends[f"toe{i}-1{side}"][0] for i in range(1, 6)], axis=0)
        tips = [ends[f"toe{i}-{2 if i == 1 else 3}{side}"][1] for i in range(1, 6)]
        tail_of["toes" + side] = np.mean(tips, axis=0)
        for finger, number in _FINGERS.items():
            for part in (1, 2, 3):
                head_of[f"{finger}{part}{side}"], tail_of[f"{finger}{part}{side}"] = ends[
                    f"finger{number}-{part}{side}"
                ]
    for bone in BONES:
        if bone.name not in tail_of:
            side = side_of(bone.name)
            tail_of[bone.name] = head_of[_NEXT[bone.name.removesuffix(side)] + side]
    return Joints(*(np.array([place[bone.name] for bone in BONES]) for place in (head_of, tail_of)))


_LIMBS = {
    "collar": "clavicle",
    "upperarm": "upperarm01",
    "forearm": "lowerarm01",
    "hand": "wrist",
    "thigh": "upperleg01",
    "shin": "lowerleg01",
    "foot": "foot",
}
# Whose head is a bone's tail.
_NEXT = {
    "pelvis": "spine1",
    "spine1": "spine2",
    "spine2": "spine3",
    "spine3": "neck",
    "neck": "head",
    "collar": "upperarm",
    "upperarm": "forearm",
    "forearm": "hand",
    "hand": "fingers",
    "thigh": "shin",
    "shin": "foot",
    "foot": "toes",
}


def axes(heads: Floats, tails: Floats) -> Floats:
    """(B, 3, 3) each bone's x, y and z axes as columns: y along the bone, z as near to where it bends as can be."""
    along = _unit(tails - heads)
    bends = np.array([bone.bends for bone in BONES])
    ahead = _unit(bends - (bends * along).sum(axis=1, keepdims=True) * along)
    return np.stack([np.cross(along, ahead), along, ahead], axis=2)


def rolls(frames: Floats) -> Floats:
    """(B,) radians by which Blender has to turn bones about themselves so that they have these axes.

    Blender's bones without roll have the axes of the least turn that brings y to the bone's direction.
    """
    angles = []
    for frame in frames:
        along, wanted = frame[:, 1], frame[:, 2]
        plain = least_turn(np.array([0.0, 1.0, 0.0]), along)[:, 2]
        angles.append(np.arctan2(np.cross(plain, wanted) @ along, plain @ wanted))
    return np.array(angles)


def least_turn(start: Floats, end: Floats) -> Floats:
    """(3, 3) the rotation by the least angle that takes one direction to another (about z where they are opposed)."""
    start, end = _unit(start), _unit(end)
    cosine = float(start @ end)
    if cosine < -1 + 1e-9:
        return np.diag([-1.0, -1.0, 1.0])
    x, y, z = np.cross(start, end)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def _unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
