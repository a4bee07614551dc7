"""Reading the face image's file before it is sent."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .errors import ErrorCode, UVMapError
from .messages import PHOTO_LIMIT


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
            content = file.read(PHOTO_LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UVMapError(
            ErrorCode.FACE_FILE_MISSING, f"{path} can't be read: {reason}.", "Choose a file that you may read."
        ) from error
    check_photo(content)
    return content


def check_photo(content: bytes) -> None:
    """Raise `UVMapError` for a photo that is not worth sending: an empty or an oversized one."""
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
    return hashlib.sha256(content).hexdigest()
