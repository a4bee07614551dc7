"""Where texture sets are kept: beside the .blend, or in the extension's own folder while there is none."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bpy

from .link.errors import ErrorCode, UVMapError
from .link.request import MAPS

_FILES = (*(f"{name}.png" for name in MAPS), "manifest.json")
_SHORT = 12


@dataclass(frozen=True, slots=True)
class TextureMaps:
    """The files of one texture set."""

    base_color: Path
    normal: Path
    roughness: Path


def place_of(job: str) -> Path:
    """The folder in which a job's texture set is to be kept."""
    if bpy.data.filepath:
        return Path(bpy.data.filepath).parent / "textures" / "uvmap_id" / job[:_SHORT]
    return Path(bpy.utils.extension_path_user(__package__ or "", path="results", create=False)) / job[:_SHORT]


def keep(folder: Path, place: Path) -> Path:
    """Copy a texture set, all of it or nothing.

    Args:
        folder: The backend's result folder.
        place: Where the set is to lie; left alone if it exists, since a job's files never change.

    Returns:
        `place`.

    Raises:
        UVMapError: `output_not_writable`.
    """
    if place.is_dir():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=place.parent) as part:
            copied = Path(part, "set")
            copied.mkdir()
            for name in _FILES:
                shutil.copyfile(folder / name, copied / name)
            copied.rename(place)
    except OSError as error:
        raise UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"The textures can't be saved in {place}: {error.strerror or error}.",
            "Free some space, or save the .blend in a folder that you may write to, then generate again.",
        ) from error
    return place


def maps_in(folder: Path) -> TextureMaps:
    """The maps of the texture set in a folder.

    Raises:
        UVMapError: `image_unreadable`: a map is missing.
    """
    maps = TextureMaps(*(folder / f"{name}.png" for name in MAPS))
    for path in (maps.base_color, maps.normal, maps.roughness):
        if not path.is_file():
            raise UVMapError(
                ErrorCode.IMAGE_UNREADABLE,
                f"The map {path} is missing.",
                "Choose the folder of a complete texture set.",
            )
    return maps
