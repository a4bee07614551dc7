"""Where textures come from: files with what is known of them, opened one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvmap_id.faces.photo import read_photo
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.texture_set import MANIFEST_NAME, map_file, read_manifest
from uvmap_id.metrics.base import Sample

_PHOTOS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Source:
    """A texture that was not opened yet; the attributes are those of `Sample`.

    Attributes:
        path: Of the texture's file.
    """

    name: str
    path: Path
    prompt: str = ""
    identity: str = ""
    photo: Path | None = None
    embedding: NDArray[np.float32] | None = None

    def load(self) -> Sample:
        """Open it.

        Raises:
            UVMapError: dataset_unreadable where the file can't be read, or what is wrong with the picture.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise UVMapError(
                ErrorCode.DATASET_UNREADABLE, f"{self.name} can't be read: {error.strerror or error}.", "Put it back."
            ) from error
        try:
            texture = read_photo(content)
        except UVMapError as error:
            # The same causes as for photos, in words about textures.
            reason = error.failure.message.replace("The face file", "It").replace("The photo's file", "It")
            raise UVMapError(
                ErrorCode(error.failure.code),
                f"{self.name}: {reason.replace('The photo', 'It')}",
                "Make or copy the texture again.",
            ) from error
        return Sample(self.name, texture, self.prompt, self.identity, self.photo, self.embedding)


def texture_sets(folder: Path, photos: Path | None = None) -> tuple[Source, ...]:
    """The results of `uvmap-id generate` in a folder and below, in the order of their paths; none without any.

    Args:
        folder: May be a texture set itself.
        photos: A folder with the photos that they were made from, which are known by their content.

    Raises:
        UVMapError: dataset_unreadable for a manifest that is none.
    """
    manifests = sorted(folder.rglob(MANIFEST_NAME))
    known = {} if photos is None or not manifests else _photos_by_hash(photos)
    return tuple(_texture_set(path.parent, folder, known) for path in manifests)


def pictures(folder: Path) -> tuple[Source, ...]:
    """The PNGs in a folder and below, in the order of their paths; all that is known of them is their names."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".png" and path.is_file())
    return tuple(Source(path.relative_to(folder).as_posix(), path) for path in paths)


def spread_out(sources: Sequence[Source], limit: int | None) -> tuple[Source, ...]:
    """At most so many of them, evenly from the whole, so that no identity is left out where it can be helped."""
    if limit is None or limit >= len(sources):
        return tuple(sources)
    return tuple(sources[number * len(sources) // limit] for number in range(limit))


def _texture_set(place: Path, folder: Path, photos: dict[str, Path]) -> Source:
    name = place.relative_to(folder).as_posix() if place != folder else place.resolve().name
    try:
        request = read_manifest(place).get("request")
    except (OSError, UVMapError) as error:
        raise UVMapError(
            ErrorCode.DATASET_UNREADABLE,
            f"{place / MANIFEST_NAME} is not the manifest of a texture set.",
            "Take the folder away, or make the textures again.",
        ) from error
    values = request if isinstance(request, dict) else {}
    prompt, face = values.get("prompt"), values.get("face_sha256")
    face = face if isinstance(face, str) else ""
    return Source(
        name, place / map_file("base_color"), prompt if isinstance(prompt, str) else "", face[:12], photos.get(face)
    )


def _photos_by_hash(folder: Path) -> dict[str, Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PHOTOS and path.is_file())
    return dict(_hashed(files))


def _hashed(files: Iterable[Path]) -> Iterable[tuple[str, Path]]:
    for path in files:
        try:
            with path.open("rb") as file:
                yield hashlib.file_digest(file, "sha256").hexdigest(), path
        except OSError as error:
            raise UVMapError(
                ErrorCode.DATASET_UNREADABLE, f"{path} can't be read: {error.strerror or error}.", ""
            ) from error
