"""The report's pictures: distributions as SVG, contact sheets as JPEG. The same numbers give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.onnx_runtime import import_package
from uvmap_id.pictures import resize

_BINS = 24
_INK, _BAR, _MEAN = "#444444", "#7a9cc6", "#c0504d"
_JPEG_QUALITY = 82
_GAP = 4


def histogram(values: Sequence[float], unit: str, mean: float | None) -> bytes:
    """An SVG of how numbers are distributed, with a line at the mean where it is one of theirs.

    Raises:
        UVMapError: package_missing without matplotlib.
    """
    matplotlib = import_package("matplotlib", "The report", extra="train")
    figures = import_package("matplotlib.figure", "The report", extra="train")
    settings = {"svg.hashsalt": "uvmap-id", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 8}
    buffer = io.BytesIO()
    with matplotlib.rc_context(settings):
        figure = figures.Figure(figsize=(3.4, 1.5), layout="constrained")
        axes = figure.subplots()
        axes.hist(values, bins=_edges(values), color=_BAR)
        if mean is not None:
            axes.axvline(mean, color=_MEAN, linewidth=1.2)
        axes.set_xlabel(unit or "score", color=_INK)
        axes.set_ylabel("textures", color=_INK)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.tick_params(colors=_INK, labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return buffer.getvalue()


def contact_sheet(pictures: Sequence[NDArray[np.uint8]], side: int) -> bytes:
    """A JPEG of pictures in a row, each (H, W, 3) uint8 sRGB brought to `side` pixels in height."""
    tiles = [resize(picture, (side, round(picture.shape[1] * side / picture.shape[0]))) for picture in pictures]
    gap = np.full((side, _GAP, 3), 255, np.uint8)
    row = np.hstack([part for tile in tiles for part in (tile, gap)][:-1])
    done, content = cv2.imencode(
        ".jpg", np.ascontiguousarray(row[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    if not done:
        raise UVMapError(ErrorCode.INTERNAL, "A contact sheet can't be encoded.")
    return content.tobytes()


def _edges(values: Sequence[float]) -> NDArray[np.float64]:
    low, high = min(values), max(values)
    margin = max(0.5 * (high - low), abs(low) * 1e-3, 1e-6) if high - low < 1e-9 else 0.0
    return np.linspace(low - margin, high + margin, _BINS + 1)
