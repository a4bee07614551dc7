"""Reads a prompt for garments and hair: a small grammar over the definitions in `wardrobe.toml`.

A prompt is a list of phrases between commas or words such as "and" and "with". A phrase names a garment or a whole
outfit, and before it colours, a pattern, a fabric and lengths: "dark blue long-sleeved striped shirt". A phrase that is
but a colour belongs to its neighbour: "red and white striped shirt", "sport, green". What no rule knows is reported.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any

from uvmap_id.engines.projection.garments import (
    Fabric,
    Garment,
    Rgb,
    contrasting,
    definitions,
    named_colour,
    shaded,
)

_SEPARATORS = re.compile(r"([,;.:!?()\n\t\r+&/]|\b(?:and|with|over|under|plus|in|on)\b)")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_BRACES = re.compile(r"\{([^}]*)\}")
_FILLERS = frozenset(
    "a an the of wearing wears wear dressed clothed dressing pair set some his her their its as like man men woman "
    "women person people boy girl male female guy lady is has photo portrait texture texturemap sks simple costume "
    "outfit clothes clothing cosplay attire look style coloured colored color colour who that full body".split()
)
_SHADES = {"dark": -17.0, "deep": -12.0, "light": 16.0, "pale": 20.0, "bright": 8.0, "pastel": 20.0, "faded": 9.0}
_JOINING = frozenset(("and", "&", "/", "+"))
_LONGEST_NAME = 3
# The layer of shirts, and one below all trousers.
_SHIRT, _TUCKED = 13, 5
# What a pattern or a fabric is dyed where no colour is named, whatever the garment.
_USUAL_COLOURS = {"camouflage": "olive", "denim": "blue"}


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
    hair: Rgb | None = None
    bald: bool = False
    ignored: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@dataclass
class _Reading:
    """What has been understood so far; garments with the words that named them, colours that wait for a garment."""

    worn: dict[tuple[str, int], tuple[Garment, list[str]]] = field(default_factory=dict)
    latest: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    hair: Rgb | None = None
    hair_words: list[str] = field(default_factory=list)
    bald: bool = False
    ignored: list[str] = field(default_factory=list)

    def put_on(self, garments: list[Garment], words: list[str]) -> None:
        """Wear garments; the words that named them may be completed by the next phrase."""
        places = {(garment.slot, garment.layer): garment for garment in garments}
        before = [self.worn[place][1] for place in places if place in self.worn]
        self.worn.update({place: (garment, words) for place, garment in places.items()})
        still = [phrase for _, phrase in self.worn.values()]
        for phrase in before:
            if phrase not in still and not set(phrase) <= set(words):
                self.ignore(phrase)
        self.latest = words

    def ignore(self, words: list[str]) -> None:
        """Report words, once."""
        phrase = " ".join(words)
        if phrase and phrase not in self.ignored:
            self.ignored.append(phrase)


def read_prompt(prompt: str) -> Outfit:
    """Understand a prompt. Never fails: whatever can't be understood is in `Outfit.ignored`."""
    reading = _Reading()
    parts = [*_SEPARATORS.split(prompt.lower()), ""]
    for phrase, separator in zip(parts[::2], parts[1::2], strict=True):
        _read_phrase(phrase, separator in _JOINING, reading)
    if reading.waiting:
        reading.ignore(_read_alone([], False, reading))
    if reading.bald and reading.hair is not None:
        reading.ignore(reading.hair_words)
    dressed, added = _decent([garment for garment, _ in reading.worn.values()])
    dressed = _tucked_in(dressed)
    dressed.sort(key=lambda garment: (garment.layer, garment.slot))
    hair = None if reading.bald else reading.hair
    return Outfit(tuple(dressed), hair, reading.bald, tuple(reading.ignored), added)


def _read_phrase(phrase: str, joined: bool, reading: _Reading) -> None:
    every = _WORD.findall(phrase)
    words = [word for word in every if word not in _FILLERS]
    if not words:
        words = [" ".join(every)] if _known_outfit(every) else []
    if not words:
        reading.ignored += [phrase.strip()] if phrase.strip() and not every else []
        return
    if "bald" in words or "hairless" in words:
        reading.bald, rest = True, [word for word in words if word not in ("bald", "hairless", "head", "hair")]
    elif words[-1] in ("hair", "haired") or words[-1].endswith("-haired"):
        rest = _read_hair(words, reading)
    else:
        rest = _read_clothes(words, joined, reading)
    reading.ignore(rest)


