"""Where texture sets are kept: beside the .blend, or in the extension's own folder while there is none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import bpy

from .link.disk import remove
from .link.errors import ErrorCode, UVMapError
from .link.texture_set import files_of, map_file, read_manifest
from .session import Delivery, Step

_SHORT = 12
_SLICE = 256 * 1024


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


def home() -> Path:
    """The folder in which the open file's texture sets lie, one folder each."""
    if bpy.data.filepath:
        return Path(bpy.data.filepath).parent / "textures" / "uvmap_id"
    return Path(bpy.utils.extension_path_user(__package__ or "", path="results", create=False))


def place_of(job: str, folder: Path | None = None) -> Path:
    """The folder in which a job's texture set is to be kept: in `home`, or in another folder."""
    return (folder or home()) / job[:_SHORT]


def keep(folder: Path, place: Path) -> Path:
    """Bring a texture set to its place, all of it or nothing; see `kept_in_steps`."""
    steps = kept_in_steps(folder, place)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def kept_in_steps(folder: Path, place: Path) -> Delivery:
    """Bring a texture set to its place, all of it or nothing, in steps of about a millisecond.

    Files are linked where both folders lie on one disk, and copied otherwise.

    Args:
        folder: The backend's result folder.
        place: Where the set is to lie; left alone if it exists, since a job's files never change.

    Returns:
        `place`.

    Raises:
        UVMapError: `output_not_writable`, or `settings_unreadable` where `folder` is no texture set.
    """
    if place.is_dir():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield Step.MORE
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=place.parent))
        part.chmod(0o755)
        try:
            for name in files_of(read_manifest(folder)):
                yield from _kept_file(folder / name, part / name)
            part.rename(place)
        except BaseException:
            remove(part)
            raise
    except OSError as error:
        raise UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"The textures can't be saved in {place}: {error.strerror or error}.",
            "Free some space, or save the .blend in a folder that you may write to, then generate again.",
        ) from error
    return place


def _kept_file(source: Path, target: Path) -> Generator[Step, None, None]:
    try:
        os.link(source, target)
    except OSError:
        # Another disk, or one that knows no links.
        with source.open("rb") as reading, target.open("xb") as writing:
            while piece := reading.read(_SLICE):
                writing.write(piece)
                yield Step.MORE
    yield Step.MORE


def maps_in(folder: Path) -> TextureMaps:
    """The maps of the texture set in a folder, as its manifest tells of them.

    Raises:
        UVMapError: `settings_unreadable`: its manifest is none. `result_damaged`: a file is missing.
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
        ErrorCode.RESULT_DAMAGED, f"The file {path} is missing.", "Choose the folder of a complete texture set."
    )
