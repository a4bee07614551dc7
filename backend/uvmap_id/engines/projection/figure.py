"""Where on the body a texel lies, in the words of a tailor: front or back, along and around which limb.

The numbers are measured on SMPL's mean body in the T-pose, in metres: z = 0 is at the navel, the soles at -1.13.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.engines.projection.canvas import Canvas, in_parallel
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.pictures import Floats

MIDDLE_X = -0.004  # The front's middle line; the measured body stands not quite on x = 0.
ARMHOLE = 0.165  # |x| of the seam between sleeve and body.
ARM_Y, ARM_Z = 0.03, 0.213  # The arms' axis.
CROTCH_Z = -0.40
_TILE = 256


@dataclass(frozen=True)
class Tile:
    """A small part of the canvas; all fields are (h, w) float32.

    Attributes:
        canvas: What it is a part of.
        rows: Its rows.
        columns: Its columns.
        x: Metres to the body's left.
        y: Metres to its back.
        z: Metres up.
        texel: Metres that the width of a texel covers, about.
    """

    canvas: Canvas
    rows: slice
    columns: slice
    x: Floats
    y: Floats
    z: Floats
    texel: float

    @classmethod
    def cut(cls, canvas: Canvas, rows: slice, columns: slice) -> Tile:
        """The part of a canvas in these rows and columns."""
        x, y, z = (np.ascontiguousarray(canvas.position[rows, columns, axis]) for axis in range(3))
        width = canvas.guide.window(canvas.guide.texel, rows, columns, canvas.size)
        return cls(canvas, rows, columns, x, y, z, float(np.median(width)) / canvas.size)

    def part(self, rows: slice, columns: slice) -> Tile:
        """Some rows and columns of the tile."""
        top, left = self.rows.start, self.columns.start
        x, y, z = (np.ascontiguousarray(values[rows, columns]) for values in (self.x, self.y, self.z))
        kept_rows = slice(top + rows.start, top + rows.stop)
        kept_columns = slice(left + columns.start, left + columns.stop)
        return Tile(self.canvas, kept_rows, kept_columns, x, y, z, self.texel)

    @functools.cached_property
    def middle(self) -> Floats:
        """Metres from the body's middle line, either side."""
        return np.abs(self.x - np.float32(MIDDLE_X))

    @functools.cached_property
    def behind(self) -> Floats:
        """Metres behind the side seams: negative in front."""
        return self.y - side_y(self.z)

    @functools.cached_property
    def front(self) -> Floats:
        """1 on the body's front, 0 on its back."""
        return (self.behind < 0).astype(np.float32)

    @functools.cached_property
    def back(self) -> Floats:
        """1 on the body's back, 0 on its front."""
        return 1 - self.front

    @functools.cached_property
    def _bounds(self) -> tuple[tuple[float, float], ...]:
        return tuple((float(values.min()), float(values.max())) for values in (self.x, self.z, self.y))

    def meets(
        self,
        x: tuple[float, float] = (-1, 1),
        z: tuple[float, float] = (-2, 1),
        y: tuple[float, float] = (-1, 1),
    ) -> bool:
        """True where the tile has texels in a box; lets details that are elsewhere cost nothing."""
        return all(
            least <= high and most >= low for (least, most), (low, high) in zip(self._bounds, (x, z, y), strict=True)
        )

    def step(self, inside: Floats) -> Floats:
        """1 where a distance in metres is positive, 0 where it is negative, with an edge one texel wide."""
        return np.clip(inside / np.float32(1.2 * self.texel) + np.float32(0.5), 0, 1)

    def ridge(self, distance: Floats, width: float) -> Floats:
        """1 on a line, falling to 0 at `width` metres beside it; never thinner than texels can show."""
        return smoothstep(max(width, 1.3 * self.texel), 0.0, np.abs(distance))

    def enlarged(self, small: Floats, *, cubic: bool = False) -> Floats:
        """The tile's part of a field that covers the atlas at a smaller size."""
        return self.canvas.guide.window(small, self.rows, self.columns, self.canvas.size, cubic=cubic)

    def repeated(self, pattern: Floats) -> Floats:
        """The tile's part of a (T, T) pattern that is repeated all over the canvas."""
        side = pattern.shape[0]
        return pattern[
            np.arange(self.rows.start, self.rows.stop)[:, None] % side,
            np.arange(self.columns.start, self.columns.stop)[None] % side,
        ]


def each_tile(canvas: Canvas, work: Callable[[Tile], None]) -> None:
    """Do something for every tile that has used texels, on all cores."""
    side = min(_TILE, canvas.size)
    scale = canvas.guide.near.shape[0] / canvas.size

    def one(corner: tuple[int, int]) -> None:
        rows, columns = (slice(start, start + side) for start in corner)
        small = tuple(slice(int(part.start * scale), int(part.stop * scale)) for part in (rows, columns))
        if canvas.guide.near[small].any():
            work(Tile.cut(canvas, rows, columns))

    in_parallel(one, [(top, left) for top in range(0, canvas.size, side) for left in range(0, canvas.size, side)])


def side_y(z: Floats) -> Floats:
    """Y of the side seams: the middle between front and back of trunk and legs."""
    return -0.02 + 0.06 * smoothstep(-0.5, -0.85, z) + 0.025 * smoothstep(0.02, 0.2, z)


def on_arm(x: Floats, z: Floats) -> NDArray[np.bool_]:
    """True beyond the armhole."""
    return (np.abs(x) > ARMHOLE) & (z > 0.05)


@dataclass(frozen=True, slots=True)
class Wrap:
    """Coordinates of cloth that is wrapped around trunk and limbs, (h, w) each.

    Attributes:
        around: -0.5..0.5, turns from the front's middle (from the top, on an arm).
        along: Metres downwards from the navel, or outwards along an arm.
        radius: Metres from the limb's axis.
        girth: How many repeats of a pattern fit around, as a part of those around the trunk: 1/2 on legs, 1/3 on arms.
    """

    around: Floats
    along: Floats
    radius: Floats
    girth: Floats


def wrap(x: Floats, y: Floats, z: Floats, *, legs: bool) -> Wrap:
    """Wrap cloth around the body. Each leg has an axis of its own, with `legs` up to the waist."""
    arm = on_arm(x, z)
    leg = np.full(z.shape, True) if legs else z < CROTCH_Z
    axis_x = np.where(leg, np.copysign(np.float32(0.09), x), np.float32(MIDDLE_X))
    right = np.where(arm, y - ARM_Y, x - axis_x)
    front = side_y(z) - y
    # On chest and shoulder blades cloth hangs straight: lines must not run together at the neck.
    flat = 0.1 * smoothstep(0.06, 0.17, z)
    front = np.where(arm, z - ARM_Z, np.copysign(np.maximum(np.abs(front), flat), front))
    girth = np.where(arm, np.float32(1 / 3), np.where(leg, np.float32(0.5), np.float32(1)))
    along = np.where(arm, np.abs(x) - 0.4, -z)
    return Wrap(np.arctan2(right, front) / (2 * np.pi), along, np.hypot(right, front), girth)
