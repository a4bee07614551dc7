"""Skeletons: which bones of an armature stand for SMPL's joints, and how the armature's space lies."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs know an armature object's data only by its base class.

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import bpy
import numpy as np

from .link.errors import ErrorCode, UVMapError
from .rotations import Floats

BONE_PROPERTY = "smpl"

_SIDES = ("left", "right")
_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
_BODY = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
_HANDS = tuple(f"{side}_{finger}{part}" for side in _SIDES for finger in _FINGERS for part in (1, 2, 3))
# The joints of each kind of model, in the order of its pose vector.
JOINTS = {
    22: _BODY,
    24: (*_BODY, "left_hand", "right_hand"),
    52: (*_BODY, *_HANDS),
    55: (*_BODY, "jaw", "left_eye_smplhf", "right_eye_smplhf", *_HANDS),
}
FEET = ("left_ankle", "right_ankle", "left_foot", "right_foot")


def _parents() -> dict[str, str]:
    chains = [("pelvis", "spine1", "spine2", "spine3", "neck", "head"), ("head", "jaw")]
    for side in _SIDES:
        chains.append(("pelvis", *(f"{side}_{joint}" for joint in ("hip", "knee", "ankle", "foot"))))
        chains.append(("spine3", *(f"{side}_{joint}" for joint in ("collar", "shoulder", "elbow", "wrist", "hand"))))
        chains.append(("head", f"{side}_eye_smplhf"))
        chains += [(f"{side}_wrist", *(f"{side}_{finger}{part}" for part in (1, 2, 3))) for finger in _FINGERS]
    return {child: parent for chain in chains for parent, child in pairwise(chain)}


# Every joint's parent; the pelvis has none. Parents come before their children.
PARENTS = _parents()


@dataclass(frozen=True, slots=True)
class Skeleton:
    """An armature, seen as SMPL's skeleton.

    Attributes:
        armature: The object.
        bones: The bone's name for each SMPL joint that the armature has.
        axes: (3, 3) columns are the body's left, up and forward in the armature's space.
        metre: How long a metre of the world is in the armature's space.
    """

    armature: bpy.types.Object
    bones: dict[str, str]
    axes: Floats
    metre: float


def armature_of(body: bpy.types.Object | None) -> bpy.types.Object:
    """The armature that moves a body, or the body itself where it is one.

    Raises:
        UVMapError: `body_missing` or `body_without_skeleton`.
    """
    if body is None:
        raise UVMapError(
            ErrorCode.BODY_MISSING, "No body is chosen.", "Add a mannequin, or choose a body in the UVMap-ID panel."
        )
    for candidate in (body, body.find_armature(), body.parent):
        if candidate is not None and isinstance(candidate.data, bpy.types.Armature):
            return candidate
    raise _without_skeleton(f'The body "{body.name}" has no armature.')


def skeleton_of(armature: bpy.types.Object) -> Skeleton:
    """Find SMPL's joints in an armature: by a bone's property "smpl", else by its name.

    Raises:
        UVMapError: `body_without_skeleton`: it lacks the joints that make a body.
    """
    named = {bone.name: str(bone.get(BONE_PROPERTY, bone.name)) for bone in armature.data.bones}
    bones = {joint: name for name, joint in named.items() if joint in PARENTS or joint == "pelvis"}
    missing = [joint for joint in ("pelvis", "left_hip", "right_hip", "head") if joint not in bones]
    if missing:
        raise _without_skeleton(
            f'The armature "{armature.name}" has no bone for SMPL\'s joints {", ".join(missing)}.',
        )
    return Skeleton(armature, bones, _axes(armature, bones), 1 / armature.matrix_world.median_scale)


def head_of(skeleton: Skeleton, joint: str) -> Floats:
    """(3,) where a joint rests, in the armature's space."""
    return np.array(skeleton.armature.data.bones[skeleton.bones[joint]].head_local, dtype=np.float64)


def _axes(armature: bpy.types.Object, bones: dict[str, str]) -> Floats:
    """Armatures of imported files lie y up under a turned object; the rest pose tells."""
    places = {joint: np.array(armature.data.bones[bones[joint]].head_local) for joint in bones}
    up = _nearest_axis(places["head"] - places["pelvis"])
    left = places["left_hip"] - places["right_hip"]
    left = _nearest_axis(left - up * np.dot(left, up))
    return np.stack([left, up, np.cross(left, up)], axis=1)


def _nearest_axis(direction: Floats) -> Floats:
    axis = np.zeros(3)
    largest = int(np.argmax(np.abs(direction)))
    axis[largest] = np.sign(direction[largest]) or 1.0
    return axis


def _without_skeleton(message: str) -> UVMapError:
    return UVMapError(
        ErrorCode.BODY_WITHOUT_SKELETON,
        message,
        "Choose the mannequin, or a body with SMPL's joints: bones named as they are, or with their name in a "
        f'custom property "{BONE_PROPERTY}".',
    )
