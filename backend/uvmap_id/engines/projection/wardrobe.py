"""Reads a prompt for garments and hair: a small grammar over the definitions in `wardrobe.toml`.

A prompt is a list of phrases between commas or the words "and" and "with". A phrase names a garment, and before
it a colour and perhaps a sleeve's length: "dark blue long-sleeved shirt". What no rule knows is reported.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from PIL import ImageColor

from uvmap_id.engines.projection.colour import from_lab, linear, to_lab, to_srgb
from uvmap_id.pictures import Floats

_SEPARATORS = re.compile(r"[,;.:!?()\n\t\r]|\b(?:and|with|over|under|plus)\b")
_WORD = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FILLERS = frozenset(
    "a an the in of on wearing wears wear dressed clothed pair some his her their man woman person boy girl male "
    "female is has photo portrait texture texturemap sks plain simple".split()
)
_SHADES = {"dark": -17.0, "deep": -12.0, "light": 16.0, "pale": 20.0, "bright": 8.0}
_SLEEVES = {
    **dict.fromkeys(("long-sleeved", "long-sleeve", "long sleeved", "long sleeve"), 0.66),
    **dict.fromkeys(("short-sleeved", "short-sleeve", "short sleeved", "short sleeve"), 0.33),
    **dict.fromkeys(("sleeveless",), 0.175),
}
_LONGEST_NAME = 3


@dataclass(frozen=True, slots=True)
class Fabric:
    """How cloth looks from near: roughness 0..1, relief of the weave in millimetres, unevenness of its colour."""

    roughness: float
    weave: float
    mottle: float


@dataclass(frozen=True, slots=True)
class Garment:
    """One piece to wear; lengths as described in `wardrobe.toml`. `colour` is an sRGB triple 0..255."""

    name: str
    slot: str
    layer: int
    fabric: Fabric
    fabric_name: str
    colour: tuple[int, int, int]
    hem: float = 0.0
    waist: float = 0.0
    sleeve: float = 0.0
    neckline: float = 0.0
    front: str = ""


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a prompt asks for.

    Attributes:
        garments: In the order in which they are put on.
        hair: sRGB triple of the named hair colour, or None.
        bald: True where the prompt says so.
        ignored: Phrases that no rule knows.
        added: Names of plain garments put on where the prompt leaves the body bare.
    """

    garments: tuple[Garment, ...]
    hair: tuple[int, int, int] | None = None
    bald: bool = False
    ignored: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@functools.cache
def _definitions() -> dict[str, Any]:
    return tomllib.loads((resources.files("uvmap_id.engines.projection") / "wardrobe.toml").read_text(encoding="utf-8"))


def read_prompt(prompt: str) -> Outfit:
    """Understand a prompt. Never fails: whatever can't be understood is in `Outfit.ignored`."""
    garments: dict[tuple[str, int], Garment] = {}
    hair: tuple[int, int, int] | None = None
    bald = False
    ignored: list[str] = []
    for phrase in _SEPARATORS.split(prompt.lower()):
        words = [word for word in _WORD.findall(phrase) if word not in _FILLERS]
        if not words:
            ignored += [phrase.strip()] if phrase.strip() and not _WORD.search(phrase) else []
            continue
        if "bald" in words or "hairless" in words:
            bald, rest = True, [word for word in words if word not in ("bald", "hairless", "head", "hair")]
        elif words[-1] in ("hair", "haired") or words[-1].endswith("-haired"):
            hair, rest = _read_hair(words)
        else:
            garment, rest = _read_garment(words)
            if garment is not None:
                garments[garment.slot, garment.layer] = garment
        if rest:
            ignored.append(" ".join(rest))
    dressed, added = _decent(list(garments.values()))
    order = {"feet": 0, "lower": 1, "hands": 2, "upper": 3, "head": 4}
    dressed.sort(key=lambda garment: (order[garment.slot], garment.layer))
    return Outfit(tuple(dressed), hair, bald, tuple(ignored), added)