def _read_clothes(words: list[str], joined: bool, reading: _Reading) -> list[str]:
    """Put on what a phrase names. Returns the words that say nothing known."""
    found = _find(reading.waiting + words)
    if found is None:
        return _read_alone(words, joined, reading)
    words, reading.waiting = reading.waiting + words, []
    kind, entry, start, count = found
    rest = words[:start] + words[start + count :]
    if kind == "outfit":
        garments, rest = _read_outfit(entry, rest)
    else:
        garment, rest = _make(entry, rest)
        garments = [garment]
    reading.put_on(garments, words)
    return rest


def _read_alone(words: list[str], joined: bool, reading: _Reading) -> list[str]:
    """A phrase without a garment: it waits for one, or speaks of what was named before ("sport, green")."""
    if joined and _is_colour(words):
        reading.waiting += words
        return []
    if reading.waiting and (not words or _is_colour(words)):
        words, reading.waiting = reading.waiting + words, []
    if not reading.latest:
        # Colours and no garment at all: a plain T-shirt of them.
        return _read_clothes([*words, "t-shirt"], False, reading) if _is_colour(words[-1:]) else words
    before = list(reading.latest)
    # Read together, both phrases must make sense but for what the first one left over already.
    trial = _Reading()
    left = _read_clothes(before, False, trial)
    if _read_clothes(words + before, False, trial) == left:
        return _read_clothes(words + before, False, reading)[len(left) :]
    return words


def _is_colour(words: list[str]) -> bool:
    colour, rest = _read_colour(words, "")
    return colour is not None and not rest


def _read_hair(words: list[str], reading: _Reading) -> list[str]:
    """Note the hair's colour. Returns the words that say nothing known."""
    known = definitions()["hair"]
    last = words[-1].removesuffix("-haired")
    names = [word for word in [*words[:-1], last] if word in known]
    if not names:
        return words
    reading.ignore(reading.hair_words)
    red, green, blue = known[names[-1]]
    reading.hair, unheard = _shade((red, green, blue), [word for word in words if word in _SHADES])
    reading.hair_words = words
    return unheard + [word for word in words[:-1] if word != names[-1] and word not in _SHADES]


def _find(
    words: list[str], kinds: tuple[str, ...] = ("garment", "outfit")
) -> tuple[str, dict[str, Any], int, int] | None:
    """The last garment or outfit of a phrase, by its longest name: its kind, entry, first word, number of words."""
    for end in range(len(words), 0, -1):
        for count in range(min(_LONGEST_NAME, end), 0, -1):
            name = " ".join(words[end - count : end])
            for kind in kinds:
                for entry in definitions()[kind]:
                    if name in entry["words"] and not (kind == "outfit" and end < len(words) and name in _patterns()):
                        return kind, entry, end - count, count
    return None


def _patterns() -> dict[str, str]:
    return definitions()["pattern"]


def _known_outfit(words: list[str]) -> bool:
    return any(" ".join(words) in entry["words"] for entry in definitions()["outfit"])


def _read_outfit(entry: dict[str, Any], words: list[str]) -> tuple[list[Garment], list[str]]:
    """The garments of an outfit, and the words that say nothing known.

    A colour or a pattern ("pinstripe suit") is for the garments whose own colour is in braces.
    """
    colour, pattern, rest = None, None, words
    if any(_BRACES.search(phrase) for phrase in entry["wears"]):
        colour, rest = _read_colour(words, "")
        pattern, rest = _take(rest, _patterns())
    changes = ({"colour": colour} if colour else {}) | ({"pattern": pattern} if pattern is not None else {})
    garments = []
    for phrase in entry["wears"]:
        garment = _made_of(_BRACES.sub(r"\1", phrase))
        garments.append(dataclasses.replace(garment, **changes) if _BRACES.search(phrase) else garment)
    return garments, [word for word in rest if word != "uniform"]


def _made_of(phrase: str) -> Garment:
    """The garment of a phrase from `wardrobe.toml`. Raises `ValueError` where it names none."""
    words = phrase.split()
    found = _find(words, ("garment",))
    if found is None:
        raise ValueError(f"wardrobe.toml has an outfit with an unknown garment: {phrase}")
    _, entry, start, count = found
    return _make(entry, words[:start] + words[start + count :])[0]


