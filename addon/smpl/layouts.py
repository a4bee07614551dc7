"""Which UV layout a mesh has, told from where its UVs lie: by a fingerprint, not by a name.

The fingerprint is a histogram of a mesh's distinct UV points over a grid. The order of vertices and faces, how
polygons are cut into triangles, and vertices that a file format split at seams leave it as it is; subdividing changes
it little. Each point is shared out between the four nearest cells, so that a little noise changes it a little and
never by a jump. Areas would not do: SMPL-X's atlas covers what SMPL's covers, and differs inside the face.
"""

from __future__ import annotations

import json
from contextlib import suppress
from enum import Enum
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..npz import read_arrays
from .refusal import RefusedError

FINGERPRINTS = Path(__file__).parent.parent / "assets" / "layouts.json"
MANNEQUIN = FINGERPRINTS.with_name("mannequin.npz")
CELLS = 32
# Bodies of one layout agree to 0.95 and more, also with noise and subdivided; different ones to 0.77 and less:
# see benchmarks/layouts.py.
ALIKE = 0.87
# The mannequin has about three megabytes of UVs.
_MOST_BYTES = 100_000_000
# Corners of faces that meet in one UV point differ by rounding.
_STEPS = 4096
# More than there are steps from -1 to 2.
_ROW = 4 * _STEPS
_SCALE = 1_000_000


class Layout(Enum):
    """A UV layout; the values are what a person reads."""

    SMPL = "SMPL atlas"
    SMPLX = "SMPL-X atlas"
    MANNEQUIN = "Mannequin, SMPL atlas"
    UNKNOWN = "Unknown layout"

    @property
    def wears_smpl(self) -> bool:
        """Whether SMPL's textures fit."""
        return self in (Layout.SMPL, Layout.MANNEQUIN)


def layout_of(uvs: NDArray[np.floating]) -> Layout:
    """The layout of (N, 2) UVs of all corners of a mesh's faces, origin bottom left."""
    found = fingerprint(uvs)
    best, known = max(known_fingerprints().items(), key=lambda item: similarity(found, item[1]))
    return best if similarity(found, known) >= ALIKE else Layout.UNKNOWN


def fingerprint(uvs: NDArray[np.floating]) -> NDArray[np.float64]:
    """(CELLS, CELLS) shares of the distinct points, first axis v; all zeros where there are none.

    Args:
        uvs: (N, 2); what is no number is left out, what lies outside the square counts at its border.
    """
    finite = np.clip(uvs[np.isfinite(uvs).all(axis=1)], -1, 2)
    # One number a point: sorting those takes a tenth of the time that sorting pairs does.
    steps = np.rint(finite * _STEPS).astype(np.int64) + _STEPS
    distinct = np.unique(steps[:, 0] * _ROW + steps[:, 1])
    points = (np.stack(np.divmod(distinct, _ROW), axis=1) - _STEPS) / _STEPS
    places = np.clip(points * CELLS - 0.5, 0, CELLS - 1)
    corner = np.minimum(places.astype(np.int64), CELLS - 2)
    part = places - corner
    grid = np.zeros((CELLS, CELLS))
    for step_u, share_u in ((0, 1 - part[:, 0]), (1, part[:, 0])):
        for step_v, share_v in ((0, 1 - part[:, 1]), (1, part[:, 1])):
            np.add.at(grid, (corner[:, 1] + step_v, corner[:, 0] + step_u), share_u * share_v)
    return grid / max(len(points), 1)


def similarity(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """What two fingerprints have in common: 1 for one layout, 0 for points in different cells only."""
    return float(np.minimum(one, other).sum())


@cache
def known_fingerprints() -> dict[Layout, NDArray[np.float64]]:
    """SMPL's and SMPL-X's layouts as measured, and the mannequin's from its own file, which may be baked anew."""
    stored = json.loads(FINGERPRINTS.read_text(encoding="utf-8"))
    known = {Layout[name]: np.array(rows) / _SCALE for name, rows in stored.items()}
    # A damaged file is the trouble of whoever adds a mannequin.
    with suppress(RefusedError, OSError, KeyError):
        known[Layout.MANNEQUIN] = fingerprint(read_arrays(MANNEQUIN, {"uvs"}, _MOST_BYTES)["uvs"].reshape(-1, 2))
    return known


def stored_form(fingerprints: dict[Layout, NDArray[np.float64]]) -> str:
    """The content of the file with the known fingerprints: millionths, one line a row of cells."""
    rows = {layout.name: np.rint(grid * _SCALE).astype(int).tolist() for layout, grid in fingerprints.items()}
    parts = (f'"{name}": [\n' + ",\n".join(map(json.dumps, grid)) + "\n]" for name, grid in rows.items())
    return "{\n" + ",\n".join(parts) + "\n}\n"
