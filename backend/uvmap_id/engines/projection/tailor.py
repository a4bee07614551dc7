"""Puts garments on the body. All shapes are measured in the body's own space, so hems run on across seams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.cloth import Cloth
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.engines.projection.cut import depth_of
from uvmap_id.engines.projection.details import Detail, detail
from uvmap_id.engines.projection.eyewear import Eyewear
from uvmap_id.engines.projection.fields import GUIDE_SIZE, noise_at
from uvmap_id.engines.projection.figure import Tile, each_tile
from uvmap_id.engines.projection.folds import fold_relief
from uvmap_id.engines.projection.garments import Garment
from uvmap_id.engines.projection.patterns import PatternFields, pattern_colour
from uvmap_id.pictures import Floats, blur

_WEAVE = 0.0006  # Metres from thread to thread.
_THICKNESS = 0.8  # Relief of cloth over skin, millimetres.
_SHADE_REACH = 0.006  # How far a hem darkens what is under it, metres.
_BEYOND = 0.02  # Fields are drawn a little beyond the garment's edge.
_OWN_SHAPE = frozenset(("neck", "eyes"))  # These garments are no more than what is sewn on.


@dataclass(frozen=True, slots=True)
class _Stock:
    """What a garment needs before it is cut: noise from the request's own chance, in a fixed order."""

    garment: Garment
    weave: Floats
    folds: Floats
    fade: Floats
    patterns: PatternFields
    details: tuple[Detail, ...]


def dress(canvas: Canvas, garment: Garment) -> None:
    """Paint one garment over what is worn already."""
    stock = _prepared(canvas, garment)

    def sew(tile: Tile) -> None:
        depth = depth_of(tile.x, tile.y, tile.z, garment)
        worn = depth > -_SHADE_REACH
        if not worn.any():
            return
        rows, columns = _around(np.any(worn, axis=1)), _around(np.any(worn, axis=0))
        _lay(_sewn(tile.part(rows, columns), depth[rows, columns], stock))

    each_tile(canvas, sew)


def _around(chosen: NDArray[np.bool_]) -> slice:
    """From the first to the last that is true."""
    places = np.flatnonzero(chosen)
    return slice(int(places[0]), int(places[-1]) + 1)


def _prepared(canvas: Canvas, garment: Garment) -> _Stock:
    x, y, z = np.moveaxis(canvas.guide.position, -1, 0)
    worn = depth_of(x, y, z, garment) > -_BEYOND
    weave = canvas.grain_tile(*garment.fabric.grain)
    folds = fold_relief(canvas, garment, worn)
    fade = _small_noise(canvas, worn, 0.05)
    patches: tuple[Floats, ...] = ()
    if garment.pattern == "camouflage":
        patches = tuple(_small_noise(canvas, worn, wavelength) for wavelength in (0.11, 0.085, 0.07))
    if garment.slot == "eyes":
        details: tuple[Detail, ...] = (Eyewear.measured(canvas.atlas, canvas.guide.position, garment).draw,)
    else:
        details = tuple(detail(name) for name in garment.details)
    return _Stock(garment, weave, folds, fade, PatternFields(patches), details)


def _small_noise(canvas: Canvas, worn: NDArray[np.bool_], wavelength: float) -> Floats:
    """(G, G) smooth noise of about unit variance where a garment is worn, 0 elsewhere."""
    chosen = np.flatnonzero(worn & canvas.guide.near)
    noise = np.zeros(GUIDE_SIZE**2, np.float32)
    scale = np.array([1.0, 1.0, 1.35], np.float32) * np.float32(2.4 / wavelength)
    places = canvas.guide.position.reshape(-1, 3)[chosen] * scale
    noise[chosen] = noise_at(places, canvas.random) + 0.45 * noise_at(places * np.float32(2.7), canvas.random)
    return blur(noise.reshape(GUIDE_SIZE, GUIDE_SIZE), 0.7)


def _sewn(tile: Tile, depth: Floats, stock: _Stock) -> Cloth:
    garment, fabric = stock.garment, stock.garment.fabric
    weave = tile.repeated(stock.weave)
    # A weave of half a millimetre is averaged away where a texel is larger.
    fineness = min(1.0, max(0.2, _WEAVE / tile.texel))
    folds = tile.enlarged(stock.folds, cubic=True)
    fade = tile.enlarged(stock.fade)
    colour = np.broadcast_to(pattern_colour(tile, garment, stock.patterns), (*tile.x.shape, 3))
    # What lies in a fold gets less light from everywhere, and dust: valleys a little darker, crests a little paler.
    tint = np.exp(fabric.mottle * (0.6 * weave + 0.7 * fade) + 0.030 * np.clip(folds, -2.5, 2.0))
    own_shape = garment.slot in _OWN_SHAPE
    cover = np.zeros_like(depth) if own_shape else tile.step(depth)
    cloth = Cloth(
        tile=tile,
        garment=garment,
        depth=depth,
        cover=cover,
        colour=(colour * tint[..., None]).astype(np.float32),
        relief=folds + fabric.weave * fineness * weave,
        roughness=np.full(depth.shape, fabric.roughness, np.float32) + np.float32(0.02) * fade,
        grain=weave,
    )
    for draw in stock.details:
        draw(cloth)
    return cloth


def _lay(cloth: Cloth) -> None:
    """Put the sewn cloth on the canvas, over what it casts its shade on."""
    canvas, place = cloth.tile.canvas, (cloth.tile.rows, cloth.tile.columns)
    cover = cloth.cover
    if cloth.garment.slot not in _OWN_SHAPE:
        under = smoothstep(-_SHADE_REACH, 0.0, cloth.depth) * (1 - cover)
        canvas.colour[place] *= (1 - 0.22 * under)[..., None]
    if not cover.any():
        return
    canvas.colour[place] += cover[..., None] * (cloth.colour - canvas.colour[place])
    canvas.roughness[place] += cover * (cloth.roughness - canvas.roughness[place])
    canvas.skin[place] *= 1 - cover
    # The body under cloth keeps a little of what it wears below.
    beneath = canvas.relief[place]
    canvas.relief[place] += cover * (_THICKNESS + cloth.relief - 0.9 * beneath)
