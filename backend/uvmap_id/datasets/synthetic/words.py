"""What synthetic people wear: prompts of the wardrobe's words, drawn by chance."""

from __future__ import annotations

import numpy as np

from uvmap_id.datasets.synthetic.identity import Identity

_COLOURS = (
    *("white", "black", "grey", "navy", "blue", "light blue", "red", "burgundy", "green", "dark green", "olive"),
    *("beige", "brown", "yellow", "orange", "pink", "purple", "teal", "turquoise", "cream"),
)
_QUIET = ("black", "grey", "navy", "blue", "beige", "brown", "olive", "white")
_PATTERNS = ("", "", "", "", "striped ", "plaid ", "checked ", "polka dot ")
_TOPS = ("shirt", "t-shirt", "sweater", "hoodie", "polo", "cardigan", "tank top", "jacket", "denim jacket")
_LOWER = {
    "woman": ("jeans", "trousers", "shorts", "leggings", "skirt", "midi skirt"),
    "man": ("jeans", "trousers", "shorts", "sweatpants", "suit trousers"),
}
_SHOES = {"woman": ("shoes", "sneakers", "boots", "heels"), "man": ("shoes", "sneakers", "boots")}
# None of these hides the hair.
_OUTFITS = {
    "woman": ("business suit", "doctor", "chef", "tracksuit", "superhero costume"),
    "man": ("business suit", "tuxedo", "doctor", "chef", "tracksuit", "superhero costume"),
}
_WHOLE = 0.14  # The share of people in an outfit that has a name of its own.
_DRESSED = 0.15  # The share of women in a dress.


def clothes(person: Identity, number: int) -> str:
    """The prompt of the person's texture of a number."""
    random = person.random(f"clothes {number}")
    kind = float(random.random())
    if kind < _WHOLE:
        return f"wearing a {_one(random, _OUTFITS[person.gender])}"
    if person.gender == "woman" and kind < _WHOLE + _DRESSED:
        return f"wearing a {_one(random, _COLOURS)} dress, {_one(random, _QUIET)} {_one(random, _SHOES['woman'])}"
    top = f"{_one(random, _COLOURS)} {_one(random, _PATTERNS)}{_one(random, _TOPS)}"
    lower = f"{_one(random, _QUIET)} {_one(random, _LOWER[person.gender])}"
    return f"wearing a {top}, {lower}, {_one(random, _QUIET)} {_one(random, _SHOES[person.gender])}"


def _one(random: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(random.integers(len(words)))]
