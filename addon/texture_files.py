"""Writing a texture set that was made in Blender: pictures, manifest, and a folder that appears whole or not at all."""

# pyright: reportArgumentType=false
# The stubs don't know that Blender takes numpy's arrays.

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .link.errors import ErrorCode, UVMapError
from .link.request import EXTRA_MAPS, MAPS
from .link.texture_set import MANIFEST_NAME, map_file

FORMAT = "uvmap_id.transfer/1"


@contextmanager
def folder_for(place: Path) -> Iterator[Path]:
    """An empty folder that becomes `place` at the end, unless something was raised; an older texture set goes then.

    Raises:
        UVMapError: `output_not_writable`, also where something else than a texture set lies there.
    """
    strangers = _strangers(place)
    if strangers:
        raise _not_writable(place, f'there is already "{strangers[0]}"')
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=place.parent) as folder:
            part = Path(folder, "set")
            part.mkdir()
            yield part
            if place.exists():
                place.rename(Path(folder, "old"))
            part.rename(place)
    except OSError as error:
        raise _not_writable(place, error.strerror or str(error)) from error


def write_picture(path: Path, pixels: NDArray[np.float32]) -> None:
    """Write an 8-bit PNG.

    Args:
        path: The file.
        pixels: (H, W, 3) 0 to 1 as they are to stand in the file, lowest row first.

    Raises:
        OSError: It can't be written.
    """
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(path.stem, width, height, alpha=False)
    try:
        whole = np.ones((height, width, 4), dtype=np.float32)
        whole[..., :3] = pixels
        image.pixels.foreach_set(whole.ravel())
        image.file_format = "PNG"
        image.filepath_raw = str(path)
        image.save()
    except RuntimeError as error:
        raise OSError(str(error).strip()) from error
    finally:
        bpy.data.images.remove(image)


def to_srgb(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """Encode linear values, 0 to 1, by IEC 61966-2-1."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def write_manifest(folder: Path, source: dict[str, Any], maps: list[str], size: int, transfer: dict[str, Any]) -> None:
    """Write the manifest of a transferred set.

    Args:
        folder: Where its maps lie.
        source: The manifest of the set that it was made of; it is kept whole.
        maps: Their names.
        size: Their side in pixels.
        transfer: What else is to be known.

    Raises:
        OSError: It can't be written.
    """
    described = {name: _described(folder, source["maps"][name], name, size) for name in maps}
    # Baked normals are as Blender has them, whatever the source's were.
    described["normal"]["convention"] = "opengl"
    manifest = {"format": FORMAT, "maps": described, "transfer": {**transfer, "manifest": source}}
    manifest |= {key: source[key] for key in ("synthetic", "notice") if key in source}
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """The hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _described(folder: Path, before: Any, name: str, size: int) -> dict[str, Any]:
    known = before if isinstance(before, dict) else {}
    file = map_file(name)
    return {**known, "file": file, "sha256": sha256_of(folder / file), "width": size, "height": size}


def _strangers(place: Path) -> list[str]:
    """What lies in a folder that is no texture set's; a file in its place is its own stranger."""
    if not place.is_dir():
        return [place.name] if place.exists() else []
    known = {MANIFEST_NAME, *(map_file(name) for name in (*MAPS, *EXTRA_MAPS))}
    return sorted(item.name for item in place.iterdir() if item.name not in known)


def _not_writable(place: Path, reason: str) -> UVMapError:
    return UVMapError(
        ErrorCode.OUTPUT_NOT_WRITABLE,
        f"The textures can't be saved in {place}: {reason}.",
        "Choose a new folder in one that you may write to.",
    )
