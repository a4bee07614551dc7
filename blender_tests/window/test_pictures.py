"""The documentation's pictures of panels and preferences, from a real window with something real in each of them.

`docs_pictures.py` copies those that the documentation shows from out/window to docs/images.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from desk import Desk
from PIL import Image
from test_window import ADD_MANNEQUIN, GENERATE, JOB_S, PROMPT

# So tall that the whole tab is to be seen at once; large letters, for screens with many pixels.
TALL = {"size": (1300, 4300), "scale": 1.5}
PROMPTS = (PROMPT, "wearing grey suit, white shirt, black shoes", "wearing red t-shirt, black shorts")
CAST = """face,prompt,subject,name,preset
portrait.png,"wearing green dress, brown shoes",young woman,Ada,
portrait.png,"wearing grey suit, black shoes",tall man,Ben,athlete
nobody.png,wearing blue jeans,elderly man,Chen,
portrait.png,"wearing yellow raincoat, blue jeans",child,Dora,child
"""
CLOSED = ("maps", "region", "cast", "history", "material", "export")


@pytest.mark.desk(**TALL)
def test_panels(desk: Desk) -> None:
    user, orders = desk.user, desk.orders
    user.press("Delete")
    user.open_tab()
    user.click(ADD_MANNEQUIN)
    user.wait("there is a body", lambda seen: seen["settings"]["body_layout"])
    (desk.folder / "cast.csv").write_text(CAST, encoding="utf-8")
    orders.give("save_file", path=str(desk.folder / "character.blend"))
    user.fill("face_image", str(desk.portrait))
    for number, prompt in enumerate(PROMPTS):
        orders.give("set_values", values={"prompt": prompt, "seed": number, "size": "512", "subject": "woman"})
        user.click(GENERATE)
        user.wait("it is worn", lambda seen, made=number: len(seen["history"]) > made, JOB_S)
    user.wait("the photo was looked at", lambda seen: seen["face"] and seen["face"]["faces"] == 1)
    orders.give("set_cast", values={"source": str(desk.folder / "cast.csv"), "out": str(desk.folder / "cast")})
    orders.give("call", operator="cast_start", options={})
    ended = ("done", "failed", "stopped")
    user.wait("the cast has ended", lambda seen: all(state in ended for state in seen["cast"] or [""]), JOB_S)
    assert user.look()["cast"] == ["done", "done", "failed", "done"]
    open_all(desk)
    orders.give("set_values", values={"prompt": PROMPTS[0], "region_parts": ["torso"]})
    fill_the_queue(desk)
    headers = user.headers()
    whole = desk.photograph("all")
    for page, picture in cut(whole, headers, user.sidebar):
        picture.save(desk.pictures / f"{page}.png")
        assert looks_drawn(picture), page
    assert set(headers) >= {"body", "face", "prompt", "generate", "queue", *CLOSED}


def open_all(desk: Desk) -> None:
    """Open the closed parts, the lowest first, which moves none of those above it."""
    headers = desk.user.headers()
    for page in sorted(set(CLOSED) & set(headers), key=lambda page: -headers[page]):
        desk.user.toggle(headers[page])


def fill_the_queue(desk: Desk) -> None:
    """A job that runs and shows what it has, two that wait, and one that was cancelled."""
    desk.orders.give("set_values", values={"size": "4096", "variations": 4, "seed": 11})
    desk.user.click(GENERATE)
    desk.orders.give("call", operator="cancel", options={})
    desk.user.wait(
        "there is something to see of the first one",
        lambda seen: any(row["state"] == "running" and row["fraction"] > 0.2 for row in seen["queue"]),
        JOB_S,
    )


def cut(
    whole: Image.Image, headers: dict[str, int], sidebar: tuple[int, int, int, int]
) -> Iterator[tuple[str, Image.Image]]:
    """Each panel, from its header to the next one."""
    left, _top, right, bottom = sidebar
    places = sorted(headers.items(), key=lambda item: item[1])
    for (page, top), (_next, end) in zip(places, [*places[1:], ("", bottom)], strict=True):
        yield page, whole.crop((left, top, right, end))


def looks_drawn(picture: Image.Image) -> bool:
    """More than one colour, in more than a line."""
    pixels = np.asarray(picture.convert("L"), np.int16)
    return bool((np.ptp(pixels, axis=1) > 40).sum() > 10)
