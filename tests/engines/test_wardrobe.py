"""The grammar of prompts: as the field writes them, and anything else that people type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.engines.projection.details import detail
from uvmap_id.engines.projection.garments import Garment, definitions
from uvmap_id.engines.projection.wardrobe import Outfit, read_prompt


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
        ("black leather jacket with blue jeans", ["jeans", "biker jacket"]),
        ("wearing white top, blue pants, sunglasses", ["trousers", "t-shirt", "sunglasses"]),
        ("wearing white top, green pants, glasses", ["trousers", "t-shirt", "glasses"]),
        ("grey hoodie; dark trousers; white sneakers", ["sneakers", "trousers", "hoodie"]),
    ],
)
def test_prompts_of_the_field(prompt: str, names: list[str]) -> None:
    garments = [garment.name for garment in read_prompt(prompt).garments]
    assert [name for name in garments if name != "tank top"] == names


def test_a_fabric_and_sleeves_can_be_named() -> None:
    assert worn(read_prompt("black leather coat"), "coat").fabric.roughness < 0.5
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


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("business suit", {"suit jacket", "suit trousers", "shirt", "tie"}),
        ("military soldier costume", {"tunic", "combat trousers", "helmet", "combat boots"}),
        ("military solider costume", {"tunic", "combat trousers", "helmet", "combat boots"}),
        ("santa claus costume", {"santa coat", "santa hat", "belt"}),
        ("superhero costume", {"bodysuit", "leggings", "briefs", "emblem"}),
        ("policeman", {"uniform shirt", "police cap", "badge"}),
        ("sport, green", {"t-shirt", "sports shorts", "sneakers"}),
    ],
)
def test_outfits_are_combinations(prompt: str, pieces: set[str]) -> None:
    outfit = read_prompt(prompt)
    assert pieces <= {garment.name for garment in outfit.garments}
    assert outfit.ignored == outfit.added == ()


def test_a_colour_is_for_the_outfits_main_pieces_only() -> None:
    for prompt in ("green sport", "sport, green"):
        outfit = read_prompt(prompt)
        red, green, blue = worn(outfit, "t-shirt").colour
        assert green > max(red, blue) + 20
        assert is_grey(worn(outfit, "sneakers").colour)


def test_a_later_piece_replaces_the_outfits() -> None:
    red, green, blue = worn(read_prompt("black suit and red tie"), "tie").colour
    assert red > 2 * max(green, blue)


def test_two_colours_make_a_pattern() -> None:
    shirt = worn(read_prompt("red and white striped shirt"), "shirt")
    assert shirt.pattern == "stripes"
    assert shirt.colour[0] > 2 * shirt.colour[2]
    assert min(shirt.accent) > 215


@pytest.mark.parametrize(
    ("words", "pattern"),
    [("plaid", "plaid"), ("polka dot", "dots"), ("camo", "camouflage"), ("checkered", "check"), ("plain", "")],
)
def test_patterns(words: str, pattern: str) -> None:
    outfit = read_prompt(f"{words} shirt")
    assert worn(outfit, "shirt").pattern == pattern
    assert outfit.ignored == ()


def test_lengths_before_or_after_the_garment() -> None:
    before, after = (worn(read_prompt(prompt), "dress") for prompt in ("long red dress", "red dress, long"))
    assert before == after
    assert before.hem < worn(read_prompt("red dress"), "dress").hem < worn(read_prompt("mini dress"), "dress").hem


def test_garments_come_in_the_order_of_dressing() -> None:
    names = [garment.name for garment in read_prompt("glasses, coat, tie, shirt, jeans, socks").garments]
    assert names == ["socks", "jeans", "shirt", "tie", "coat", "glasses"]


def test_a_belt_is_worn_over_a_shirt_that_is_tucked_in() -> None:
    names = [garment.name for garment in read_prompt("shirt, jeans, belt").garments]
    assert names == ["shirt", "jeans", "belt"]
    assert [garment.name for garment in read_prompt("shirt, jeans").garments] == ["jeans", "shirt"]


def test_every_definition_can_be_worn() -> None:
    """Whatever the data names, fabrics, colours and details, exists."""
    for kind in ("garment", "outfit"):
        for entry in definitions()[kind]:
            for words in entry["words"]:
                outfit = read_prompt(words)
                assert outfit.ignored == (), words
                assert len(outfit.garments) > len(outfit.added), words
                assert all(detail(name) for piece in outfit.garments if piece.slot != "eyes" for name in piece.details)


@given(st.text(max_size=500))
def test_no_prompt_crashes(prompt: str) -> None:
    outfit = read_prompt(prompt)
    assert any(garment.slot == "upper" for garment in outfit.garments)
    for garment in outfit.garments:
        assert all(0 <= channel <= 255 for channel in garment.colour)


words = st.sampled_from(
    "dark light blue white leather denim long-sleeved shirt jeans hat bald blonde hair and , with striped polka dots "
    "suit police santa superhero costume glasses tie long mini camo knee-length { } - \u00e9 \u2013 \u0130".split()
)


@given(st.lists(words, max_size=12).map(" ".join))
def test_no_order_of_known_words_crashes(prompt: str) -> None:
    assert read_prompt(prompt).garments


def test_two_colours_and_no_garment() -> None:
    for prompt in ("red and green", "green, red"):
        shirt = worn(read_prompt(prompt), "t-shirt")
        assert shirt.pattern == "stripes"
        assert {"red", "green"} == {"red" if max(rgb) == rgb[0] else "green" for rgb in (shirt.colour, shirt.accent)}
    assert read_prompt("red and green and blue").ignored == ("blue",)


@pytest.mark.parametrize(
    ("prompt", "ignored"),
    [
        ("red shirt, teal shirt", ("red shirt",)),
        ("red hair, black hair, shirt", ("red hair",)),
        ("bald, red hair", ("red hair",)),
        ("dark hair, red hair", ("dark hair",)),
        ("red dress, \u043a\u0440\u0430\u0441\u043d\u0430\u044f hat", ("\u043a\u0440\u0430\u0441\u043d\u0430\u044f",)),
        ("red and green superhero", ("green",)),
        ("dark dark pale hat", ("pale",)),
    ],
)
def test_what_another_word_outdoes_is_reported(prompt: str, ignored: tuple[str, ...]) -> None:
    assert read_prompt(prompt).ignored == ignored


def test_a_shade_is_for_the_colour_after_it() -> None:
    shirt = worn(read_prompt("dark blue and pale green striped shirt"), "shirt")
    assert sum(shirt.colour) < sum(worn(read_prompt("blue shirt"), "shirt").colour)
    assert sum(shirt.accent) > sum(worn(read_prompt("green shirt"), "shirt").colour)


telling = st.sampled_from(
    [
        *"teal maroon orange dark pale plaid camo shirt jeans hat skirt coat policeman sport smiling bald".split(),
        *", ; and with tall velvet".split(),
        "auburn hair",
    ]
)


@given(st.lists(telling, max_size=9))
def test_no_word_is_dropped_in_silence(words: list[str]) -> None:
    """A word either changes what is worn, or is reported."""
    whole = read_prompt(" ".join(words))
    reported = {word for phrase in whole.ignored for word in phrase.split()}
    for place, word in enumerate(words):
        if word in (",", ";", "and", "with") or words.count(word) > 1 or set(word.split()) & reported:
            continue
        without = read_prompt(" ".join(words[:place] + words[place + 1 :]))
        assert (without.garments, without.hair, without.bald) != (whole.garments, whole.hair, whole.bald), word
