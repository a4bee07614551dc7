"""Where texture sets are kept: beside the .blend, or in the extension's own folder while there is none."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bpy

from .link.errors import ErrorCode, UVMapError
from .link.texture_set import files_of, map_file, read_manifest

_SHORT = 12


@dataclass(frozen=True, slots=True)
class TextureMaps:
    """The files of one texture set.

    Attributes:
        base_color: sRGB.
        normal: Tangent space.
        roughness: Linear.
        subsurface: Linear, where there is such a map.
        green_is_down: The normal map follows DirectX's convention instead of OpenGL's, which is Blender's.
    """

    base_color: Path
    normal: Path
    roughness: Path
    subsurface: Path | None = None
    green_is_down: bool = False


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
            for name in files_of(read_manifest(folder)):
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
    """The maps of the texture set in a folder, as its manifest tells of them.

    Raises:
        UVMapError: `settings_unreadable`: its manifest is none. `image_unreadable`: a file is missing.
    """
    try:
        maps = read_manifest(folder)["maps"]
    except OSError as error:
        raise _missing(folder / "manifest.json") from error
    files = {
        name: folder / map_file(name) for name in ("base_color", "normal", "roughness", "subsurface") if name in maps
    }
    for path in files.values():
        if not path.is_file():
            raise _missing(path)
    normal = maps["normal"]
    return TextureMaps(**files, green_is_down=isinstance(normal, dict) and normal.get("convention") == "directx")


def _missing(path: Path) -> UVMapError:
    return UVMapError(
        ErrorCode.IMAGE_UNREADABLE, f"The file {path} is missing.", "Choose the folder of a complete texture set."
    )
