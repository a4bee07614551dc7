"""Hair on the atlas's head: where it grows by style, gender and age, and how its strands look."""

from __future__ import annotations

import numpy as np

from uvmap_id.atlas.head import ear_distance, hairline
from uvmap_id.atlas.layout import uv_grid
from uvmap_id.datasets.synthetic.identity import Identity
from uvmap_id.datasets.synthetic.pigment import hair_colour
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import from_lab, smoothstep, to_lab
from uvmap_id.engines.projection.fields import GUIDE_SIZE
from uvmap_id.engines.projection.figure import Tile, each_tile
from uvmap_id.pictures import Floats, blur

_ROUGHNESS = 0.42
_LOWEST, _WIDEST = 0.275, 0.14  # Metres in the T-pose: below and beside it is no head.
# How much of the skin hair hides by style, and how its strands vary, in Lab.
_COVER = {"bald": 0.35, "buzzed": 0.72, "short": 0.97, "cropped": 0.97, "full": 1.0, "bob": 1.0, "long": 1.0}
_NAPE = {"bob": 0.09, "long": 0.14}  # Metres by which hair hides the neck behind.


def paint_scalp(canvas: Canvas, person: Identity) -> Floats:
    """Cover the scalp of a canvas that has skin.

    Returns:
        (S, S) where there is hair now, 0..1.
    """
    random = person.random("hair")
    lab = to_lab(hair_colour(person)[None])[0]
    contrast = 3.5 + 0.10 * float(lab[0])
    lighter = contrast * np.array([1.0, 0.1, 0.35 * (1 - person["grey"])])
    shades = from_lab(lab + np.linspace(-1, 1, 16)[:, None] * lighter)
    curl = person["curl"] if person.group != "african" else 0.6 + 0.4 * person["curl"]
    along = 14 * (1 - 0.85 * curl)
    fine, ragged = canvas.grain_tile(0.7, max(0.9, along)), _noise(random, 0.6, 2.5)
    locks, clumps = _noise(random, 0.9, max(1.0, along)), _noise(random, 2.5, max(2.5, 1.7 * along))
    covers = np.zeros((canvas.size, canvas.size), np.float32)

    def comb(tile: Tile) -> None:
        if not tile.meets((-_WIDEST, _WIDEST), (_LOWEST, 1)):
            return
        rough, tuft = tile.repeated(fine), tile.enlarged(clumps)
        cover = _COVER[person.style] * _grows(tile, person, 0.003 * tile.enlarged(ragged) + 0.0012 * rough)
        if not cover.any():
            return
        longer = 0.35 if person.style in ("buzzed", "bald") else 1.0
        height = 0.5 * rough + longer * (0.35 * tile.enlarged(locks) + 0.5 * tuft)
        if person.style == "buzzed":
            cover = cover * (0.8 + 0.2 * np.clip(rough, -1, 1))
        part = canvas.part((tile.rows, tile.columns))
        part.paint(cover.astype(np.float32), _shaded(shades, height), _ROUGHNESS, 0.4 + 0.13 * height)
        covers[tile.rows, tile.columns] = cover

    each_tile(canvas, comb)
    return covers


def _grows(tile: Tile, person: Identity, ragged: Floats) -> Floats:
    """(h, w) 1 where hair grows."""
    line = hairline(tile.y) + _front(tile, person)
    hangs = _NAPE.get(person.style, 0.0)
    if hangs:
        line = np.maximum(line - hangs * smoothstep(0.012, 0.045, tile.y), _LOWEST + 0.01)
    u, v = uv_grid(tile.canvas.size)
    ear = smoothstep(1.05, 0.9, ear_distance(u[:, tile.columns], v[tile.rows]))
    soft = 0.012 if person.style in ("bald", "buzzed") else 0.006
    grown = smoothstep(-soft, soft, tile.z - line + ragged) * (1 - ear) * (np.abs(tile.x) < _WIDEST)
    if person.style == "bald":
        # A wreath at the back of those who lost it, nothing on those who shave.
        wreath = smoothstep(0.012, -0.012, tile.z - 0.49 + 0.5 * ragged) * smoothstep(-0.05, -0.02, tile.y)
        return grown * wreath * float(person["receding"] > 0.45)
    gone = max(0.0, 4 * person["receding"] - 3)
    thin = gone * smoothstep(0.045, 0.0, np.hypot(tile.x, tile.y - 0.035)) * smoothstep(0.50, 0.53, tile.z)
    return grown * (1 - 0.85 * thin)


def _front(tile: Tile, person: Identity) -> Floats:
    """(h, w) metres by which the hairline is higher than usual; only before the ears."""
    before = smoothstep(-0.045, -0.075, tile.y)
    aside = np.abs(tile.x)
    temples = np.exp(-(((aside - 0.048) / 0.018) ** 2)) + 0.45 * smoothstep(0.05, 0.0, aside)
    higher = 0.006 * person["hairline"] + 0.030 * person["receding"] * temples
    peak = -0.006 * max(0.0, person["parting"]) * np.exp(-((aside / 0.014) ** 2))
    fringe = 0.0
    if person.style in ("full", "bob") and person["parting"] < 0.1:
        # Cut straight, or swept to one side.
        sweep = 1 + 0.5 * np.clip(tile.x * np.sign(person["curl"] - 0.5) / 0.05, -1, 1) * (person["forehead"] > 0)
        fringe = -0.024 * sweep * smoothstep(0.075, 0.055, aside)
    return (before * (higher + peak + fringe)).astype(np.float32)


def _shaded(shades: Floats, height: Floats) -> Floats:
    """(h, w, 3) colours of strands: the lowest have the first of the shades, (N, 3) linear, the highest the last."""
    rank = np.clip((height / 3.4 + 0.5) * (len(shades) - 1), 0, len(shades) - 1.001)
    low = rank.astype(np.int32)
    share = (rank - low)[..., None].astype(np.float32)
    return shades[low] + share * (shades[low + 1] - shades[low])


def _noise(random: np.random.Generator, across: float, along: float) -> Floats:
    """(G, G) noise of unit variance, blurred by so many texels of the guide in u and in v."""
    noise = blur(random.standard_normal((GUIDE_SIZE, GUIDE_SIZE), np.float32), across, along)
    return noise / (noise.std() + 1e-6)
