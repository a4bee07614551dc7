"""From the picture that the model decoded to the maps of a texture set.

Colours are float32 sRGB 0..1 throughout, as the model gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.layout import Atlas, pad
from uvmap_id.atlas.seams import seam_step
from uvmap_id.engines.diffusion.anchor import ProjectedFace
from uvmap_id.engines.diffusion.islands import cleaned, levelled
from uvmap_id.engines.diffusion.surface import surface_of
from uvmap_id.engines.diffusion.upscale import Enlarge, enlarge_smoothly
from uvmap_id.engines.projection.colour import smoothstep
from uvmap_id.pictures import Floats, resize

# From the first on the anchor holds the face so firmly that also what the VAE lost of it is put back.
_RESTORED = (0.75, 1.0)


@dataclass(frozen=True, slots=True)
class FinishedTexture:
    """The maps, as in `TextureSet`, and how large the mean step of colour over the seams was and is, as CIE76."""

    base_color: NDArray[np.uint8]
    normal: NDArray[np.uint8]
    roughness: NDArray[np.uint8]
    subsurface: NDArray[np.uint8]
    seam_before: float
    seam_after: float


def finish(
    decoded: Floats,
    atlas: Atlas,
    size: int,
    seed: int,
    enlarge: Enlarge = enlarge_smoothly,
    face: ProjectedFace | None = None,
) -> FinishedTexture:
    """Make the maps.

    Args:
        decoded: (P, P, 3) float32 sRGB 0..1, the model's picture.
        atlas: The layout.
        size: Side of the maps.
        seed: Of the pores in the normal map.
        enlarge: Brings the picture to the maps' size.
        face: The photo's face that the picture was anchored to, if it was.
    """
    if decoded.shape[0] > size:
        decoded = resize(decoded, (size, size))
    clean = cleaned(decoded, atlas)
    level = levelled(clean, atlas)
    large = enlarge(np.clip(level, 0, 1), size)
    if face is not None:
        large = with_face(large, face, decoded.shape[0])
    used = atlas.mask(size)
    base_color = _padded(_as_bytes(large), used)
    surface = surface_of(base_color, atlas, seed)
    return FinishedTexture(
        base_color=base_color,
        normal=pad(surface.normal, used),
        roughness=pad(surface.roughness, used),
        subsurface=pad(surface.subsurface, used),
        seam_before=_seam_step(clean, atlas),
        seam_after=_seam_step(level, atlas),
    )


def with_face(image: Floats, face: ProjectedFace, painted: int) -> Floats:
    """(S, S, 3) with what the model could not hold of the projected face put back inside its mask.

    Its fine detail, which the model's `painted` x `painted` pixels can't show, comes back in proportion to the anchor.
    What the model's autoencoder lost of it comes back where the anchor is firm, at 1 in full: then the face is the
    projected one.
    """
    size = image.shape[0]
    shown = enlarge_smoothly(resize(face.texture, (painted, painted)), size)
    detail, lost = face.texture - shown, shown - image
    restored = float(smoothstep(*_RESTORED, np.array(face.anchor, np.float32)))
    return np.clip(image + face.mask[..., None] * (face.anchor * detail + restored * lost), 0, 1)


def _as_bytes(image: Floats) -> NDArray[np.uint8]:
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _padded(image: NDArray[np.uint8], used: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Islands padded, and one quiet colour wherever the atlas is empty."""
    image = image.copy()
    image[~used] = np.round(image[used].mean(axis=0)).astype(np.uint8)
    return pad(image, used)


def _seam_step(image: Floats, atlas: Atlas) -> float:
    return seam_step(_as_bytes(image), atlas.seams, atlas.mask(image.shape[0])).across
