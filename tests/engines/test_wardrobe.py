"""The grammar of prompts: as the field writes them, and anything else that people type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.engines.projection.wardrobe import Garment, Outfit, read_prompt


def worn(outfit: Outfit, name: str) -> Garment:
    (garment,) = [garment for garment in outfit.garments if garment.name == name]
    return garment


def is_grey(colour: tuple[int, int, int]) -> bool:
    return max(colour) - min(colour) < 25


def test_the_prompt_of_the_demo() -> None:
    outfit = read_prompt("wearing white shirt, blue jeans")
    assert [garment.name for garment in outfit.garments] == ["jeans", "shirt"]
    assert min(worn(outfit, "shirt").colour) > 215
    red, green, blue = worn(outfit, "jeans").colour
    assert blue > green > red
    assert outfit.ignored == outfit.added == ()


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("wearing white top, green pants", ["trousers", "t-shirt"]),
        ("Wearing White Shirt, jeans, yellow hat", ["jeans", "shirt", "hat"]),
        ("a woman in a red dress and black boots", ["boots", "dress"]),
        ("black leather jacket with blue jeans", ["jeans", "jacket"]),
        ("grey hoodie; dark trousers; white sneakers", ["shoes", "trousers", "sweater"]),
    ],
)
def test_prompts_of_the_field(prompt: str, names: list[str]) -> None:
    garments = [garment.name for garment in read_prompt(prompt).garments]
    assert [name for name in garments if name != "tank top"] == names


def test_a_fabric_and_sleeves_can_be_named() -> None:
    assert worn(read_prompt("black leather jacket"), "jacket").fabric.roughness < 0.5
    long, short = worn(read_prompt("shirt"), "shirt"), worn(read_prompt("short-sleeved shirt"), "shirt")
    assert short.sleeve < long.sleeve
    assert worn(read_prompt("sleeveless shirt"), "shirt").sleeve < short.sleeve


def test_shades_make_a_colour_lighter_or_darker() -> None:
    dark, plain, light = (
        sum(worn(read_prompt(f"{shade} green shirt"), "shirt").colour) for shade in ("dark", "", "light")
    )
    assert dark < plain < light


def test_colours_of_css_are_known() -> None:
    red, green, blue = worn(read_prompt("teal sweater"), "sweater").colour
    assert red < 30
    assert green == blue > 100


@pytest.mark.parametrize(("prompt", "bald"), [("bald man, suit jacket", True), ("red hair, shirt", False)])
def test_hair(prompt: str, bald: bool) -> None:
    outfit = read_prompt(prompt)
    assert outfit.bald is bald
    assert (outfit.hair is None) is bald


def test_what_is_not_known_is_reported() -> None:
    outfit = read_prompt("white shirt, riding a unicorn, blue jeans with glitter")
    assert outfit.ignored == ("riding unicorn", "glitter")
    assert [garment.name for garment in outfit.garments] == ["jeans", "shirt"]


def test_nobody_is_left_undressed() -> None:
    assert read_prompt("smiling").added == ("grey tank top", "grey shorts")
    assert read_prompt("red shirt").added == ("grey shorts",)
    assert read_prompt("red dress").added == ()
    assert all(is_grey(garment.colour) for garment in read_prompt("smiling").garments)


@given(st.text(max_size=500))
def test_no_prompt_crashes(prompt: str) -> None:
    outfit = read_prompt(prompt)
    assert any(garment.slot == "upper" for garment in outfit.garments)
    for garment in outfit.garments:
        assert all(0 <= channel <= 255 for channel in garment.colour)


words = st.sampled_from(
    "dark light blue white leather denim long-sleeved shirt jeans hat bald blonde hair and , with".split()
)


@given(st.lists(words, max_size=12).map(" ".join))
def test_no_order_of_known_words_crashes(prompt: str) -> None:
    assert read_prompt(prompt).garments
