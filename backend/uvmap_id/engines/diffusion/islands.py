"""Repairs what a generated picture does at the borders of the atlas's islands.

A diffusion model knows nothing of islands: the empty space bleeds into their edges, and what two islands show of the
same place of the body differs in colour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.layout import Atlas, spread
from uvmap_id.atlas.seams import Seams
from uvmap_id.pictures import Floats, blur, distance_inside, sample

# In texels of an atlas of 512 x 512, which is what most models paint.
_TEXELS = 512
_BLED = 1.5
_INSET = 1.0
# Seams are levelled from slow changes of colour to quick ones: how far each reaches along and away from the seam.
_SCALES = (24.0, 8.0, 3.0, 1.2)
_FADE = 2.5  # in scales
_LEAST_WEIGHT = 1e-6
# A step this large is an edge of something, such as a collar on a neck: only what is as quick as this is shared out.
_EDGE, _EDGE_SCALE = 0.25, 2.0


def cleaned(image: Floats, atlas: Atlas) -> Floats:
    """(S, S, C) with the rims of the islands, and all beyond them, taken from the nearest texel well inside.

    A part too thin to have an inside keeps its own colours.
    """
    used, bled = atlas.mask(image.shape[0]), _BLED * image.shape[0] / _TEXELS
    inside = distance_inside(used.astype(np.uint8)) > bled
    rims = spread(image, inside, reach=2 * bled)
    return spread(np.where(used[..., None], rims, image), used)


def levelled(image: Floats, atlas: Atlas) -> Floats:
    """(S, S, C) with the step of colour over each seam shared out between both sides, smoothly into the islands.

    What is farther from the seams than a ninth of the atlas stays as it is, and so does all detail that is finer
    than its distance from the seam: only a slow change of colour is added.
    """
    used = atlas.mask(image.shape[0])
    level = image.astype(np.float32)
    for scale in _SCALES:
        level = spread(level + _correction(level, atlas.seams, used, scale), used)
    return level


def _correction(image: Floats, seams: Seams, used: NDArray[np.bool_], scale: float) -> Floats:
    """(S, S, C) half of the seams' steps, averaged over `scale` / 512 of the atlas, fading off the seam."""
    size = image.shape[0]
    reach = scale * size / _TEXELS
    places = seams.pairs(0.5 / size, _INSET / size) * np.array([1, -1], np.float32) * size
    places += np.array([0, size], np.float32)
    whole = sample(used.astype(np.float32), places).min(axis=1) > 0.5
    places = places[whole]
    colours = sample(image, places)
    half = (colours[:, ::-1] - colours) / 2
    if scale > _EDGE_SCALE:
        half *= np.exp(-((2 * half / _EDGE) ** 2).sum(axis=-1, keepdims=True))
    columns, rows = np.clip(np.floor(places), 0, size - 1).astype(int).reshape(-1, 2).T
    total = np.zeros((size, size, image.shape[2] + 1), np.float32)
    np.add.at(total, (rows, columns), np.concatenate([half.reshape(-1, image.shape[2]), np.ones((len(rows), 1))], 1))
    away = distance_inside((total[..., -1] == 0).astype(np.uint8))
    soft = blur(total, reach)
    fade = np.clip(1 - away / np.float32(_FADE * reach), 0, 1)
    fade = fade * fade * (3 - 2 * fade)
    return soft[..., :-1] / np.maximum(soft[..., -1:], _LEAST_WEIGHT) * fade[..., None]
