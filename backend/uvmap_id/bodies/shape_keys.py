"""The mannequin's shapes: anny's phenotypes, each in the T-pose, and what sliders add to the neutral body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies.posture import posed_joints, t_turns, unskinned
from uvmap_id.bodies.skeleton import Floats, Joints, joints

if TYPE_CHECKING:
    # anny comes with the `dev` extra only.
    from uvmap_id.bodies.rigged_source import RiggedSource

# anny's ages: 0 a baby, 1/3 a child of about ten, 2/3 a young adult, 1 an old one. At half its height anny is as tall
# as a model; at 0.4 a man has 1.80 m and a woman 1.66 m.
NEUTRAL: Mapping[str, float] = {
    "gender": 0.5,
    "age": 2 / 3,
    "muscle": 0.5,
    "weight": 0.5,
    "height": 0.4,
    "proportions": 0.5,
    # Keys are added up: breasts that only the female end brings can't be taken away twice, from a boy for example.
    "cupsize": 0.0,
    "african": 1 / 3,
    "asian": 1 / 3,
    "caucasian": 1 / 3,
}
ANCESTRIES = ("african", "asian", "caucasian")


@dataclass(frozen=True, slots=True)
class _End:
    """An end of a slider: what differs from `NEUTRAL` there, and in the body that it is compared with."""

    there: Mapping[str, float]
    compared: Mapping[str, float]


def _end(**there: float) -> _End:
    return _End(there, {})


# anny's fat hides under muscle: with average muscle its heaviest body is hardly wider than its average one. So weight
# and muscle are measured where they are seen.
_SLACK, _FULL = {"muscle": 0.0}, {"weight": 0.75}
_ENDS: dict[str, _End] = {
    "gender-": _end(gender=0.0),
    "gender+": _end(gender=1.0, cupsize=0.5),
    "age-": _end(age=1 / 3),
    "age+": _end(age=1.0),
    "muscle-": _end(muscle=0.0),
    "muscle+": _End({**_FULL, "muscle": 1.0}, _FULL),
    "weight-": _end(weight=0.0),
    "weight+": _End({**_SLACK, "weight": 1.0}, _SLACK),
    # anny's own ends are 1.2 m and 2.4 m tall.
    "height-": _end(height=0.2),
    "height+": _end(height=0.62),
    "proportions-": _end(proportions=1.0),
    "proportions+": _end(proportions=0.0),
}
# Pairs of ends whose sum is not what a body with both looks like: a girl has no woman's breasts, a heavy boy no man's
# belly. What is missing is a key of its own, whose value is the product of the two. They all name an age, because keys
# for pairs of the others, measured on adults, would spoil children who have both.
COMBINED = (
    ("age-", "gender-"),
    ("age-", "gender+"),
    ("age-", "weight+"),
    ("age-", "muscle+"),
    ("age+", "gender+"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A body in the T-pose on z = 0: (V, 3) vertices and its joints."""

    vertices: Floats
    joints: Joints


@dataclass(frozen=True, slots=True)
class Shaper:
    """Makes bodies.

    Attributes:
        source: The free body.
        weights: (V, B) how much the mannequin's bones move its vertices.
        eyes: The vertices of each eyeball, by its bone's name.
    """

    source: RiggedSource
    weights: Floats
    eyes: Mapping[str, NDArray[np.int64]]

    def standing(self, phenotypes: Mapping[str, float]) -> Shape:
        """A body as anny stands; what isn't named is neutral."""
        vertices, ends = self.source.rest({**NEUTRAL, **phenotypes})
        middles = {name: sphere(vertices[own])[0] for name, own in self.eyes.items()}
        return Shape(vertices, joints(ends, middles))

    def t_pose(self, phenotypes: Mapping[str, float]) -> Shape:
        """The same body in the T-pose, from which blended matrices bring it back to where anny stands."""
        standing = self.standing(phenotypes)
        turns = t_turns(standing.joints)
        posed = posed_joints(standing.joints, turns)
        back = np.swapaxes(turns, 1, 2)
        vertices = unskinned(standing.vertices, self.weights, posed, back)
        floor = np.array([0.0, 0.0, vertices[:, 2].min()])
        return Shape(vertices - floor, Joints(posed.heads - floor, posed.tails - floor))


def body_keys(shaper: Shaper) -> dict[str, Shape]:
    """What each body key adds to the neutral body: offsets of its vertices and of its joints.

    "age-*gender+" is what both together add to the sum of the two.
    """
    known: dict[tuple[tuple[str, float], ...], Shape] = {}

    def body(phenotypes: Mapping[str, float]) -> Shape:
        key = tuple(sorted(phenotypes.items()))
        if key not in known:
            known[key] = shaper.t_pose(phenotypes)
        return known[key]

    keys = {name: _less(body(end.there), body(end.compared)) for name, end in _ENDS.items()}
    pure = [_as_tall_as(shaper, body({}), {name: float(name == other) for name in ANCESTRIES}) for other in ANCESTRIES]
    mean = Shape(
        np.mean([one.vertices for one in pure], axis=0),
        Joints(*(np.mean([getattr(one.joints, part) for one in pure], axis=0) for part in ("heads", "tails"))),
    )
    keys |= {name: _less(one, mean) for name, one in zip(ANCESTRIES, pure, strict=True)}
    for first, second in COMBINED:
        # The second end, as it is where the first one is reached.
        start, end = _ENDS[first].there, _ENDS[second]
        there = _less(body({**start, **end.there}), body({**start, **end.compared}))
        keys[f"{first}*{second}"] = _less(there, keys[second])
    return keys


def _as_tall_as(shaper: Shaper, wanted: Shape, phenotypes: Mapping[str, float]) -> Shape:
    """A body of one ancestry, which has its features and proportions; how tall it is, another slider says.

    anny makes Africans 18 cm taller than Asians.
    """
    tall = float(np.ptp(wanted.vertices[:, 2]))
    low, high = NEUTRAL["height"], NEUTRAL["height"] + 0.1
    # Stature is linear in anny's height but for the turns of the T-pose: two steps of the secant are enough.
    for _ in range(2):
        statures = [np.ptp(shaper.t_pose({**phenotypes, "height": one}).vertices[:, 2]) for one in (low, high)]
        low, high = high, low + (high - low) * (tall - statures[0]) / (statures[1] - statures[0])
    return shaper.t_pose({**phenotypes, "height": high})


def _less(one: Shape, other: Shape) -> Shape:
    heads, tails = one.joints.heads - other.joints.heads, one.joints.tails - other.joints.tails
    return Shape(one.vertices - other.vertices, Joints(heads, tails))


def sphere(points: Floats) -> tuple[Floats, float]:
    """Middle (3,) and radius of the sphere that fits points (N, 3) best, algebraically."""
    design = np.column_stack([2 * points, np.ones(len(points))])
    *middle, rest = np.linalg.lstsq(design, (points**2).sum(axis=1), rcond=None)[0]
    return np.array(middle), float(np.sqrt(rest + np.dot(middle, middle)))
