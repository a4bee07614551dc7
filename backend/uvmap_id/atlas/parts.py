"""The parts of the body that the atlas tells apart. Left is the body's own left, at +x."""

from __future__ import annotations

from enum import IntEnum


class Part(IntEnum):
    """What a texel shows. The values are those of `Atlas.parts` and are kept from version to version."""

    NONE = 0
    FACE = 1  # from the hairline to the jaw and to the ears
    SCALP = 2
    EAR_LEFT = 3
    EAR_RIGHT = 4
    NECK = 5
    CHEST = 6
    ABDOMEN = 7
    HIPS = 8  # the front and the sides of the pelvis
    UPPER_BACK = 9
    LOWER_BACK = 10
    BUTTOCKS = 11
    SHOULDER_LEFT = 12  # moved by the arm, but within SMPL's armhole
    SHOULDER_RIGHT = 13
    UPPER_ARM_LEFT = 14
    UPPER_ARM_RIGHT = 15
    FOREARM_LEFT = 16
    FOREARM_RIGHT = 17
    PALM_LEFT = 18
    PALM_RIGHT = 19
    HAND_BACK_LEFT = 20
    HAND_BACK_RIGHT = 21
    FINGERS_LEFT = 22
    FINGERS_RIGHT = 23
    THIGH_LEFT = 24
    THIGH_RIGHT = 25
    SHIN_LEFT = 26  # the whole lower leg
    SHIN_RIGHT = 27
    FOOT_LEFT = 28  # from above and behind
    FOOT_RIGHT = 29
    TOES_LEFT = 30
    TOES_RIGHT = 31
    SOLE_LEFT = 32  # toes included
    SOLE_RIGHT = 33


EARS = frozenset({Part.EAR_LEFT, Part.EAR_RIGHT})
HEAD = frozenset({Part.FACE, Part.SCALP}) | EARS
BACK = frozenset({Part.UPPER_BACK, Part.LOWER_BACK})
PELVIS = frozenset({Part.HIPS, Part.BUTTOCKS})
SHOULDERS = frozenset({Part.SHOULDER_LEFT, Part.SHOULDER_RIGHT})
TORSO = frozenset({Part.CHEST, Part.ABDOMEN}) | BACK | PELVIS | SHOULDERS
UPPER_ARMS = frozenset({Part.UPPER_ARM_LEFT, Part.UPPER_ARM_RIGHT})
FOREARMS = frozenset({Part.FOREARM_LEFT, Part.FOREARM_RIGHT})
ARMS = UPPER_ARMS | FOREARMS
PALMS = frozenset({Part.PALM_LEFT, Part.PALM_RIGHT})
FINGERS = frozenset({Part.FINGERS_LEFT, Part.FINGERS_RIGHT})
HANDS = PALMS | FINGERS | frozenset({Part.HAND_BACK_LEFT, Part.HAND_BACK_RIGHT})
THIGHS = frozenset({Part.THIGH_LEFT, Part.THIGH_RIGHT})
SHINS = frozenset({Part.SHIN_LEFT, Part.SHIN_RIGHT})
LEGS = THIGHS | SHINS
SOLES = frozenset({Part.SOLE_LEFT, Part.SOLE_RIGHT})
TOES = frozenset({Part.TOES_LEFT, Part.TOES_RIGHT})
FEET = SOLES | TOES | frozenset({Part.FOOT_LEFT, Part.FOOT_RIGHT})

# What a person may name when only a part of the body is to be painted anew; the names are those of `link.region`.
REGIONS = {
    "head": HEAD,
    "face": frozenset({Part.FACE}),
    "scalp": frozenset({Part.SCALP}),
    "ears": EARS,
    "neck": frozenset({Part.NECK}),
    "torso": TORSO,
    "chest": frozenset({Part.CHEST}),
    "abdomen": frozenset({Part.ABDOMEN}),
    "back": BACK,
    "pelvis": PELVIS,
    "shoulders": SHOULDERS,
    "arms": ARMS,
    "upper_arms": UPPER_ARMS,
    "forearms": FOREARMS,
    "hands": HANDS,
    "fingers": FINGERS,
    "legs": LEGS,
    "thighs": THIGHS,
    "shins": SHINS,
    "feet": FEET,
    "soles": SOLES,
}

# Where one part turns in the other: middles of the body there.
JOINTS = (
    *("head", "neck", "waist"),
    *("shoulder_left", "shoulder_right", "elbow_left", "elbow_right", "wrist_left", "wrist_right"),
    *("knuckles_left", "knuckles_right", "hip_left", "hip_right", "knee_left", "knee_right"),
    *("ankle_left", "ankle_right", "toes_left", "toes_right"),
)