def _make(entry: dict[str, Any], words: list[str]) -> tuple[Garment, list[str]]:
    """A garment as the words before it describe it, and the words that say nothing known."""
    values = {key: value for key, value in entry.items() if key in _PLAIN_FIELDS}
    rest = words
    if "sleeve" in entry:
        sleeve, rest = _take(rest, definitions()["sleeve"])
        values |= {} if sleeve is None else {"sleeve": sleeve}
    hem, rest = _take(rest, entry.get("lengths", {}))
    values |= {} if hem is None else {"hem": hem}
    pattern, rest = _take(rest, _patterns())
    fabrics = definitions()["fabric"]
    fabric_name, rest = _take(rest, {name: name for name in fabrics})
    fabric_name = fabric_name or entry["fabric"]
    colour, rest = _read_colour(rest, fabric_name)
    if colour is None:
        default = _USUAL_COLOURS.get(pattern or "") or _USUAL_COLOURS.get(fabric_name) or entry["colour"]
        colour, unheard = _shade(_certain(default, fabric_name), [word for word in rest if word in _SHADES])
        rest = [word for word in rest if word not in _SHADES] + unheard
    second, rest = _read_colour(rest, fabric_name)
    if second is not None and pattern is None and "accent" not in entry:
        pattern = "stripes"
    accent = second or (_certain(entry["accent"], "") if "accent" in entry else contrasting(colour))
    fabric = Fabric(**(fabrics[fabric_name] | {"grain": tuple(fabrics[fabric_name]["grain"])}))
    values["details"] = tuple(entry.get("details", ()))
    return Garment(
        **values, pattern=pattern or "", fabric=fabric, fabric_name=fabric_name, colour=colour, accent=accent
    ), rest


_PLAIN_FIELDS = {each.name for each in dataclasses.fields(Garment)} - {
    "fabric", "colour", "fabric_name", "accent", "details", "pattern",
}  # fmt: skip


def _take(words: list[str], table: dict[str, Any]) -> tuple[Any, list[str]]:
    """The table's value of the first of its names, of two words or one, and the other words."""
    for length in (2, 1):
        for place in range(len(words) - length + 1):
            name = " ".join(words[place : place + length])
            if name in table:
                return table[name], words[:place] + words[place + length :]
    return None, words


def _read_colour(words: list[str], fabric: str) -> tuple[Rgb | None, list[str]]:
    """The first colour that is named, with the shades before it, and the other words."""
    for place in range(len(words)):
        for length in (2, 1):
            colour = named_colour(words[place : place + length], fabric)
            if colour is not None:
                shades = [word for word in words[:place] if word in _SHADES] if length == 1 else []
                before = [word for word in words[:place] if word not in shades]
                shade, unheard = _shade(colour, shades)
                return shade, unheard + before + words[place + length :]
    return None, words


def _certain(name: str, fabric: str) -> Rgb:
    colour = named_colour([name], fabric)
    if colour is None:
        raise ValueError(f"wardrobe.toml names an unknown colour: {name}")
    return colour


def _shade(colour: Rgb, shades: list[str]) -> tuple[Rgb, list[str]]:
    """A colour in a shade, and the words that change nothing, such as a second "dark" before black."""
    lifts = [_SHADES[word] for word in shades]
    whole = shaded(colour, sum(lifts))
    others = [sum(lifts[:place]) + sum(lifts[place + 1 :]) for place in range(len(lifts))]
    return whole, [word for word, lift in zip(shades, others, strict=True) if shaded(colour, lift) == whole]


def _tucked_in(garments: list[Garment]) -> list[Garment]:
    """Under a belt a shirt is worn inside the trousers."""
    slots = {garment.slot for garment in garments}
    if not {"waist", "lower"} <= slots:
        return garments
    return [
        dataclasses.replace(garment, layer=_TUCKED) if garment.slot == "upper" and garment.layer == _SHIRT else garment
        for garment in garments
    ]


def _decent(garments: list[Garment]) -> tuple[list[Garment], tuple[str, ...]]:
    """Nobody is undressed by a prompt that forgets a half: plain grey is put on there."""
    added: list[str] = []
    if not any(garment.slot == "upper" for garment in garments):
        added.append("grey tank top")
    long_upper = any(garment.slot == "upper" and garment.hem < -0.4 for garment in garments)
    if not long_upper and not any(garment.slot == "lower" for garment in garments):
        added.append("grey shorts")
    return garments + [_made_of(phrase) for phrase in added], tuple(added)
