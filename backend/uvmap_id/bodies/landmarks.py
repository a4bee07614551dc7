"""Named vertices of the free body, found by where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies.shape_keys import Shape
from uvmap_id.bodies.skeleton import NUMBER, Floats

if TYPE_CHECKING:
    # anny comes with the `dev` extra only.
    from uvmap_id.bodies.rigged_source import RiggedSource


def landmarks(source: RiggedSource, neutral: Shape, weights: Floats) -> dict[str, int]:
    """Numbers of vertices: tips of nose, chin, fingers and toes, lips, corners of mouth and eyes, and so on."""
    points, eye = neutral.vertices, neutral.joints.heads[NUMBER["eye.L"]]
    head = source.vertices_of("head")
    lips = np.intersect1d(head, source.vertices_of("mouth_cavity"))
    lids = np.intersect1d(head, source.vertices_of("eye_cavity.L"))
    middle = head[np.abs(points[head, 0]) < 1e-4]
    mouth = points[lips, 2].mean()
    chin = middle[(points[middle, 2] < mouth - 0.015) & (points[middle, 1] < eye[1])]
    foot = np.flatnonzero((weights[:, NUMBER["foot.L"]] + weights[:, NUMBER["toes.L"]]) > 0.5)
    left = {
        "mouth_corner": _most(points, lips, (1, 0, 0)),
        "eye_inner_corner": _most(points, lids, (-1, 0, 0)),
        "eye_outer_corner": _most(points, lids, (1, 0, 0)),
        "ear": _most(points, head, (1, 0, 0)),
        "heel": _most(points, foot, (0, 1, 0)),
        "toe_tip": _most(points, foot, (0, -1, 0)),
    }
    for finger in ("thumb", "index", "middle", "ring", "pinky"):
        bone = NUMBER[f"{finger}3.L"]
        own = np.flatnonzero(weights[:, bone] > 0.5)
        left[f"{finger}_tip"] = _most(points, own, neutral.joints.tails[bone] - neutral.joints.heads[bone])
    found = {
        "nose_tip": _most(points, middle, (0, -1, 0)),
        "chin": _most(points, chin, (0, -1, 0)),
        "crown": _most(points, middle, (0, 0, 1)),
        "upper_lip": _most(points, lips[np.abs(points[lips, 0]) < 1e-4], (0, 0, 1)),
        "lower_lip": _most(points, lips[np.abs(points[lips, 0]) < 1e-4], (0, 0, -1)),
    }
    for name, vertex in left.items():
        found[f"left_{name}"], found[f"right_{name}"] = vertex, int(source.mirror[vertex])
    return found


def _most(points: Floats, chosen: NDArray[np.int64], way: Floats | tuple[float, float, float]) -> int:
    """Which of some vertices lies farthest in a direction."""
    return int(chosen[np.argmax(points[chosen] @ np.asarray(way))])
