"""Completes a face: what the photo doesn't show comes from the other side, and what neither side shows is made up."""

from __future__ import annotations

import dataclasses

import numpy as np

from uvmap_id.atlas.face import mirrored
from uvmap_id.engines.projection.colour import from_lab, smoothstep, to_lab
from uvmap_id.engines.projection.membrane import membrane
from uvmap_id.engines.projection.palette import Palette
from uvmap_id.engines.projection.warp import GRAZED, WarpedFace
from uvmap_id.pictures import Floats, blur, resize

WORKING_SIDE = 192
_SHOWN = (0.2, 0.55)  # `seen` from which on a texel is taken from the photo, partly and fully.
_SURE = 0.8  # `seen` of both sides where they can be compared.
_SLOW = 12.0  # Standard deviation, in pixels of the working size, of the blur that leaves light and takes features.
_FINE = 0.004  # Standard deviation of the blur that tells grain from shape, as a share of the region's width.
_FOLD = 0.02  # Standard deviation of the blur that leaves out folds, as a share of the region's width.
_GRAIN_SEED = 11


def completed(face: WarpedFace, palette: Palette) -> WarpedFace:
    """The face with its hidden side taken from the other one, and made up where neither is seen.

    The two sides of a face are seldom in the same light: the other side is brought to the tone of this one where
    both are seen, and that correction goes on smoothly where only one is. Afterwards `seen` says what either shows.
    """
    # A nostril or a fold that is turned away is no hidden side: the photo is better there.
    around = blur(face.seen, _FOLD * face.seen.shape[1])
    own = smoothstep(*_SHOWN, np.where(face.seen > GRAZED / 2, np.maximum(face.seen, around), face.seen))
    other = mirrored(np.dstack([face.colour, face.seen]), face.axis)
    share = smoothstep(*_SHOWN, other[..., 3]) * (1 - own)
    colour = face.colour
    if share.max() > 0:
        borrowed = from_lab(to_lab(other[..., :3]) + _difference(face, other))
        # What is turned away from the camera and not shown by the other side either is still better than nothing.
        total = np.maximum(own + share, np.minimum(face.seen, GRAZED))
        weight = share / np.maximum(total, 1e-4)
        colour = colour + weight[..., None] * (borrowed - colour)
    whole = dataclasses.replace(face, colour=colour.astype(np.float32), seen=own + share)
    unknown = smoothstep(GRAZED, 0.0, np.maximum(face.seen, other[..., 3])) * face.inside
    return filled(whole, unknown.astype(np.float32), palette)


def _difference(face: WarpedFace, other: Floats) -> Floats:
    """(h, w, 3) Lab by which this side differs from the other one: only what is slow, for that is light."""
    square = (WORKING_SIDE, WORKING_SIDE)
    one, two, seen = resize(face.colour, square), resize(other, square), resize(face.seen, square)
    both = (np.minimum(seen, two[..., 3]) > _SURE) * (1 - resize(face.features, square)) * resize(face.inside, square)
    weight = blur(both, _SLOW)
    difference = blur((to_lab(one) - to_lab(two[..., :3])) * both[..., None], _SLOW)
    slow = difference / np.maximum(weight, 1e-3)[..., None]
    return resize(membrane(slow, np.clip(weight, 0, 1)), (face.seen.shape[0], face.seen.shape[1]))


def filled(face: WarpedFace, hole: Floats, palette: Palette) -> WarpedFace:
    """The face with what is under a mask, (h, w) 0..1, replaced by skin like that around it, grain included."""
    if hole.max() < 0.05:
        return face
    square = (WORKING_SIDE, WORKING_SIDE)
    small = to_lab(resize(face.colour, square))
    # A hole's rim is part hole: what is known begins a pixel beyond it.
    known = (blur(resize(hole, square), 1.0) < 0.03) & (resize(face.seen, square) > 0.5)
    skin = known * palette.skin_share(small) * (1 - resize(face.features, square))
    smooth = resize(membrane(small, blur(skin, 1.0) * known), (hole.shape[0], hole.shape[1]))
    smooth[..., 0] += _grain(face, hole)
    colour = face.colour + hole[..., None] * (from_lab(smooth) - face.colour)
    return dataclasses.replace(face, colour=colour.astype(np.float32))


def _grain(face: WarpedFace, hole: Floats) -> Floats:
    """(h, w) lightness of Lab: noise as strong and as fine as the skin's own."""
    height, width = hole.shape
    sigma = max(0.6, _FINE * width)
    lightness = to_lab(face.colour)[..., 0]
    fine = (lightness - blur(lightness, sigma))[(face.inside > 0.9) & (face.features < 0.1) & (hole < 0.1)]
    strength = 1.48 * float(np.median(np.abs(fine))) if fine.size else 0.0
    noise = np.random.default_rng(_GRAIN_SEED).standard_normal((height, width), np.float32)
    noise = blur(noise, sigma / 2)
    return strength * noise / (float(noise.std()) + 1e-6)
