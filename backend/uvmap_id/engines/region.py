"""Makes a part of a texture set anew: reads the set that is there, and lays what an engine painted into its region."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from uvmap_id.atlas.layout import Atlas, pad
from uvmap_id.atlas.parts import REGIONS
from uvmap_id.engines.base import Engine, Report, TextureSet
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.region import REGION_MAPS
from uvmap_id.link.request import SIZES, TextureRequest
from uvmap_id.pictures import Floats, resize

# Metres on the body over which the new goes over into the old, inside the region: nothing outside changes.
_FEATHER_M = 0.015
_DISTANCE_SIDE = 512
_LEAST_SHARE = 0.05
_MASK_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
_SMALLEST_SIDE, _LARGEST_SIDE = 64, 8192


@dataclass(frozen=True, slots=True)
class OldTexture:
    """The texture set that a region is made anew in, at the size that is asked for.

    Attributes:
        base_color: (S, S, 3) uint8 sRGB.
        normal: (S, S, 3) uint8, OpenGL convention.
        roughness: (S, S) uint8, linear.
        subsurface: (S, S) uint8, linear; None where the set has no such map.
        share: (S, S) float32 0..1, how much of the new picture a texel gets; 0 outside of the region.
    """

    base_color: NDArray[np.uint8]
    normal: NDArray[np.uint8]
    roughness: NDArray[np.uint8]
    subsurface: NDArray[np.uint8] | None
    share: Floats


def generate_in_region(engine: Engine, request: TextureRequest, files: tuple[bytes, ...], report: Report) -> TextureSet:
    """What `Engine.generate` makes, kept to the request's region. Raises what that and `read_old` raise."""
    # First, so that nobody waits for a picture that has no place.
    old = read_old(request, files, Atlas.load())
    new = engine.generate(request, files, report)
    return new if old is None else regenerated(old, new)


def read_old(request: TextureRequest, files: tuple[bytes, ...], atlas: Atlas) -> OldTexture | None:
    """The existing set and the region in it, out of the files behind `request.files`; None for a whole new texture.

    Raises:
        UVMapError: `image_unreadable` or `image_too_large` for a map or the mask; `region_empty` where nothing would
            change.
    """
    region = request.region
    if not region.maps:
        return None
    first = len(request.faces)
    maps = dict(zip(REGION_MAPS, files[first : first + len(region.maps)], strict=False))
    share = region_share(request, files[first + len(region.maps)] if region.mask else None, atlas)
    normal = _read_map(maps["normal"], "RGB", request.size)
    if request.normal_convention == "directx":
        normal = np.dstack([normal[..., 0], 255 - normal[..., 1], normal[..., 2]])
    return OldTexture(
        base_color=_read_map(maps["base_color"], "RGB", request.size),
        normal=normal,
        roughness=_read_map(maps["roughness"], "L", request.size),
        subsurface=_read_map(maps["subsurface"], "L", request.size) if "subsurface" in maps else None,
        share=share,
    )


def region_share(request: TextureRequest, mask: bytes | None, atlas: Atlas) -> Floats:
    """(S, S) float32 0..1: how much of the new picture each texel gets.

    It falls to 0 towards the region's outline, over `_FEATHER_M` along the body, also where the region ends at a seam.

    Raises:
        UVMapError: As `read_old` does.
    """
    size = request.size
    wanted = np.zeros((size, size), np.float32)
    if request.region.parts:
        wanted[atlas.shows(frozenset().union(*(REGIONS[name] for name in request.region.parts)), size)] = 1
    if mask is not None:
        wanted = np.maximum(wanted, _read_map(mask, "L", size).astype(np.float32) / 255)
    used = atlas.mask(size)
    wanted[~used] = 0
    share = wanted * smoothstep(0, _FEATHER_M, resize(_distance_to_the_rest(wanted, atlas), (size, size)))
    if float(share.max(initial=0)) < _LEAST_SHARE:
        raise UVMapError(
            ErrorCode.REGION_EMPTY,
            "The region is so small that nothing would change.",
            "Paint the mask brighter and larger, or choose a larger part of the body.",
        )
    return _filled_to_the_edges(share, used)


