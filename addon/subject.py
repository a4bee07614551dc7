"""From a person in words to the mannequin's sliders. The words are data: `assets/subject_words.toml`."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WORDS_FILE = Path(__file__).parent / "assets" / "subject_words.toml"

_AGE = re.compile(r"(\d{1,3})(?:-?years?-?olds?|-?yo|s)?")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a subject says about a body.

    Attributes:
        sliders: The sliders that it names, -1 to 1; ancestries only where the user wrote one.
        unknown: Its words that say nothing about a body, or that are not known.
    """

    sliders: dict[str, float]
    unknown: tuple[str, ...]


def read_subject(text: str, path: Path = WORDS_FILE) -> Reading:
    """Read a subject such as "young asian woman" or "a 60-year-old stocky man".

    Of two words for one slider the later counts, but ancestries are mixed, and an age in years beats words for it.

    Args:
        text: The person in words.
        path: A word list.
    """
    lists = tomllib.loads(path.read_text(encoding="utf-8"))
    sliders: dict[str, float] = {}
    exact: dict[str, float] = {}
    unknown: list[str] = []
    for word in re.findall(r"[\w'-]+", text.lower()):
        age = _AGE.fullmatch(word)
        if age:
            exact["age"] = _age_slider(int(age[1]), lists["years"])
        elif word in lists["words"]:
            sliders |= lists["words"][word]
        elif word not in lists["passed_over"]:
            unknown.append(word)
    return Reading(sliders | exact, tuple(unknown))


def _age_slider(years: int, table: Sequence[tuple[float, float]]) -> float:
    """The slider for an age, between the table's pairs of years and slider in a straight line."""
    after = bisect_right([pair[0] for pair in table], years)
    if after in (0, len(table)):
        return table[min(after, len(table) - 1)][1]
    (younger, low), (older, high) = table[after - 1 : after + 1]
    return low + (high - low) * (years - younger) / (older - younger)
