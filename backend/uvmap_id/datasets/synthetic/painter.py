"""Paints a synthetic person's textures: skin, hair and face once, and over them what each prompt says."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.layout import Atlas, pad
from uvmap_id.datasets.synthetic.face import paint_face
from uvmap_id.datasets.synthetic.identity import Identity
from uvmap_id.datasets.synthetic.pigment import skin_colour
from uvmap_id.datasets.synthetic.scalp import paint_scalp
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import to_lab
from uvmap_id.engines.projection.skin import paint_skin
from uvmap_id.engines.projection.tailor import dress
from uvmap_id.engines.projection.wardrobe import read_prompt
from uvmap_id.pictures import Floats, resize

FINEST = 1024
"""Texels a side at which people are painted, so that photos of their faces are sharp; larger textures are finer."""


@dataclass(frozen=True, slots=True)
class Bare:
    """A person without clothes.

    Attributes:
        canvas: Skin, hair and face.
        hair: (P, P) 0..1, where hair grows.
    """

    canvas: Canvas
    hair: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Dressed:
    """A texture, and where its clothes lie.

    Attributes:
        texture: (S, S, 3) uint8 sRGB, padded.
        cloth: (S, S) 0..1, 1 where clothes hide the skin.
    """

    texture: NDArray[np.uint8]
    cloth: Floats


class Painter:
    """Holds the atlas, and an empty canvas of each size."""

    def __init__(self) -> None:
        self._atlas = Atlas.load()
        self._empty: dict[int, Canvas] = {}
        self._used: dict[int, NDArray[np.bool_]] = {}

    def bare(self, person: Identity, size: int) -> Bare:
        """Skin, hair and face, fine enough for photos and for textures of a size."""
        canvas = self._blank(max(FINEST, size), person.seed)
        paint_skin(canvas, to_lab(skin_colour(person)[None])[0])
        hair = paint_scalp(canvas, person)
        paint_face(canvas, person)
        return Bare(canvas, hair.astype(np.float32))

    def dressed(self, bare: Bare, prompt: str, size: int, seed: int) -> Dressed:
        """The person in the garments of a prompt, at a size up to that of the canvas."""
        canvas = self._blank(size, seed)
        for mine, painted in (
            (canvas.colour, bare.canvas.colour),
            (canvas.relief, bare.canvas.relief),
            (canvas.roughness, bare.canvas.roughness),
            (canvas.skin, bare.canvas.skin),
        ):
            mine[:] = resize(painted, (size, size))
        before = canvas.skin.copy()
        for garment in read_prompt(prompt).garments:
            dress(canvas, garment)
        cloth = np.clip(1 - canvas.skin / np.maximum(before, 1e-3), 0, 1) * (before > 0.05)
        return Dressed(pad(canvas.base_color(), self._mask(size)), np.asarray(cloth, np.float32))

    def worn(self, bare: Bare, dressed: Dressed) -> NDArray[np.uint8]:
        """(P, P, 3) uint8 sRGB: the clothes of a texture over the finer face, for a photo."""
        skin = bare.canvas.base_color()
        cloth = resize(dressed.cloth, (skin.shape[0], skin.shape[0]))[..., None]
        clothes = resize(dressed.texture, (skin.shape[0], skin.shape[0]))
        return np.round(skin + cloth * (clothes.astype(np.float32) - skin)).astype(np.uint8)

    def _blank(self, size: int, seed: int) -> Canvas:
        """A canvas of its own; only what nobody paints on is shared."""
        if size not in self._empty:
            self._empty[size] = Canvas.blank(self._atlas, size, 0)
        empty = self._empty[size]
        return dataclasses.replace(
            empty,
            colour=empty.colour.copy(),
            relief=empty.relief.copy(),
            roughness=empty.roughness.copy(),
            skin=empty.skin.copy(),
            random=np.random.default_rng(seed),
        )

    def _mask(self, size: int) -> NDArray[np.bool_]:
        if size not in self._used:
            self._used[size] = self._atlas.mask(size)
        return self._used[size]
