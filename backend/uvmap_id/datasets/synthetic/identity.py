"""Who a synthetic person is: a few dozen numbers, drawn by chance from a seed and the person's number."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GROUPS = ("african", "asian", "white")
GENDERS = ("woman", "man")
STYLES = ("bald", "buzzed", "short", "cropped", "full", "bob", "long")
YOUNGEST, OLDEST = 18, 75


class Trait(NamedTuple):
    """The range that a number is drawn from, evenly; `power` above 1 makes low values likelier."""

    low: float
    high: float
    power: float = 1.0


# What everybody has. Lengths are shares of the feature's usual length unless a name says more.
TRAITS: Mapping[str, Trait] = {
    "head_width": Trait(-1, 1),
    "jaw_width": Trait(-1, 1),
    "chin_length": Trait(-1, 1),
    "nose_length": Trait(-1, 1),
    "nose_width": Trait(-1, 1),
    "cheekbones": Trait(-1, 1),
    "forehead": Trait(-1, 1),
    "weight": Trait(-0.7, 0.7),
    "hairline": Trait(-1, 1),
    "parting": Trait(-1, 1),
    "curl": Trait(0, 1),
    "brow_height": Trait(-1, 1),
    "brow_arch": Trait(-1, 1),
    "brow_tilt": Trait(-1, 1),
    "brow_length": Trait(-1, 1),
    "brow_weight": Trait(-1, 1),
    "eye_open": Trait(-1, 1),
    "iris_size": Trait(-1, 1),
    "lid_crease": Trait(0, 1),
    "eye_shade": Trait(0, 1),
    "lip_width": Trait(-1, 1),
    "upper_lip": Trait(-1, 1),
    "lower_lip": Trait(-1, 1),
    "lip_red": Trait(0, 1),
    "flush": Trait(0, 1),
    "freckles": Trait(0, 1, 3.0),
    "moles": Trait(0, 1),
    "philtrum": Trait(0, 1),
}
# Pigments by group: the ranges don't overlap between the darkest and the lightest group, and those between differ in
# their yellow. They are stylised: within real groups skin varies more.
PIGMENTS: Mapping[str, Mapping[str, Trait]] = {
    "african": {"melanin": Trait(1.05, 2.3), "blood": Trait(-0.2, 0.9), "yellow": Trait(0.0, 0.6)},
    "asian": {"melanin": Trait(0.30, 0.72), "blood": Trait(-0.6, 0.3), "yellow": Trait(0.5, 1.2)},
    "white": {"melanin": Trait(0.02, 0.38), "blood": Trait(-0.2, 0.8), "yellow": Trait(-0.3, 0.3)},
}
# Hair as eumelanin and pheomelanin, eyes as how light and how blue they are.
_HAIR = {
    "african": {"hair_dark": Trait(0.85, 1.0), "hair_red": Trait(0.0, 0.2)},
    "asian": {"hair_dark": Trait(0.78, 1.0), "hair_red": Trait(0.0, 0.25)},
    "white": {"hair_dark": Trait(0.08, 0.95), "hair_red": Trait(0.0, 1.0, 2.0)},
}
_EYES = {
    "african": {"eye_light": Trait(0.0, 0.25), "eye_blue": Trait(0.0, 0.1)},
    "asian": {"eye_light": Trait(0.05, 0.35), "eye_blue": Trait(0.0, 0.1)},
    "white": {"eye_light": Trait(0.2, 1.0), "eye_blue": Trait(0.0, 1.0)},
}
_STYLES = {
    "woman": {"buzzed": 0.05, "short": 0.12, "cropped": 0.13, "full": 0.15, "bob": 0.25, "long": 0.30},
    "man": {"bald": 0.14, "buzzed": 0.24, "short": 0.28, "cropped": 0.20, "full": 0.14},
}
_BEARDS = {"none": 0.34, "shadow": 0.26, "moustache": 0.10, "goatee": 0.12, "full": 0.18}
BEARDS = tuple(_BEARDS)


@dataclass(frozen=True, slots=True)
class Identity:
    """A person who doesn't exist.

    Attributes:
        number: From 0; neighbours differ in group and gender, so that every even run of six is balanced.
        seed: For everything about the person that no trait says, such as where each freckle is.
        group: One of `GROUPS`.
        gender: One of `GENDERS`.
        age: Years.
        style: Of the hair, one of `STYLES`.
        beard: One of `BEARDS`; "none" for women.
        traits: Numbers by name: `TRAITS`, pigments, hair, eyes, and what age brings.
    """

    number: int
    seed: int
    group: str
    gender: str
    age: float
    style: str
    beard: str
    traits: Mapping[str, float]

    def __getitem__(self, trait: str) -> float:
        return self.traits[trait]

    @property
    def name(self) -> str:
        """How the person is called in a dataset."""
        return f"synthetic-{self.number:06d}"

    def random(self, purpose: str) -> np.random.Generator:
        """A source of chance for one purpose, the same each time."""
        return np.random.default_rng(stable_hash(self.seed, purpose))

    def vector(self) -> NDArray[np.float64]:
        """(D,) all that is known of the person, each number of about unit range; see `vector_names`."""
        ranges = {**TRAITS, **_widest(PIGMENTS), **_widest(_HAIR), **_widest(_EYES), **_AGEING}
        scaled = [(self.traits[name] - part.low) / (part.high - part.low) * 2 - 1 for name, part in ranges.items()]
        chosen = (self.group, self.gender, self.style, self.beard)
        kinds = (GROUPS, GENDERS, STYLES, BEARDS)
        marks = [float(word == one) for one, words in zip(chosen, kinds, strict=True) for word in words]
        years = (self.age - YOUNGEST) / (OLDEST - YOUNGEST) * 2 - 1
        return np.array([*scaled, years, *marks])


_AGEING = {"grey": Trait(0, 1), "lines": Trait(0, 1), "makeup": Trait(0, 1), "receding": Trait(0, 1)}


def stable_hash(*parts: object) -> int:
    """63 bits that are the same in every process and on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def drawn(seed: int, number: int) -> Identity:
    """The person of a number in the crowd of a seed; nobody else in it matters."""
    group = GROUPS[number % len(GROUPS)]
    gender = GENDERS[number // len(GROUPS) % len(GENDERS)]
    own = stable_hash("identity", seed, number)
    random = np.random.default_rng(own)
    ranges = {**TRAITS, **PIGMENTS[group], **_HAIR[group], **_EYES[group]}
    traits = {name: _number(part, random) for name, part in ranges.items()}
    age = YOUNGEST + (OLDEST - YOUNGEST) * float(random.random()) ** 1.4
    traits |= _aged(age, gender, random)
    style = _chosen(_STYLES[gender], random)
    beard = _chosen(_BEARDS, random) if gender == "man" else "none"
    return Identity(number, own, group, gender, age, style, beard, traits)


def _number(part: Trait, random: np.random.Generator) -> float:
    return part.low + (part.high - part.low) * float(random.random()) ** part.power


def _aged(age: float, gender: str, random: np.random.Generator) -> dict[str, float]:
    late = np.clip((age - 35) / 35, 0, 1)
    return {
        "grey": float(np.clip(late * (0.4 + random.random()) - 0.1, 0, 1)),
        "lines": float(np.clip((age - 28) / 42 * (0.75 + 0.4 * random.random()), 0, 1)),
        "makeup": float(random.random()) ** 1.5 if gender == "woman" else 0.0,
        "receding": float(np.clip(0.3 * random.random() + late * random.random(), 0, 1)) if gender == "man" else 0.0,
    }


def _chosen(shares: Mapping[str, float], random: np.random.Generator) -> str:
    return str(random.choice(list(shares), p=list(shares.values())))


def _widest(groups: Mapping[str, Mapping[str, Trait]]) -> dict[str, Trait]:
    names = next(iter(groups.values()))
    return {
        name: Trait(min(one[name].low for one in groups.values()), max(one[name].high for one in groups.values()))
        for name in names
    }
