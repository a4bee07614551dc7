"""What a human parser's classes may cover in the atlas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.parts import (
    ARMS,
    FEET,
    FOREARMS,
    HANDS,
    HEAD,
    LEGS,
    PELVIS,
    REGIONS,
    SHINS,
    SHOULDERS,
    THIGHS,
    TORSO,
    UPPER_ARMS,
    Part,
)
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.pretrained import invalid

CLASSES_FILE = "classes.json"

_WAIST = frozenset({Part.ABDOMEN, Part.LOWER_BACK}) | PELVIS
_CLOTHES = frozenset({Part.NECK}) | TORSO | ARMS | THIGHS
_BARE = frozenset({Part.NECK}) | TORSO
_HAIR = HEAD | frozenset({Part.NECK, Part.CHEST, Part.UPPER_BACK}) | SHOULDERS
# By the names that ATR, LIP, CIHP and PASCAL's person parts give their classes, without sides: what a part of the atlas
# may show of each. The background is none of the body.
KNOWN_CLASSES: dict[str, frozenset[Part]] = {
    "background": frozenset(),
    "hat": HEAD,
    "hair": _HAIR,
    "sunglasses": frozenset({Part.FACE}),
    "glasses": frozenset({Part.FACE}),
    "face": HEAD - {Part.SCALP} | {Part.NECK},
    "head": HEAD | {Part.NECK},
    "neck": frozenset({Part.NECK, Part.CHEST}),
    "torso skin": _BARE,
    "torso": _BARE,
    "upper clothes": _CLOTHES,
    "top": _CLOTHES,
    "coat": _CLOTHES | SHINS,
    "dress": _CLOTHES | SHINS,
    "jumpsuits": _CLOTHES | SHINS,
    "skirt": _WAIST | LEGS,
    "pants": _WAIST | LEGS,
    "belt": _WAIST,
    "scarf": frozenset({Part.NECK, Part.CHEST, Part.UPPER_BACK}) | SHOULDERS,
    "bag": TORSO | PELVIS,
    "arm": ARMS | HANDS | SHOULDERS,
    "arms": ARMS | HANDS | SHOULDERS,
    "upper arms": UPPER_ARMS | SHOULDERS,
    "lower arms": FOREARMS | HANDS,
    "hands": HANDS,
    "glove": HANDS | FOREARMS,
    "leg": LEGS | PELVIS | FEET,
    "legs": LEGS | PELVIS | FEET,
    "upper legs": THIGHS | PELVIS,
    "lower legs": SHINS | FEET,
    "socks": SHINS | FEET,
    "shoe": FEET | SHINS,
    "feet": FEET,
    "jewelry": frozenset({Part.NECK, Part.CHEST}) | HANDS | FOREARMS | HEAD,
}
_SIDES = re.compile(r"\b(left|right)\b")


@dataclass(frozen=True, slots=True)
class ParserClasses:
    """The classes of a parser, in the order of its numbers.

    Attributes:
        names: As the parser has them.
        allowed: (classes, parts) bool: whether a class may cover a part, by the values of `Part`.
    """

    names: tuple[str, ...]
    allowed: NDArray[np.bool_]

    @classmethod
    def of_names(cls, names: Sequence[str], where: Path) -> ParserClasses:
        """Of classes whose names are known.

        Raises:
            UVMapError: weights_unsupported, with the class that is not known.
        """
        parts: list[frozenset[Part]] = []
        for name in names:
            plain = " ".join(_SIDES.sub("", name.lower().replace("-", " ").replace("_", " ")).split())
            if plain not in KNOWN_CLASSES:
                raise UVMapError(
                    ErrorCode.WEIGHTS_UNSUPPORTED,
                    f'The parser in {where} has a class "{name[:64]}", and nobody knows which parts it covers.',
                    f"Say it in {where / CLASSES_FILE}; see docs/metrics.md.",
                )
            parts.append(KNOWN_CLASSES[plain])
        return cls(tuple(names), allowed_parts(parts))

    @classmethod
    def from_values(cls, values: Any, where: Path) -> ParserClasses:
        """Of the list under "classes" in `CLASSES_FILE`: {"name": ..., "parts": [names of regions or parts]}.

        Raises:
            UVMapError: weights_invalid, with what is wrong.
        """
        if not isinstance(values, list) or not 2 <= len(values) <= 255:
            raise invalid(where, 'has no list of 2 to 255 "classes"')
        names, parts = [], []
        for value in values:
            listed = value.get("parts") if isinstance(value, dict) else None
            name = value.get("name") if isinstance(value, dict) else None
            if not isinstance(listed, list) or not isinstance(name, str):
                raise invalid(where, f'has a class without "name" and "parts": {value!r:.80}')
            names.append(name)
            parts.append(frozenset[Part]().union(*(_parts_called(part, where) for part in listed)))
        return cls(tuple(names), allowed_parts(parts))

    def disagreeing(self, labels: NDArray[np.integer], parts: NDArray[np.uint8]) -> float:
        """Percent of the used texels whose class may not cover their part.

        Args:
            labels: (S, S) classes' numbers.
            parts: (S, S) values of `Part`; those of `Part.NONE` don't count.
        """
        used = parts != Part.NONE
        return float(100 * (~self.allowed[labels[used], parts[used]]).mean())


def allowed_parts(parts: Iterable[Iterable[Part]]) -> NDArray[np.bool_]:
    """(classes, parts) bool from the parts of each class."""
    listed = list(parts)
    allowed = np.zeros((len(listed), max(Part) + 1), bool)
    for number, each in enumerate(listed):
        allowed[number, list(each)] = True
    return allowed


def _parts_called(name: Any, where: Path) -> frozenset[Part]:
    if isinstance(name, str) and name in REGIONS:
        return REGIONS[name]
    if isinstance(name, str) and name.upper() in Part.__members__:
        return frozenset({Part[name.upper()]})
    raise invalid(where, f"names a part {name!r:.80}, which the atlas doesn't have")
