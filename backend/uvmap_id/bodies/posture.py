"""Skinning with plain blended matrices, and the way from anny's standing pose to the T-pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies.skeleton import BONES, NUMBER, PARENTS, Floats, Joints, least_turn

# The way from hip to ankle in the T-pose leads this far outwards, which keeps thighs apart; SMPL's template has 1.5.
_LEGS_APART = np.radians(2.5)
_FINGERS = ("index", "middle", "ring", "pinky")


def posed_joints(rest: Joints, turns: Floats) -> Joints:
    """Where joints go while bones turn.

    Args:
        rest: The joints at rest.
        turns: (B, 3, 3) how far each bone is turned from its rest, in the world's axes.
    """
    heads = rest.heads.copy()
    for number, parent in enumerate(PARENTS):
        if parent >= 0:
            heads[number] = heads[parent] + turns[parent] @ (rest.heads[number] - rest.heads[parent])
    return Joints(heads, heads + np.einsum("bij,bj->bi", turns, rest.tails - rest.heads))


def skinned(vertices: Floats, weights: Floats, rest: Joints, turns: Floats) -> Floats:
    """(V, 3) vertices moved by blended matrices, as Blender and game engines do it.

    Args:
        vertices: (V, 3) at rest.
        weights: (V, B).
        rest: The joints at rest.
        turns: (B, 3, 3) as in `posed_joints`.
    """
    linear, move = _blended(weights, rest, turns)
    return np.einsum("vij,vj->vi", linear, vertices) + move


def unskinned(posed: Floats, weights: Floats, rest: Joints, turns: Floats) -> Floats:
    """(V, 3) vertices at rest that `skinned` brings to given places."""
    linear, move = _blended(weights, rest, turns)
    return np.linalg.solve(linear, (posed - move)[..., None])[..., 0].astype(np.float64)


def _blended(weights: Floats, rest: Joints, turns: Floats) -> tuple[Floats, Floats]:
    moves = posed_joints(rest, turns).heads - np.einsum("bij,bj->bi", turns, rest.heads)
    return np.einsum("vb,bij->vij", weights, turns), weights @ moves


def t_turns(standing: Joints) -> Floats:
    """(B, 3, 3) how bones are to be turned from anny's standing pose to the T-pose, in the world's axes.

    The arms are straight along x with the palms down, the fingers straight, the thumbs as the hands take them along.
    The feet stay flat on the floor.
    """
    turns = np.tile(np.eye(3), (len(BONES), 1, 1))
    for number, bone in enumerate(BONES):
        if PARENTS[number] >= 0:
            turns[number] = turns[PARENTS[number]]
        kind, _, side = bone.name.partition(".")
        if side:
            turn = _limb_turn(standing, kind, f".{side}", turns)
            turns[number] = turns[number] if turn is None else turn
    return turns


def _limb_turn(standing: Joints, kind: str, side: str, turns: Floats) -> Floats | None:
    """The turn of a bone that does not simply follow its parent."""
    out = np.array([1.0 if side == ".L" else -1.0, 0.0, 0.0])

    def way(start: str, end: str) -> Floats:
        return standing.heads[NUMBER[end + side]] - standing.heads[NUMBER[start + side]]

    if kind == "thigh":
        leg = way("thigh", "foot")
        down = np.hypot(leg[0], leg[2])
        return least_turn(leg, np.array([out[0] * down * np.sin(_LEGS_APART), leg[1], -down * np.cos(_LEGS_APART)]))
    if kind == "foot":
        return np.eye(3)
    if kind in ("upperarm", "forearm"):
        return least_turn(way(kind, "forearm" if kind == "upperarm" else "hand"), out)
    if kind == "hand":
        # The knuckles give the palm's direction: the index finger lies before the little one.
        across = way("pinky1", "index1")
        return _frame(out, np.array([0.0, -1.0, 0.0])) @ _frame(way("hand", "fingers"), across).T
    if kind.startswith(_FINGERS):
        return _finger_turn(standing, kind, side, turns, out)
    return None


def _finger_turn(standing: Joints, kind: str, side: str, turns: Floats, out: Floats) -> Floats:
    """Straight along the way that the finger has in the hand, seen from above, and half as spread."""
    first, tip, own = (NUMBER[f"{kind[:-1]}1{side}"], NUMBER[f"{kind[:-1]}3{side}"], NUMBER[kind + side])
    hand = turns[NUMBER["hand" + side]]
    way = hand @ (standing.tails[tip] - standing.heads[first])
    way = way / np.hypot(way[0], way[1]) * [1, 1, 0]
    bone = hand @ (standing.tails[own] - standing.heads[own])
    return least_turn(bone, way + out) @ hand


def _frame(along: Floats, across: Floats) -> Floats:
    """(3, 3) with a direction and another one, made square to it, as the first two columns."""
    along = along / np.linalg.norm(along)
    across = across - (across @ along) * along
    across = across / np.linalg.norm(across)
    return np.stack([along, across, np.cross(along, across)], axis=1)


def quaternions(matrices: Floats) -> NDArray[np.float64]:
    """(N, 4) unit quaternions w x y z, w >= 0, of rotation matrices."""
    found = []
    for matrix in matrices:
        # The column of the largest of w x x, w y, ... (Bar-Itzhack 2000): an eigenvector, which no angle spoils.
        (a, b, c), (d, e, f), (g, h, i) = matrix
        form = np.array(
            [
                [a + e + i, h - f, c - g, d - b],
                [h - f, a - e - i, b + d, c + g],
                [c - g, b + d, e - a - i, f + h],
                [d - b, c + g, f + h, i - a - e],
            ]
        )
        one = np.linalg.eigh(form)[1][:, -1]
        found.append(one if one[0] >= 0 else -one)
    return np.array(found)