def _read_hair(words: list[str]) -> tuple[tuple[int, int, int] | None, list[str]]:
    known = _definitions()["hair"]
    last = words[-1].removesuffix("-haired")
    names = [word for word in [*words[:-1], last] if word in known]
    rest = [word for word in words[:-1] if word not in known and word not in _SHADES]
    if not names:
        return None, words
    return _shaded(tuple(known[names[-1]]), words), rest


def _read_garment(words: list[str]) -> tuple[Garment | None, list[str]]:
    """The garment that a phrase names and the words that say nothing known; all of them where there is none."""
    entry, start, count = _find(words)
    if entry is None:
        return None, words
    rest = words[:start] + words[start + count :]
    fabric_name = entry["fabric"]
    changes: dict[str, Any] = {}
    for length in range(2, 0, -1):
        for place in range(len(rest) - length + 1):
            name = " ".join(rest[place : place + length])
            if name in _SLEEVES and "sleeve" in entry:
                changes["sleeve"] = _SLEEVES[name]
                rest[place : place + length] = [""] * length
    fabrics = _definitions()["fabric"]
    for place, word in enumerate(rest):
        if word in fabrics:
            fabric_name, rest[place] = word, ""
    colour, rest = _read_colour([word for word in rest if word], fabric_name, entry["colour"])
    known = {field.name for field in dataclasses.fields(Garment)} - {"fabric", "colour", "fabric_name"}
    values = {key: value for key, value in entry.items() if key in known} | changes
    return Garment(**values, fabric=Fabric(**fabrics[fabric_name]), fabric_name=fabric_name, colour=colour), rest


def _find(words: list[str]) -> tuple[dict[str, Any] | None, int, int]:
    """The last garment of a phrase, by its longest name: entry, first word, number of words."""
    for end in range(len(words), 0, -1):
        for count in range(min(_LONGEST_NAME, end), 0, -1):
            name = " ".join(words[end - count : end])
            for entry in _definitions()["garment"]:
                if name in entry["words"]:
                    return entry, end - count, count
    return None, 0, 0


def _read_colour(words: list[str], fabric: str, default: str) -> tuple[tuple[int, int, int], list[str]]:
    rest = list(words)
    for length in (2, 1):
        for place in range(len(rest) - length + 1):
            colour = _named(rest[place : place + length], fabric)
            if colour is not None:
                shades = [word for word in rest if word in _SHADES] if length == 1 else []
                del rest[place : place + length]
                return _shaded(colour, shades), [word for word in rest if word not in shades]
    colour = _named([default], fabric)
    assert colour is not None, f"wardrobe.toml names an unknown colour: {default}"  # noqa: S101
    shades = [word for word in rest if word in _SHADES]
    return _shaded(colour, shades), [word for word in rest if word not in shades]


def _named(words: list[str], fabric: str) -> tuple[int, int, int] | None:
    definitions = _definitions()
    name = "".join(words)
    if fabric == "denim" and name in definitions["denim"]:
        return tuple(definitions["denim"][name])
    if name in definitions["colour"]:
        return tuple(definitions["colour"][name])
    if name in ImageColor.colormap:
        red, green, blue = ImageColor.getrgb(name)[:3]
        return red, green, blue
    return None


def _shaded(colour: tuple[int, int, int], words: list[str]) -> tuple[int, int, int]:
    lift = sum(_SHADES.get(word, 0.0) for word in words)
    if not lift:
        return colour
    lab: Floats = to_lab(linear(colour)[None])[0]
    lab[0] = np.clip(lab[0] + lift, 3, 97)
    red, green, blue = (int(value) for value in to_srgb(from_lab(lab)))
    return red, green, blue


def _decent(garments: list[Garment]) -> tuple[list[Garment], tuple[str, ...]]:
    """Nobody is undressed by a prompt that forgets a half: plain grey is put on there."""
    added: list[str] = []
    if not any(garment.slot == "upper" for garment in garments):
        added.append("grey tank top")
    long_upper = any(garment.slot == "upper" and garment.hem < -0.5 for garment in garments)
    if not long_upper and not any(garment.slot == "lower" for garment in garments):
        added.append("grey shorts")
    more = [garment for garment in (_read_garment(name.split())[0] for name in added) if garment is not None]
    return garments + more, tuple(added)
