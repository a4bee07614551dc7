"""Textures and photos of which everything is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tiny_identity import scene

from uvmap_id.metrics.face_crop import AtlasFace


def grey(size: int = 128, value: int = 128) -> NDArray[np.uint8]:
    return np.full((size, size, 3), value, np.uint8)


def noise(seed: int, size: int = 128) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3)).astype(np.uint8)


def person_photo(looks: int, path: Path) -> Path:
    """A photo of somebody whom the tiny recognisers know."""
    Image.fromarray(scene((looks, 2, 6, 6))).save(path)
    return path


def face_texture(looks: int, view: AtlasFace, detector: int = 0) -> NDArray[np.uint8]:
    """(1024, 1024, 3) a texture whose face, as `view` shows it, is that of `person_photo`; nobody's for looks < 0.

    `detector` is the side to which the detector brings a picture, 0 where it takes it as it is.
    """
    texture = np.zeros((1024, 1024, 3), np.uint8)
    if looks < 0:
        return texture
    height, width = view.uvs.shape[:2]
    factor = detector / height if detector else 1.0
    picture = scene((looks, 2, 6, 6))[: round(height * factor), : round(width * factor)]
    corners = view.uvs[[0, -1], [0, -1]] * [1, -1] * 1024 + [0, 1024]
    (left, top), (right, bottom) = np.round(corners).astype(int).tolist()
    shown = Image.fromarray(picture).resize((right - left, bottom - top), Image.Resampling.NEAREST)
    texture[top:bottom, left:right] = np.asarray(shown)
    return texture
