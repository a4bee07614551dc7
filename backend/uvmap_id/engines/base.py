"""The protocol that every engine follows, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from uvmap_id.link.errors import UVMapError
from uvmap_id.link.request import TextureRequest


class JobCancelled(Exception):  # noqa: N818 - an end that was asked for is no error
    """Raised by `Report` inside an engine when the job was cancelled meanwhile."""


class EngineLostError(UVMapError):
    """An error after which the process can make nothing any more, such as a lost device: it is to end."""


class Report(Protocol):
    """Tells how far the engine is: a short stage for a person, and 0 <= fraction <= 1."""

    def __call__(self, stage: str, fraction: float, preview: NDArray[np.uint8] | None = None) -> None:
        """Raises `JobCancelled` when the job is to end. `preview` is a small (H, W, 3) uint8 sRGB picture."""
        ...


@dataclass(frozen=True, slots=True)
class TextureSet:
    """The maps of one body in SMPL's atlas; row 0 of an array is the top of the atlas (v = 1).

    Attributes:
        base_color: (size, size, 3) uint8, sRGB.
        normal: (size, size, 3) uint8, tangent space, OpenGL convention (green is up), not a colour.
        roughness: (size, size) uint8, linear, 255 is fully rough.
        subsurface: (size, size) uint8, linear, 255 where the surface is skin that light enters.
        warnings: Sentences for a person, e.g. about a second face in the photo.
        details: What the engine decided, for the manifest; JSON values only.
    """

    base_color: NDArray[np.uint8]
    normal: NDArray[np.uint8]
    roughness: NDArray[np.uint8]
    subsurface: NDArray[np.uint8]
    warnings: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """Turns a request into a texture set. One engine lives in one worker process."""

    name: str
    version: str

    def generate(self, request: TextureRequest, photos: tuple[bytes, ...], report: Report) -> TextureSet:
        """Make the texture set. `photos` are the files behind `request.files`, in this order.

        An engine may paint all of it anew: `engines.region.regenerated` keeps what lies outside of the region.

        Raises:
            UVMapError: The photo or the request can't be used; says why and what to do.
            EngineLostError: Nor can any other after it, in this process.
            JobCancelled: `report` said so.
        """
        ...


@runtime_checkable
class Resting(Protocol):
    """An engine that holds what others may need while it has nothing to do, such as a graphics card's memory."""

    def rest(self) -> None:
        """Called when there has been no work for a while; the next job may come at any time."""
        ...


@runtime_checkable
class Sparing(Protocol):
    """An engine that can do with less memory than it likes to take."""

    def spare(self) -> bool:
        """Called when memory ran out in a job, before that job is tried once more.

        Returns:
            True where the next try takes less; False where this engine has nothing left to do without.
        """
        ...
