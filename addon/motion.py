"""Motion on bodies: SMPL's rotations, brought to the bones of any armature that has SMPL's joints.

How it is retargeted. `g(j)` is how far joint j is turned from the T-pose in the world's axes: the product of the
motion's rotations from the pelvis down to j. The armature's rest pose is taken for the same T-pose, so a bone b that
stands for j is to be turned by `d(b) = A g(j) A^-1`, where A takes SMPL's axes (left, up, forward) to the armature's.
A bone that stands for no joint follows its parent: `d(b) = d(parent)`. With B the bone's own axes at rest, Blender's
rotation of the pose bone is `B^-1 d(parent)^-1 d(b) B`. Whatever a bone's roll, and whichever joints are missing
between two bones, the limbs end up where the motion has them.
"""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# The stubs know an armature object's data only by its base class, and mathutils as sequences of nothing.

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from .actions import Track, animate, put_aside
from .motion_files import Motion, read, resampled
from .rotations import IDENTITY, Floats, continuous, inverse, multiply, rotate
from .skeleton import FEET, PARENTS, Skeleton, armature_of, head_of, skeleton_of
from .smpl import follow

_BETA_KEY = re.compile(r"(?:shape|betas?)[ _.]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Posed:
    """What the pose bones are to be given, as Blender counts it: against their rest pose, in their own axes.

    Attributes:
        rotations: (F, 4) for each bone's name.
        pelvis: (F, 3) the location of the pelvis' bone.
    """

    rotations: dict[str, Floats]
    pelvis: Floats


def load(
    body: bpy.types.Object,
    path: Path,
    scene: bpy.types.Scene,
    *,
    up_axis: str = "z",
    frame_rate: float | None = None,
    on_ground: bool = True,
    shape: bool = False,
) -> tuple[Motion, bpy.types.Action]:
    """Put the motion of a file on a body, as an action at the scene's frame rate that begins at its first frame.

    Args:
        body: A body with SMPL's joints, or its armature.
        path: An .npz or .json file.
        scene: Whose frames are meant; its end is moved to the motion's.
        up_axis: Which axis is up in an .npz file.
        frame_rate: The file's, where it doesn't tell or is wrong.
        on_ground: See `posed`.
        shape: Give the body the shape that the file tells, where it has shape keys for betas.

    Returns:
        The motion at the scene's frame rate, and the action.

    Raises:
        UVMapError: `motion_unreadable`, `body_missing` or `body_without_skeleton`; nothing was changed then.
    """
    armature = armature_of(body)
    skeleton_of(armature)
    motion = read(path, up_axis)
    if frame_rate is not None:
        motion = motion.at(frame_rate)
    motion = resampled(motion, scene.render.fps / scene.render.fps_base)
    if shape and set_betas(body, motion.betas) and follow.family_of_body(body) is not None:
        # The bones of a body model are where its shape has them.
        follow.update_joints(body)
    skeleton = skeleton_of(armature)
    pose = posed(skeleton, motion, on_ground=on_ground)
    frames = scene.frame_start + np.arange(motion.frames, dtype=np.float64)
    action = animate(skeleton.armature, path.stem, frames, _tracks(skeleton, pose))
    scene.frame_end = int(frames[-1])
    return motion, action


def strike(body: bpy.types.Object, motion: Motion, *, on_ground: bool = True) -> str:
    """Put a body into the first frame of a motion; joints that it doesn't name go back to rest.

    Returns:
        The name of the action that was put aside, or "".

    Raises:
        UVMapError: `body_missing` or `body_without_skeleton`.
    """
    skeleton = skeleton_of(armature_of(body))
    pose = posed(skeleton, motion, on_ground=on_ground)
    aside = put_aside(skeleton.armature)
    bones = skeleton.armature.pose.bones
    for name in skeleton.bones.values():
        bones[name].rotation_mode = "QUATERNION"
        bones[name].rotation_quaternion = pose.rotations.get(name, IDENTITY[None])[0]
    bones[skeleton.bones["pelvis"]].location = pose.pelvis[0]
    return aside


def posed(skeleton: Skeleton, motion: Motion, *, on_ground: bool) -> Posed:
    """What a motion means for an armature's bones.

    Args:
        skeleton: The armature.
        motion: At the frame rate of the keys.
        on_ground: Raise or lower the whole motion until its lowest foot is as high as in the rest pose.
    """
    turns = _turns(skeleton, motion)
    axes, pelvis = _quaternion(skeleton.axes), head_of(skeleton, "pelvis")
    way = rotate(axes, motion.pelvis) * skeleton.metre
    if motion.absolute:
        way = way - pelvis
    if on_ground:
        up = skeleton.axes[:, 1]
        way = way - min(float(np.min((place - rest + way) @ up)) for place, rest in _feet(skeleton, turns)) * up
    rotations = {}
    bones = skeleton.armature.data.bones
    for joint in motion.joints:
        if joint in skeleton.bones:
            bone = bones[skeleton.bones[joint]]
            rest = _quaternion(bone.matrix_local)
            before = turns[bone.parent.name] if bone.parent else IDENTITY
            local = multiply(inverse(rest), multiply(multiply(inverse(before), turns[bone.name]), rest))
            rotations[bone.name] = continuous(local)
    return Posed(rotations, rotate(inverse(_quaternion(bones[skeleton.bones["pelvis"]].matrix_local)), way))


def set_betas(body: bpy.types.Object, betas: tuple[float, ...]) -> int:
    """Set a body's shape keys for betas ("Shape000", "beta_1", ...). Returns how many were set."""
    keys = body.data.shape_keys.key_blocks if getattr(body.data, "shape_keys", None) else ()
    numbered = {int(match[1]): key for key in keys if (match := _BETA_KEY.fullmatch(key.name))}
    for number, beta in zip(sorted(numbered), betas, strict=False):
        key = numbered[number]
        key.slider_min, key.slider_max = min(key.slider_min, beta), max(key.slider_max, beta)
        key.value = beta
    return min(len(numbered), len(betas))


def _turns(skeleton: Skeleton, motion: Motion) -> dict[str, Floats]:
    """(F, 4) for each bone: how far it is turned from its rest, in the armature's axes."""
    axes = _quaternion(skeleton.axes)
    own = {joint: motion.rotations[:, number] for number, joint in enumerate(motion.joints)}
    still = np.broadcast_to(IDENTITY, (motion.frames, 4))
    whole = {"pelvis": own.get("pelvis", still)}
    for joint, parent in PARENTS.items():
        whole[joint] = multiply(whole[parent], own[joint]) if joint in own else whole[parent]
    joints = {name: joint for joint, name in skeleton.bones.items()}
    turns: dict[str, Floats] = {}
    for bone in _parents_first(skeleton):
        if bone.name in joints:
            turns[bone.name] = multiply(multiply(axes, whole[joints[bone.name]]), inverse(axes))
        else:
            turns[bone.name] = turns[bone.parent.name] if bone.parent else still
    return turns


def _feet(skeleton: Skeleton, turns: dict[str, Floats]) -> list[tuple[Floats, Floats]]:
    """For each joint of the feet (the pelvis, where there are none): (F, 3) where it goes while the pelvis stays, and
    (3,) where it rests.
    """
    places: dict[str, Floats] = {}
    for bone in _parents_first(skeleton):
        rest = np.array(bone.head_local)
        parent = bone.parent
        if parent is None:
            places[bone.name] = np.broadcast_to(rest, (len(turns[bone.name]), 3))
        else:
            places[bone.name] = places[parent.name] + rotate(turns[parent.name], rest - np.array(parent.head_local))
    feet = [joint for joint in FEET if joint in skeleton.bones] or ["pelvis"]
    return [(places[skeleton.bones[joint]], head_of(skeleton, joint)) for joint in feet]


def _parents_first(skeleton: Skeleton) -> list[bpy.types.Bone]:
    return sorted(skeleton.armature.data.bones, key=lambda bone: len(bone.parent_recursive))


def _tracks(skeleton: Skeleton, pose: Posed) -> list[Track]:
    bones = skeleton.armature.pose.bones
    tracks = []
    for name, rotations in pose.rotations.items():
        bones[name].rotation_mode = "QUATERNION"
        tracks.append(Track(f"{bones[name].path_from_id()}.rotation_quaternion", rotations, name))
    pelvis = skeleton.bones["pelvis"]
    return [*tracks, Track(f"{bones[pelvis].path_from_id()}.location", pose.pelvis, pelvis)]


def _quaternion(matrix: Floats | Matrix) -> Floats:
    rotation = Matrix(matrix).to_3x3().to_quaternion()
    return np.array(rotation, dtype=np.float64)
