"""Tells what each texel of the atlas shows, from the bones that move it and from where it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.head import ear_distance, hairline
from uvmap_id.atlas.layout import uv_grid
from uvmap_id.atlas.parts import Part
from uvmap_id.bodies.bone_groups import Group
from uvmap_id.pictures import Floats, resize

_BEHIND_EARS = 0.03  # metres, y
_SOLE_TILT = -0.35  # A sole's normals point down at least so much,
_SOLE_HEIGHT = 0.035  # and it is so near to the lowest point, metres.
_PELVIS_HEIGHT = 0.12  # metres from the hip joints to the crest of the pelvis, where trousers sit
_SLICE = 0.01  # metres

# Left parts; the right one is the next in number.
_LIMBS = {
    Group.UPPER_ARM: Part.UPPER_ARM_LEFT,
    Group.FOREARM: Part.FOREARM_LEFT,
    Group.FINGERS: Part.FINGERS_LEFT,
    Group.THIGH: Part.THIGH_LEFT,
    Group.SHIN: Part.SHIN_LEFT,
    Group.FOOT: Part.FOOT_LEFT,
    Group.TOES: Part.TOES_LEFT,
}


@dataclass(frozen=True, slots=True)
class Texels:
    """What is known of every texel, at the size of the labels.

    Attributes:
        position: (S, S, 3) metres in the T-pose.
        right: (S, S) bool, true on the body's right side.
        normal: (S, S, 3) outward.
        group: (S, S) uint8, the `Group` that moves it most.
        on_torso: (S, S) bool, true on the island of the torso.
        used: (S, S) bool.
        hip: Height of the hip joints, metres.
    """

    position: Floats
    right: NDArray[np.bool_]
    normal: Floats
    group: NDArray[np.uint8]
    on_torso: NDArray[np.bool_]
    used: NDArray[np.bool_]
    hip: float


def strongest(shares: Floats, size: int) -> NDArray[np.uint8]:
    """(size, size) the group with the largest share, from (N, N, G); one after the other, to save memory."""
    best = resize(np.ascontiguousarray(shares[..., 0]), (size, size))
    group = np.zeros((size, size), np.uint8)
    for number in range(1, shares.shape[2]):
        share = resize(np.ascontiguousarray(shares[..., number]), (size, size))
        better = share > best
        group[better] = number
        best[better] = share[better]
    return group


def part_labels(texels: Texels) -> NDArray[np.uint8]:
    """(S, S) values of `Part`."""
    labels = np.zeros(texels.group.shape, np.uint8)
    right = texels.right.astype(np.uint8)
    _label_head(labels, texels, right)
    torso = _label_torso(labels, texels)
    for group, part in _LIMBS.items():
        here = (texels.group == group) & ~torso
        labels[here] = part + right[here]
    shoulder = texels.on_torso & (texels.group == Group.UPPER_ARM)
    labels[shoulder] = Part.SHOULDER_LEFT + right[shoulder]
    # A little of the arms' islands is moved by the collarbones.
    cap = ~texels.on_torso & (texels.group == Group.CHEST) & (np.abs(texels.position[..., 0]) > 0.12)
    labels[cap] = Part.UPPER_ARM_LEFT + right[cap]
    _label_hands_and_feet(labels, texels, right)
    labels[~texels.used] = Part.NONE
    return labels


def _label_head(labels: NDArray[np.uint8], texels: Texels, right: NDArray[np.uint8]) -> None:
    back, height = texels.position[..., 1], texels.position[..., 2]
    neck, head = texels.group == Group.NECK, texels.group == Group.HEAD
    labels[neck | (head & (back > _BEHIND_EARS))] = Part.NECK
    labels[head & (back <= _BEHIND_EARS)] = Part.FACE
    hair = height > hairline(back)
    labels[(neck | head) & hair] = Part.SCALP
    u, v = uv_grid(len(labels))
    distance = ear_distance(u, v)
    ear = head & (distance < 1)
    labels[ear] = Part.EAR_LEFT + right[ear]


def _label_torso(labels: NDArray[np.uint8], texels: Texels) -> NDArray[np.bool_]:
    """Returns (S, S), true on what it labelled."""
    group = texels.group
    height = texels.position[..., 2]
    trunk = (group == Group.CHEST) | (group == Group.BELLY) | (group == Group.PELVIS)
    trunk |= texels.on_torso & (group == Group.THIGH)
    pelvis = trunk & (height < texels.hip + _PELVIS_HEIGHT)
    behind = texels.position[..., 1] > _middle_depth(texels, trunk)
    for here, (front, back) in (
        (trunk & (group == Group.CHEST), (Part.CHEST, Part.UPPER_BACK)),
        (trunk & (group != Group.CHEST), (Part.ABDOMEN, Part.LOWER_BACK)),
        (pelvis, (Part.HIPS, Part.BUTTOCKS)),
    ):
        labels[here & behind] = back
        labels[here & ~behind] = front
    return trunk


def _middle_depth(texels: Texels, here: NDArray[np.bool_]) -> Floats:
    """(S, S) y half way between the front and the back of the body at each height."""
    height = texels.position[..., 2]
    level = np.round(height / _SLICE).astype(np.int32)
    lowest = int(level[here].min())
    depth, place = texels.position[..., 1][here], level[here] - lowest
    front, back = np.full(place.max() + 1, np.inf), np.full(place.max() + 1, -np.inf)
    np.minimum.at(front, place, depth)
    np.maximum.at(back, place, depth)
    known = np.flatnonzero(np.isfinite(front))
    return np.interp(height, (known + lowest) * _SLICE, (front[known] + back[known]) / 2)


def _label_hands_and_feet(labels: NDArray[np.uint8], texels: Texels, right: NDArray[np.uint8]) -> None:
    down = texels.normal[..., 2]
    hand = texels.group == Group.HAND
    # In the T-pose the palms look down.
    labels[hand] = np.where(down < 0, Part.PALM_LEFT, Part.HAND_BACK_LEFT)[hand] + right[hand]
    foot = (texels.group == Group.FOOT) | (texels.group == Group.TOES)
    floor = texels.position[..., 2][foot].min()
    sole = foot & (down < _SOLE_TILT) & (texels.position[..., 2] < floor + _SOLE_HEIGHT)
    labels[sole] = Part.SOLE_LEFT + right[sole]
