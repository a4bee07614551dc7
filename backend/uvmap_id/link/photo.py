"""The files that show who a texture is of, photos and embeddings: read before they are sent, checked on arrival."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .errors import ErrorCode, LinkError, UVMapError
from .messages import JOB_PHOTOS_LIMIT, PHOTO_LIMIT
from .region import REGION_MAPS, Region
from .request import TextureRequest
from .texture_set import map_file, read_manifest

_EMBEDDING_MAGIC = b"\x93NUMPY"


class Photo(bytes):
    """A file's content that is hashed once at most, since that takes a part of a click's time."""

    @functools.cached_property
    def sha256(self) -> str:
        """64 hex digits."""
        return hashlib.sha256(self).hexdigest()


def read_photo(path: Path) -> bytes:
    """The content of the face image's file. Whether it is an image, the engine finds out.

    Raises:
        UVMapError: `face_file_missing`, `face_file_too_large`, or `image_unreadable` for an empty file.
    """
    try:
        if not path.is_file():
            raise UVMapError(
                ErrorCode.FACE_FILE_MISSING, f"There is no file {path}.", "Choose a photo of a face, PNG or JPEG."
            )
        with path.open("rb") as file:
            # Python makes room for as many bytes as it is asked for, which for the limit takes milliseconds.
            size = os.fstat(file.fileno()).st_size
            content = file.read(min(size, PHOTO_LIMIT) + 1)
            if len(content) > size:
                # It has grown, or is one of those that don't tell their size.
                content += file.read(PHOTO_LIMIT + 1 - len(content))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UVMapError(
            ErrorCode.FACE_FILE_MISSING, f"{path} can't be read: {reason}.", "Choose a file that you may read."
        ) from error
    _check_size(content)
    return Photo(content)


def read_photos(paths: Iterable[Path]) -> tuple[bytes, ...]:
    """The contents of several files of one person. Raises `UVMapError` as `read_photo` and `check_photos` do."""
    photos = tuple(read_photo(path) for path in paths)
    check_photos(photos)
    return photos


def check_photos(photos: Sequence[bytes]) -> None:
    """Raise `UVMapError` for files that are not worth sending: none, empty or oversized ones, no photo in front."""
    if not photos:
        raise UVMapError(
            ErrorCode.FACE_FILE_MISSING, "There is no photo of a face.", "Choose a photo of a face, PNG or JPEG."
        )
    for photo in photos:
        _check_size(photo)
    if sum(map(len, photos)) > JOB_PHOTOS_LIMIT:
        raise UVMapError(
            ErrorCode.FACE_FILE_TOO_LARGE,
            f"The face images' files are over {JOB_PHOTOS_LIMIT // 2**20} MiB together.",
            "Save them as JPEGs, scale them down, or choose fewer.",
        )
    if photos[0].startswith(_EMBEDDING_MAGIC):
        raise UVMapError(
            ErrorCode.EMBEDDING_INVALID,
            "The first face is an embedding, but a photo is needed.",
            "Choose a photo of the face first; embeddings may follow it.",
        )


def _check_size(content: bytes) -> None:
    if not content:
        raise UVMapError(
            ErrorCode.IMAGE_UNREADABLE, "The face image's file is empty.", "Choose a photo of a face, PNG or JPEG."
        )
    if len(content) > PHOTO_LIMIT:
        raise UVMapError(
            ErrorCode.FACE_FILE_TOO_LARGE,
            f"The face image's file is over {PHOTO_LIMIT // 2**20} MiB.",
            "Save it as a JPEG or scale it down.",
        )


def photo_hash(content: bytes) -> str:
    """What `TextureRequest.face_sha256` is for this photo."""
    return content.sha256 if isinstance(content, Photo) else hashlib.sha256(content).hexdigest()


def with_photos(request: TextureRequest, photos: Sequence[bytes]) -> TextureRequest:
    """The request, for the person whom these files show; the first one must be a photo."""
    first, *more = map(photo_hash, photos)
    return dataclasses.replace(request, face_sha256=first, more_faces=tuple(more))


def with_region(
    request: TextureRequest, folder: Path, parts: Sequence[str], mask: Path | None
) -> tuple[TextureRequest, tuple[bytes, ...]]:
    """The request, for a region of the texture set in a folder; and the files that travel for it after the photos.

    Args:
        request: What to make. Its normal maps become those of the set that is there.
        folder: A complete texture set.
        parts: Out of `link.region.REGION_PARTS`.
        mask: A picture in the atlas that is black where nothing changes.

    Raises:
        UVMapError: `settings_unreadable` or `image_unreadable` for the set or the mask.
    """
    try:
        manifest = read_manifest(folder)
        names = [name for name in REGION_MAPS if name in manifest["maps"]]
        files = [(folder / map_file(name)).read_bytes() for name in names]
        files += [mask.read_bytes()] if mask is not None else []
    except OSError as error:
        raise UVMapError(
            ErrorCode.IMAGE_UNREADABLE,
            f"{error.filename or folder} can't be read: {error.strerror}.",
            "Choose the folder of a complete texture set, and a mask that you may read.",
        ) from error
    digests = tuple(map(photo_hash, files))
    region = Region(digests[: len(names)], tuple(parts), digests[-1] if mask is not None else "")
    normal = manifest["maps"]["normal"]
    convention = str(normal.get("convention", "opengl")) if isinstance(normal, dict) else "opengl"
    return dataclasses.replace(request, region=region, normal_convention=convention), tuple(files)


def check_named(request: TextureRequest, photos: Sequence[bytes]) -> None:
    """Raise `UVMapError` unless these are the files that a request names, in its order, and worth sending."""
    check_photos(photos[: len(request.faces)])
    for content in photos[len(request.faces) :]:
        _check_size(content)
    if tuple(map(photo_hash, photos)) != request.files:
        raise LinkError("The photos are not the ones that the request names.")
