"""Enlarges what the model painted, by Lanczos' kernel or with an ONNX upscaler such as Real-ESRGAN."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.onnx_runtime import load_runtime
from uvmap_id.pictures import Floats, lanczos, resize

_TILE = 256
_OVERLAP = 16
_FACTORS = (2, 4)
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class Enlarge(Protocol):
    """Brings a picture to a larger size."""

    def __call__(self, image: Floats, size: int) -> Floats:
        """(S, S, 3) float32 sRGB 0..1 to (size, size, 3), size >= S."""
        ...


def enlarge_smoothly(image: Floats, size: int) -> Floats:
    """Follows `Enlarge`: by Lanczos' kernel."""
    if image.shape[0] == size:
        return image
    return np.clip(lanczos(image, (size, size)), 0, 1)


class Upscaler:
    """Follows `Enlarge`: a model that takes (1, 3, h, w) RGB 0..1 and gives it back 2 or 4 times as large."""

    def __init__(self, model: Path) -> None:
        """Load the model.

        Raises:
            UVMapError: package_missing, weights_invalid or weights_unsupported.
        """
        runtime = load_runtime("The upscaler")
        self._name = model.name
        self._errors = runtime.errors
        try:
            self._session = runtime.module.InferenceSession(str(model), providers=runtime.providers)
        except self._errors as error:
            raise UVMapError(
                ErrorCode.WEIGHTS_INVALID,
                f"The upscaler {model.name} can't be loaded: {error}.",
                "Check it: uvmap-id weights verify",
            ) from error
        self._type, self._tile = self._interface()

    def __call__(self, image: Floats, size: int) -> Floats:
        """See `Enlarge`. Works in tiles that overlap, so that memory stays small and no edge of a tile shows."""
        if image.shape[0] == size:
            return image
        larger = self._once(image)
        if larger.shape[0] > size:
            return resize(larger, (size, size))
        return enlarge_smoothly(larger, size)

    def _interface(self) -> tuple[type[np.floating[Any]], int]:
        """The type of number that the model takes, and the side of the tiles that it is given."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape
        # An open side is a name or None.
        fixed = {side for side in shape[2:] if isinstance(side, int)}
        tile = fixed.pop() if fixed else _TILE
        usable = len(inputs) == len(outputs) == 1 and len(shape) == 4 and not fixed and tile > 2 * _OVERLAP
        if not usable or inputs[0].type not in _TYPES:
            raise self._unsupported(f"it takes {inputs[0].type} {shape}")
        return _TYPES[inputs[0].type], tile

    def _once(self, image: Floats) -> Floats:
        """The square picture through the model, tile by tile; each tile sees a little more than it gives."""
        side, step = image.shape[0], self._tile - 2 * _OVERLAP
        count = -(-side // step)
        frame = (_OVERLAP, count * step + _OVERLAP - side)
        framed = np.pad(image, (frame, frame, (0, 0)), mode="edge")
        starts = range(0, count * step, step)
        rows = [np.concatenate([self._tile_at(framed, top, left) for left in starts], axis=1) for top in starts]
        joined = np.concatenate(rows)
        larger = side * joined.shape[0] // (count * step)
        return np.clip(joined[:larger, :larger], 0, 1)

    def _tile_at(self, framed: Floats, top: int, left: int) -> NDArray[np.float32]:
        tile = framed[top : top + self._tile, left : left + self._tile]
        blob = np.ascontiguousarray(tile.transpose(2, 0, 1)[None], self._type)
        try:
            found = self._session.run(None, {self._session.get_inputs()[0].name: blob})[0]
        except self._errors as error:
            raise self._unsupported(str(error)) from error
        factor = found.shape[-1] // self._tile
        if factor not in _FACTORS or found.shape != (1, 3, self._tile * factor, self._tile * factor):
            raise self._unsupported(f"it makes {found.shape} of {blob.shape}")
        if not np.isfinite(found).all():
            raise self._unsupported("it gives numbers that are not finite")
        inner = slice(_OVERLAP * factor, -_OVERLAP * factor)
        return found[0, :, inner, inner].transpose(1, 2, 0).astype(np.float32)

    def _unsupported(self, reason: str) -> UVMapError:
        return UVMapError(
            ErrorCode.WEIGHTS_UNSUPPORTED,
            f"The upscaler {self._name} can't be used: {reason}.",
            'Choose one that takes (1, 3, h, w) and enlarges 2 or 4 times, or the upscaler "lanczos".',
        )
