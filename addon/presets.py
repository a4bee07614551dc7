"""Prompts that come with the extension, as data: `assets/prompts.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROMPTS_FILE = Path(__file__).parent / "assets" / "prompts.toml"


@dataclass(frozen=True, slots=True)
class Preset:
    """One prompt.

    Attributes:
        name: What a menu calls it.
        prompt: What the person wears.
        subject: The person in words; empty leaves the subject as it is.
    """

    name: str
    prompt: str
    subject: str = ""


@cache
def presets(path: Path = PROMPTS_FILE) -> tuple[Preset, ...]:
    """The presets of a file, in its order."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(Preset(**entry) for entry in table["preset"])
