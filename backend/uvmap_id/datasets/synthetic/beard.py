"""Beards: shadow, moustache, goatee and full beard, as many short hairs on a darker ground."""

from __future__ import annotations

import numpy as np

from uvmap_id.datasets.synthetic.features import Features
from uvmap_id.datasets.synthetic.identity import Identity
from uvmap_id.datasets.synthetic.pigment import hair_colour
from uvmap_id.datasets.synthetic.sketch import Sketch, smoothed
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.pictures import Floats, blur

# How much of the skin the ground hides, how much the hairs do, and how long they are in atlas units.
_KINDS = {
    "shadow": (0.20, 0.25, 0.0016),
    "moustache": (0.35, 0.60, 0.0060),
    "goatee": (0.32, 0.60, 0.0060),
    "full": (0.38, 0.62, 0.0070),
}
_HAIRS = 5200
_ROUGHNESS = 0.55


def paint_beard(part: Canvas, sketch: Sketch, drawn: Features, person: Identity) -> None:
    """Paint the beard of a person onto the face's region of a canvas."""
    ground, strength, length = _KINDS[person.beard]
    where = _area(sketch, drawn, person.beard)
    random = person.random("beard")
    patchy = blur(random.standard_normal(sketch.shape).astype(np.float32), 0.006 * sketch.size)
    where = np.clip(where * (1 + 0.18 * patchy / (patchy.std() + 1e-6)), 0, 1)
    hairs = sketch.strokes(_hairs(sketch, where, length, drawn, random), 0.0008, 0.0002)
    cover = np.clip(ground * where + strength * hairs * np.sqrt(where), 0, 0.95)
    colour = hair_colour(person, 0.15 * person["grey"]) * (0.8 if person.beard != "shadow" else 0.6)
    part.paint(cover.astype(np.float32), colour.astype(np.float32), _ROUGHNESS, 0.15 * where)


def _area(sketch: Sketch, drawn: Features, kind: str) -> Floats:
    """(h, w) 1 where the beard grows."""
    u, v, mouth = np.abs(sketch.u - drawn.axis), sketch.v, drawn.mouth[5]
    lips = sketch.filled(smoothed(np.concatenate([drawn.lips, drawn.lips[:1]]), 4), 0.0015)
    top, nose = float(drawn.upper_lip[:, 1].max()), float(drawn.points[2, 1])
    middle = (top + nose) / 2 - 0.10 * u - 0.004
    moustache = smoothstep(1.15, 0.75, np.hypot(u / 0.046, (v - middle) / 0.0125 * (1 - 4 * u)))
    chin = smoothstep(1.15, 0.8, np.hypot(u / 0.036, (v - 0.685) / 0.026))
    ring = np.exp(-(((np.hypot(u / 0.048, (v - mouth[1]) / 0.038) - 1) / 0.16) ** 2)) * (v < middle)
    chin = np.maximum(chin, 0.9 * ring) * smoothstep(0.655, 0.668, v)
    # The cheek's line runs from the corner of the mouth up to the ear; below, the jaw's edge ends the beard.
    line = np.interp(u, [0.0, 0.04, 0.08, 0.118, 0.14], [0.735, 0.735, 0.752, 0.80, 0.84])
    jaw = np.interp(u, [0.0, 0.05, 0.10, 0.13], [0.655, 0.66, 0.69, 0.73])
    cheeks = smoothstep(0.006, -0.010, v - line) * smoothstep(-0.004, 0.010, v - jaw)
    cheeks = cheeks * smoothstep(0.147, 0.128, u)
    areas = {
        "moustache": moustache,
        "goatee": np.maximum(moustache, chin),
        "shadow": np.maximum(np.maximum(moustache, chin), cheeks),
        "full": np.maximum(np.maximum(moustache, chin), cheeks),
    }
    return np.asarray(areas[kind] * (1 - lips), np.float32)


def _hairs(
    sketch: Sketch, where: Floats, length: float, drawn: Features, random: np.random.Generator
) -> list[np.ndarray]:
    """Lines that run down and a little outwards."""
    rows, columns = np.nonzero(where > 0.15)
    if not len(rows):
        return []
    chosen = random.integers(len(rows), size=min(_HAIRS, 4 * len(rows)))
    chosen = chosen[random.random(len(chosen)) < where[rows[chosen], columns[chosen]]]
    u = sketch.u[0, columns[chosen]] + random.uniform(-0.5, 0.5, len(chosen)) / sketch.size
    v = sketch.v[rows[chosen], 0] + random.uniform(-0.5, 0.5, len(chosen)) / sketch.size
    out = (u - drawn.axis) * 3 + 0.25 * random.standard_normal(len(chosen))
    lean = np.stack([out, np.full(len(chosen), -1.0)], axis=1) * (length * random.uniform(0.6, 1.1, (len(chosen), 1)))
    roots = np.stack([u, v], axis=1)
    return list(np.stack([roots, roots + lean], axis=1))
