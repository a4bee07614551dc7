"""Reads the photo that a user hands in: whatever is wrong with the file becomes a sentence, never a crash."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from uvmap_id.link.errors import ErrorCode, UVMapError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
SMALLEST_SIDE = 64
LARGEST_PIXELS = 160_000_000  # A 12,000 x 12,000 photo passes; 20,000 x 20,000 would need over a gigabyte.
WORKING_SIDE = 4096


def read_photo(content: bytes) -> NDArray[np.uint8]:
    """Decode a photo to (H, W, 3) uint8 sRGB, upright as its EXIF says, its longer side at most `WORKING_SIDE`.

    The size is checked before a pixel is decoded, so that a small file can't fill the memory. Of an animation the
    first frame counts; transparency is laid over white.

    Raises:
        UVMapError: image_unreadable, image_truncated, image_too_small or image_too_large.
    """
    with warnings.catch_warnings():
        # The limit below is ours; Pillow's own warning about large images would only reach a log.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise _too_large("more than 178 million") from error
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise UVMapError(
                ErrorCode.IMAGE_UNREADABLE,
                "The face file is no image that can be read.",
                "Choose a photo in one of the formats PNG, JPEG, WebP, TIFF or BMP.",
            ) from error
        _check_size(image)
        return _decode(image)


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise _too_large(f"{width:,} x {height:,}")
    if min(width, height) < SMALLEST_SIDE:
        raise UVMapError(
            ErrorCode.IMAGE_TOO_SMALL,
            f"The photo has only {width} x {height} pixels.",
            f"Choose a photo of at least {SMALLEST_SIDE} pixels on each side; 512 or more give a good face.",
        )


def _too_large(pixels: str) -> UVMapError:
    return UVMapError(
        ErrorCode.IMAGE_TOO_LARGE,
        f"The photo has {pixels} pixels.",
        f"Scale it down to at most {LARGEST_PIXELS // 1_000_000} million pixels; 4,096 on the longer side are enough.",
    )


def _decode(image: Image.Image) -> NDArray[np.uint8]:
    try:
        # JPEG decoders can skip to a smaller size at once.
        image.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
        image.load()
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
        return np.asarray(_to_rgb(upright))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise UVMapError(
            ErrorCode.IMAGE_TRUNCATED,
            "The photo's file is damaged or was cut off.",
            "Copy or download the photo again, or save it anew from an image viewer.",
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, np.float32)
        full = 65535.0 if values.max(initial=0) > 255 else 255.0
        return Image.fromarray((values / full * 255).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")
