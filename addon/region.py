"""What of the texture that a body wears is to be made anew: parts of the body, and a mask that the user paints."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportIndexIssue=false, reportGeneralTypeIssues=false, reportOptionalMemberAccess=false
# The stubs don't know that Blender takes numpy's arrays, nor what an image's size is made of.

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from . import material, results
from .link.errors import ErrorCode, UVMapError
from .link.photo import with_region
from .link.region import REGION_PARTS
from .link.request import EXTRA_MAPS, SIZES, TextureRequest
from .link.texture_set import map_file, read_manifest
from .properties import CharacterSettings
from .texture_files import write_picture

MASK_SIDE = 1024
# A PNG's signature and the beginning of its first chunk, up to the width.
_PNG_WIDTH = slice(16, 20)


def new_mask() -> bpy.types.Image:
    """A mask in the atlas, `MASK_SIDE` wide and all black."""
    image = bpy.data.images.new("UVMap-ID Region", MASK_SIDE, MASK_SIDE, alpha=False, float_buffer=False)
    # First: another colour space makes Blender forget the pixels.
    image.colorspace_settings.name = "Non-Color"
    clear(image)
    return image


def clear(image: bpy.types.Image) -> None:
    """Make a mask black."""
    black = np.zeros((image.size[0] * image.size[1], image.channels), np.float32)
    black[:, 3:] = 1
    image.pixels.foreach_set(black.ravel())
    image.update()
    keep(image)


def keep(image: bpy.types.Image) -> None:
    """Have the .blend hold what was painted: no other file does. A mask of the user's own is left alone."""
    if image.source == "GENERATED" or image.packed_file is not None:
        image.pack()


def painted(image: bpy.types.Image | None) -> bool:
    """True where a mask is anything but black."""
    return image is not None and bool(_pixels(image).any())


def part_names(settings: CharacterSettings) -> tuple[str, ...]:
    """The chosen parts, in the order of `REGION_PARTS`."""
    return tuple(name for name in REGION_PARTS if name in settings.region_parts)


def worn_folder(body: bpy.types.Object) -> Path:
    """Where the texture set lies that a body wears, also after the .blend and its textures were moved together.

    Raises:
        UVMapError: `body_without_textures`: it wears none, or that one's folder is gone.
    """
    folder = material.folder_of(body)
    if folder is None:
        raise UVMapError(
            ErrorCode.BODY_WITHOUT_TEXTURES, f'The body "{body.name}" wears no texture set.', "Generate one first."
        )
    moved = results.home() / folder.name
    if not folder.is_dir() and moved.is_dir():
        return moved
    if not folder.is_dir():
        raise UVMapError(
            ErrorCode.BODY_WITHOUT_TEXTURES,
            f'The texture set that the body "{body.name}" wears is gone: there is no folder {folder}.',
            "Apply another one from the history, or generate one first.",
        )
    return folder


def of_worn(
    request: TextureRequest, body: bpy.types.Object, settings: CharacterSettings
) -> tuple[TextureRequest, tuple[bytes, ...]]:
    """A request for a region of what a body wears; see `of_set`, which says what is raised beside `worn_folder`."""
    folder = worn_folder(body)
    with _mask_file(settings.region_mask) as mask:
        return of_set(request, folder, part_names(settings), mask)


def of_set(
    request: TextureRequest, folder: Path, parts: tuple[str, ...], mask: Path | None
) -> tuple[TextureRequest, tuple[bytes, ...]]:
    """The request, for a region of a texture set, with that set's size and at least its maps.

    Args:
        request: What to make.
        folder: The texture set.
        parts: Out of `REGION_PARTS`.
        mask: A picture in the atlas that is black where nothing changes.

    Returns:
        The request, and the files that travel for it after the photos.

    Raises:
        UVMapError: `region_incomplete` without parts and mask; `settings_unreadable`, `image_unreadable` or
            `size_not_offered` for the set; `image_unreadable` for the mask.
    """
    if not parts and mask is None:
        raise UVMapError(
            ErrorCode.REGION_INCOMPLETE,
            "Nothing says what is to change: no part of the body is chosen, and the mask is empty.",
            "Choose parts of the body, or paint a mask.",
        )
    request, files = with_region(request, folder, parts, mask)
    maps = read_manifest(folder)["maps"]
    extra = tuple(name for name in EXTRA_MAPS if name in request.extra_maps or name in maps)
    return dataclasses.replace(request, size=_size_of(files[0], folder), extra_maps=extra), files


def _size_of(base_color: bytes, folder: Path) -> int:
    """Another size would change every pixel, and not the region's alone."""
    size = int.from_bytes(base_color[_PNG_WIDTH], "big")
    if size not in SIZES:
        raise UVMapError(
            ErrorCode.SIZE_NOT_OFFERED,
            f"{folder / map_file('base_color')} has a width of {size} px, which is not offered.",
            f"Choose a texture set with a size of {', '.join(map(str, SIZES))}.",
        )
    return size


@contextmanager
def _mask_file(image: bpy.types.Image | None) -> Iterator[Path | None]:
    """The mask as a PNG in a folder that only its owner can enter and that goes at once; None where it is black."""
    if image is None or not painted(image):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="uvmap-id-") as folder:
        path = Path(folder, "mask.png")
        try:
            write_picture(path, _pixels(image))
        except OSError as error:
            raise UVMapError(
                ErrorCode.OUTPUT_NOT_WRITABLE,
                f"The mask can't be saved in {folder}: {error}.",
                "Free some space, then try again.",
            ) from error
        yield path


def _pixels(image: bpy.types.Image) -> NDArray[np.float32]:
    """(H, W, 3) as they stand in the image, lowest row first; (0, 0, 3) where it can't be read."""
    width, height = image.size
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    if not values.size:
        return np.zeros((0, 0, 3), np.float32)
    pixels = values.reshape(height, width, -1)
    return pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
