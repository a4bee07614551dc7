"""What can be worn: the definitions in `wardrobe.toml`, and garments made from them."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from PIL import ImageColor

from uvmap_id.engines.projection.colour import from_lab, linear, to_lab, to_srgb
from uvmap_id.pictures import Floats

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Fabric:
    """How cloth looks from near.

    Attributes:
        roughness: 0..1.
        weave: Relief of the weave in millimetres.
        mottle: How uneven its colour is.
        grain: Texels at 1K over which the weave's noise runs across and along: equal for plain cloth.
    """

    roughness: float
    weave: float
    mottle: float
    grain: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Garment:
    """One piece to wear; lengths as described in `wardrobe.toml`. Colours are sRGB triples 0..255."""

    name: str
    slot: str
    layer: int
    fabric: Fabric
    fabric_name: str
    colour: Rgb
    accent: Rgb
    pattern: str = ""
    hem: float = 0.0
    waist: float = 0.0
    sleeve: float = 0.0
    neckline: float = 0.0
    opening: float | None = None
    loose: float = 1.0
    whole: bool = False
    details: tuple[str, ...] = ()


@functools.cache
def definitions() -> dict[str, Any]:
    """`wardrobe.toml`, read once."""
    return tomllib.loads((resources.files("uvmap_id.engines.projection") / "wardrobe.toml").read_text(encoding="utf-8"))


def named_colour(words: list[str], fabric: str = "") -> Rgb | None:
    """The colour that the words together name, or None: cloth's own colours first, then CSS's."""
    known = definitions()
    name = "".join(words).replace("-", "")
    tables = [known["denim"]] if fabric == "denim" else []
    for table in [*tables, known["colour"]]:
        if name in table:
            return _triple(table[name])
    if name in ImageColor.colormap:
        return _triple(ImageColor.getrgb(name)[:3])
    return None


@functools.lru_cache(maxsize=512)
def shaded(colour: Rgb, lift: float) -> Rgb:
    """A colour that much lighter, in L of Lab."""
    if not lift:
        return colour
    lab: Floats = to_lab(linear(colour)[None])[0]
    lab[0] = np.clip(lab[0] + lift, 3, 97)
    return _triple(to_srgb(from_lab(lab)))


def lightness(colour: Rgb) -> float:
    """L of Lab, 0..100."""
    return float(to_lab(linear(colour)[None])[0, 0])


def contrasting(colour: Rgb) -> Rgb:
    """What stripes and trims are in where nothing is said: white on dark cloth, navy on light cloth."""
    table = definitions()["colour"]
    return _triple(table["white"] if lightness(colour) < 60 else table["navy"])


def _triple(values: Any) -> Rgb:
    red, green, blue = (int(value) for value in values)
    return red, green, blue
