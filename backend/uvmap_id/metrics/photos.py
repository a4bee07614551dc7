"""What is measured on a photo, once for all the textures that were made from it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Sample
from uvmap_id.metrics.means import unusable

Measured = TypeVar("Measured")
_REMEMBERED = 64


class OncePerPhoto(Generic[Measured]):
    """Remembers what a function made of the photos that came last, known by their content; failures too."""

    def __init__(self, measure: Callable[[bytes], Measured], remembered: int = _REMEMBERED) -> None:
        self._measure = measure
        self._remembered = remembered
        self._known: OrderedDict[bytes, Measured | UVMapError] = OrderedDict()

    def of(self, sample: Sample) -> Measured:
        """What was measured on a sample's photo.

        Raises:
            UVMapError: dataset_unreadable where there is no photo, or what the function raised.
        """
        if sample.photo is None:
            raise unusable(sample, "has no photo to compare it with")
        found = self._found(_content(sample.photo))
        if isinstance(found, UVMapError):
            raise found
        return found

    def _found(self, content: bytes) -> Measured | UVMapError:
        key = hashlib.sha256(content).digest()
        if key not in self._known:
            try:
                self._known[key] = self._measure(content)
            except UVMapError as error:
                self._known[key] = error
            if len(self._known) > self._remembered:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def _content(photo: Path) -> bytes:
    try:
        return photo.read_bytes()
    except OSError as error:
        raise UVMapError(
            ErrorCode.DATASET_UNREADABLE,
            f"{photo} can't be read: {error.strerror or error}.",
            "Put the photo back, or leave its column empty.",
        ) from error
