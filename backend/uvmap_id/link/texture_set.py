"""A finished texture set's folder: which files belong to it, as its manifest says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import ErrorCode, UVMapError
from .request import EXTRA_MAPS, MAPS

MANIFEST_NAME = "manifest.json"
MANIFEST_LIMIT = 1024 * 1024
# In the maps' files: the keyword of the text that holds the manifest, and the base colour's chunk with a small PNG of
# itself: ancillary, private, and not to be copied by programs that change the picture.
MANIFEST_KEYWORD = "uvmap_id"
THUMBNAIL_CHUNK = b"thMB"


def map_file(name: str) -> str:
    """The file of a map, one of `MAPS` or `EXTRA_MAPS`."""
    return f"{name}.png"


def read_manifest(folder: Path) -> dict[str, Any]:
    """A texture set's manifest.

    Raises:
        OSError: It can't be read.
        UVMapError: `settings_unreadable`: it is no manifest.
    """
    path = folder / MANIFEST_NAME
    with path.open("rb") as file:
        content = file.read(MANIFEST_LIMIT + 1)
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError):
        manifest = None
    maps = manifest.get("maps") if isinstance(manifest, dict) else None
    if not isinstance(manifest, dict) or not isinstance(maps, dict) or any(name not in maps for name in MAPS):
        raise UVMapError(
            ErrorCode.SETTINGS_UNREADABLE,
            f"{path} is not the manifest of a texture set.",
            "Choose the folder of a complete texture set.",
        )
    return manifest


def files_of(manifest: dict[str, Any]) -> tuple[str, ...]:
    """The names of a texture set's files. The manifest comes last: who finds it may count on the maps."""
    return (*(map_file(name) for name in (*MAPS, *EXTRA_MAPS) if name in manifest["maps"]), MANIFEST_NAME)