def _distance_to_the_rest(wanted: Floats, atlas: Atlas) -> Floats:
    """(D, D) float32 metres from each texel of the region to the nearest one outside, through space; 0 outside."""
    side = min(_DISTANCE_SIDE, wanted.shape[0])
    position, used = atlas.position(side), atlas.mask(side)
    inside = (resize(wanted, (side, side)) > 0) & used
    outside = used & ~inside
    distance = np.zeros((side, side), np.float32)
    if outside.any() and inside.any():
        distance[inside] = cKDTree(position[outside]).query(position[inside])[0]
    elif inside.any():
        distance[inside] = np.inf
    # Beyond the islands' edges the body goes on: resizing must not pull the edge towards the empty space's zeros.
    return _filled_to_the_edges(np.minimum(distance, 10 * _FEATHER_M).astype(np.float32), used)


def _filled_to_the_edges(values: Floats, used: NDArray[np.bool_]) -> Floats:
    """Values of the islands, bled a little outwards, so that their padding follows them."""
    scaled = np.round(np.clip(values / max(float(values.max(initial=0)), 1e-9), 0, 1) * 255).astype(np.uint8)
    bled = pad(scaled, used).astype(np.float32) / 255 * float(values.max(initial=0))
    return np.where(used, values, bled).astype(np.float32)


def regenerated(old: OldTexture, new: TextureSet) -> TextureSet:
    """The old set with the new one in its region. Outside of it every texel is exactly as it was."""
    details = {**new.details, "region_share": round(float((old.share > 0).mean()), 4)}
    subsurface = new.subsurface if old.subsurface is None else _mixed(old.subsurface, new.subsurface, old.share)
    return dataclasses.replace(
        new,
        base_color=_mixed(old.base_color, new.base_color, old.share),
        normal=_mixed_normals(old.normal, new.normal, old.share),
        roughness=_mixed(old.roughness, new.roughness, old.share),
        subsurface=subsurface,
        details=details,
    )


def _mixed(old: NDArray[np.uint8], new: NDArray[np.uint8], share: Floats) -> NDArray[np.uint8]:
    mixed = old.copy()
    rows, columns = np.nonzero(share > 0)
    weight = share[rows, columns]
    if old.ndim == 3:
        weight = weight[:, None]
    before, after = old[rows, columns].astype(np.float32), new[rows, columns].astype(np.float32)
    mixed[rows, columns] = np.round(before + weight * (after - before)).astype(np.uint8)
    return mixed


def _mixed_normals(old: NDArray[np.uint8], new: NDArray[np.uint8], share: Floats) -> NDArray[np.uint8]:
    """Mixed as vectors and brought back to unit length."""
    mixed = old.copy()
    rows, columns = np.nonzero(share > 0)
    before, after = (each[rows, columns].astype(np.float32) / 127.5 - 1 for each in (old, new))
    vector = before + share[rows, columns][:, None] * (after - before)
    vector /= np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), 1e-6)
    mixed[rows, columns] = np.round((vector + 1) * 127.5).astype(np.uint8)
    return mixed


def _read_map(content: bytes, mode: str, size: int) -> NDArray[np.uint8]:
    """A picture in the atlas, (size, size) or (size, size, 3) uint8."""
    try:
        image = Image.open(io.BytesIO(content), formats=_MASK_FORMATS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable() from error
    # Checked before a pixel is decoded: a small file can unpack to gigabytes.
    if image.width != image.height or not _SMALLEST_SIDE <= image.width <= _LARGEST_SIDE:
        raise UVMapError(
            ErrorCode.IMAGE_TOO_LARGE if image.width > _LARGEST_SIDE else ErrorCode.IMAGE_UNREADABLE,
            f"A map of {image.width} x {image.height} pixels does not fit the atlas.",
            f"Choose square pictures, best with a side of {', '.join(map(str, SIZES))}.",
        )
    try:
        pixels = np.asarray(image.convert(mode))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise _unreadable() from error
    return pixels if pixels.shape[0] == size else resize(pixels, (size, size))


def _unreadable() -> UVMapError:
    return UVMapError(
        ErrorCode.IMAGE_UNREADABLE,
        "A map of the texture set, or the mask, can't be read.",
        "Choose a complete texture set, and a mask that is a PNG.",
    )
