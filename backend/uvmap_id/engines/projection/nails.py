"""Nails on fingers and toes: paler, pinker and glossier than the skin around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import from_lab, smoothstep
from uvmap_id.pictures import Floats

# Changes of the skin's Lab on a nail, and on its free edge and the small moon at its root, which are paler.
_BED = np.array([3.5, 4.0, -1.5], np.float32)
_EDGE = np.array([7.0, -4.0, -3.5], np.float32)
_ROUGHNESS = 0.24
_GROOVE = 0.12  # Millimetres that the skin around a nail is lower.
_THICKNESS = 0.10  # Millimetres that a nail is higher.


@dataclass(frozen=True, slots=True)
class Nail:
    """One nail, as measured in SMPL's atlas.

    Attributes:
        tip: u, v of the tip of the finger or toe.
        towards: Direction in u, v from the root of the nail to that tip.
        length: Half of the nail's length in atlas units.
        width: Half of its width.
    """

    tip: tuple[float, float]
    towards: tuple[float, float]
    length: float
    width: float


_FINGERS = (
    # Thumb, forefinger, middle finger, ring finger and little finger of the left hand, then of the right one.
    Nail((0.9875, 0.0649), (0.93, 0.35), 0.0050, 0.0046),
    Nail((0.9823, 0.1173), (0.80, 0.60), 0.0046, 0.0037),
    Nail((0.9488, 0.1376), (0.29, 0.96), 0.0046, 0.0038),
    Nail((0.9213, 0.1383), (0.05, 1.00), 0.0046, 0.0037),
    Nail((0.9050, 0.1262), (-0.15, 0.99), 0.0040, 0.0028),
    Nail((0.6254, 0.0614), (-0.90, 0.40), 0.0050, 0.0046),
    Nail((0.6342, 0.1115), (-0.77, 0.64), 0.0046, 0.0037),
    Nail((0.6686, 0.1308), (-0.25, 0.97), 0.0046, 0.0038),
    Nail((0.6961, 0.1292), (0.04, 1.00), 0.0046, 0.0037),
    Nail((0.7128, 0.1147), (0.15, 0.99), 0.0040, 0.0028),
)
_TOES = (
    Nail((0.9599, 0.2215), (1.00, 0.10), 0.0036, 0.0038),
    Nail((0.9593, 0.2359), (0.95, 0.25), 0.0022, 0.0021),
    Nail((0.9468, 0.2463), (0.80, 0.50), 0.0020, 0.0019),
    Nail((0.9360, 0.2532), (0.65, 0.70), 0.0019, 0.0018),
    Nail((0.9213, 0.2572), (0.40, 0.90), 0.0017, 0.0017),
    Nail((0.6580, 0.2156), (-1.00, 0.10), 0.0036, 0.0038),
    Nail((0.6580, 0.2300), (-0.95, 0.25), 0.0022, 0.0021),
    Nail((0.6698, 0.2405), (-0.80, 0.50), 0.0020, 0.0019),
    Nail((0.6797, 0.2470), (-0.65, 0.70), 0.0019, 0.0018),
    Nail((0.6957, 0.2513), (-0.40, 0.90), 0.0017, 0.0017),
)


def paint_nails(canvas: Canvas, tone: Floats) -> None:
    """Paint all twenty on skin of a tone given in Lab."""
    for nail in (*_FINGERS, *_TOES):
        _paint(canvas, nail, tone)


def _paint(canvas: Canvas, nail: Nail, tone: Floats) -> None:
    size = canvas.size
    towards = np.array(nail.towards) / np.linalg.norm(nail.towards)
    middle = np.array(nail.tip) - 1.15 * nail.length * towards
    reach = 2.0 * max(nail.length, nail.width)
    rows = slice(max(0, int((1 - middle[1] - reach) * size)), min(size, int((1 - middle[1] + reach) * size) + 1))
    columns = slice(max(0, int((middle[0] - reach) * size)), min(size, int((middle[0] + reach) * size) + 1))
    u = (np.arange(columns.start, columns.stop) + 0.5) / size - middle[0]
    v = 1 - (np.arange(rows.start, rows.stop)[:, None] + 0.5) / size - middle[1]
    along = ((u * towards[0] + v * towards[1]) / nail.length).astype(np.float32)
    across = ((v * towards[0] - u * towards[1]) / nail.width).astype(np.float32)
    # Between an ellipse and a rectangle, as nails are.
    inside = 1 - (np.abs(across) ** 3 + np.abs(along) ** 3) ** (1 / 3)
    soft = 0.9 / (size * nail.width)
    cover = smoothstep(-soft, soft, inside)
    pale = smoothstep(0.62, 0.80, along) + 0.5 * smoothstep(-0.70, -0.90, along - 0.4 * (1 - across * across))
    lab = np.asarray(tone, np.float32) + _BED + np.clip(pale, 0, 1)[..., None] * _EDGE
    groove = np.exp(-((inside / 0.22) ** 2)) * (inside < 0)
    part = canvas.part((rows, columns))
    part.relief -= _GROOVE * groove
    part.paint(cover, from_lab(lab), _ROUGHNESS, _THICKNESS * (1 - across * across), skin=1.0)
