"""The shape of hair in a portrait: the scalp grows by the hair's thickness, and long hair hangs as a curtain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.datasets.synthetic.identity import Identity
from uvmap_id.datasets.synthetic.mannequin import Mannequin
from uvmap_id.pictures import sample

Floats = NDArray[np.float64]

# Metres that hair stands off the head by style, and how far the curtain reaches below the chin.
_THICKNESS = {
    "bald": 0.0,
    "buzzed": 0.0025,
    "short": 0.009,
    "cropped": 0.016,
    "full": 0.024,
    "bob": 0.024,
    "long": 0.022,
}
_BELOW_CHIN = {"bob": -0.015, "long": -0.17}
_OPEN = 46.0  # Degrees to either side of the nose that the curtain leaves free.
_ACROSS, _DOWN = 56, 26


def grown(
    mannequin: Mannequin, vertices: Floats, normals: Floats, cover: NDArray[np.float32], person: Identity
) -> Floats:
    """(V, 3) vertices with hair on the head; `cover` (S, S) says where in the atlas hair is."""
    uvs = np.nan_to_num(mannequin.vertex_uvs)
    hair = sample(cover, (uvs * [1, -1] + [0, 1])[None] * cover.shape[0])[0].astype(np.float64)
    hair[np.isnan(mannequin.vertex_uvs[:, 0])] = 0
    thickness = _THICKNESS[person.style]
    if person.group == "african" and person.style in ("full", "cropped"):
        thickness *= 1.0 + 0.7 * person["curl"]
    upper = 0.55 + 0.45 * np.clip(normals[:, 2] + 0.3, 0, 1)
    grown_by = mannequin.smooth(hair * upper, 3) * hair**0.5 * thickness
    return vertices + normals * mannequin.smooth(grown_by, 2)[:, None]


def curtain(
    mannequin: Mannequin, vertices: Floats, person: Identity
) -> tuple[Floats, NDArray[np.int64], Floats] | None:
    """Hair that hangs from the head: vertices (N, 3), triangles (M, 3) and corners' places in it, (M, 3, 2) of 0..1.

    None for styles that don't hang.
    """
    if person.style not in _BELOW_CHIN:
        return None
    marks = mannequin.landmarks
    crown, chin, ear, other = (vertices[marks[name]] for name in ("crown", "chin", "left_ear", "right_ear"))
    top = ear[2] + 0.55 * (crown[2] - ear[2])
    bottom = chin[2] + _BELOW_CHIN[person.style] * (0.8 + 0.4 * person["curl"])
    head = vertices[(vertices[:, 2] > ear[2]) & (vertices[:, 2] < crown[2])]
    half = np.abs(head[:, 0] - (ear[0] + other[0]) / 2).max() + 0.006
    back = head[:, 1].max() + 0.010
    middle = np.array([(ear[0] + other[0]) / 2, ear[1] + 0.005])
    turn = np.radians(np.linspace(_OPEN, 360 - _OPEN, _ACROSS))
    down = np.linspace(0, 1, _DOWN)[:, None]
    height = top + (bottom - top) * down
    # It follows the skull down to the ears, then hangs, a little wider, and waves as much as it curls.
    round_head = np.sqrt(np.clip(1 - 0.30 * np.clip(1 - down / 0.3, 0, 1) ** 2, 0, 1))
    wave = 0.004 * person["curl"] * np.sin(9 * down + 3 * np.sin(3 * turn) + 6 * person["parting"]) * down
    reach = round_head + 0.10 * down * (1 - 0.7 * (person.style == "bob"))
    x = middle[0] + (half * reach + wave) * np.sin(turn)
    depth = np.where(np.cos(turn) < 0, back - middle[1], 0.072)
    y = middle[1] - (depth * reach + wave) * np.cos(turn)
    points = np.stack(np.broadcast_arrays(x, y, height + 0 * turn), axis=-1).reshape(-1, 3)
    grid = np.stack(np.broadcast_arrays(np.linspace(0, 1, _ACROSS)[None], down), axis=-1).reshape(-1, 2)
    cell = (np.arange(_DOWN - 1)[:, None] * _ACROSS + np.arange(_ACROSS - 1)).ravel()
    a, b, c, d = cell, cell + 1, cell + _ACROSS, cell + _ACROSS + 1
    # Seen from outside the corners run counter-clockwise.
    triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    return points, triangles, grid[triangles]
