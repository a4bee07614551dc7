"""The documentation's pictures of panels and preferences, from a real window with something real in each of them.

`docs_pictures.py` copies those that the documentation shows from out/gui to docs/images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from desk import Desk
from PIL import Image
from test_window import JOB_S, PROMPT

# So tall that the whole tab is to be seen at once; large letters, for screens with many pixels.
TALL = {"size": (900, 4700), "scale": 1.25}
PROMPTS = (PROMPT, "wearing grey suit, white shirt, black shoes", "wearing red t-shirt, black shorts")
CAST = """face,prompt,subject,name,preset
portrait.png,"wearing green dress, brown shoes",young woman,Ada,
portrait.png,"wearing grey suit, black shoes",tall man,Ben,athlete
nobody.png,wearing blue jeans,elderly man,Chen,
portrait.png,"wearing yellow raincoat, blue jeans",child,Dora,child
"""
# Between the top of a header and that of its help button.
MARGIN = 4
# What the sidebar shows of the scene beside its panels.
SIDE = 12
CLOSED = ("shape", "pose", "region", "maps", "advanced", "cast", "history", "material", "export")


@pytest.mark.desk(**TALL)
def test_panels(desk: Desk) -> None:
    user, orders = desk.user, desk.orders
    user.open_tab()
    fill(desk)
    open_all(desk)
    headers, (left, _top, right, bottom) = user.headers(), user.sidebar
    assert set(headers) >= {"body", "face", "prompt", "generate", "queue", *CLOSED}
    sides, pages = (left + SIDE, right - SIDE), list(headers)
    whole = desk.photograph("all")
    ends = [*list(headers.values())[1:], last_written(whole.crop((sides[0], 0, sides[1], bottom)))]
    for (page, top), end in zip(headers.items(), ends, strict=True):
        keep(desk, page, whole.crop((sides[0], top - MARGIN, sides[1], end - MARGIN)))
    fill_the_queue(desk)
    busy = desk.photograph("queue_running")
    top, end = user.help_tops(busy)[pages.index("queue") :][:2]
    keep(desk, "queue", busy.crop((sides[0], top - MARGIN, sides[1], end - MARGIN)))
    orders.give("call", operator="cancel_all", options={})


def fill(desk: Desk) -> None:
    """Something in each panel: a body, a photo, three textures and a cast of four, of whom one can't be made."""
    user, orders = desk.user, desk.orders
    (desk.folder / "cast.csv").write_text(CAST, encoding="utf-8")
    orders.give("clear")
    orders.give("save_file", path=str(desk.folder / "character.blend"))
    orders.give("call", operator="add_mannequin", options={})
    orders.give("set_values", values={"face_image": "//portrait.png", "size": "512", "subject": "young woman"})
    user.wait("the photo was looked at", lambda seen: seen["face"] and seen["face"]["faces"] == 1)
    orders.give("set_cast", values={"source": "//cast.csv", "out": "//cast"})
    orders.give("call", operator="cast_start", options={})
    ended = ("done", "failed", "stopped")
    user.wait("the cast has ended", lambda seen: all(state in ended for state in seen["cast"] or [""]), JOB_S)
    assert user.look()["cast"] == ["done", "done", "failed", "done"]
    made = len(user.look()["history"])
    for number, prompt in enumerate(PROMPTS):
        orders.give("set_values", values={"prompt": prompt, "seed": number})
        orders.give("call", operator="generate", options={})
    user.wait("all are worn", lambda seen: len(seen["history"]) == made + len(PROMPTS), JOB_S)
    orders.give("set_values", values={"prompt": PROMPTS[0], "seed": 7, "size": "1024", "region_parts": ["torso"]})


def open_all(desk: Desk) -> None:
    """Open the closed parts, the lowest first, which moves none of those above it."""
    headers = desk.user.headers()
    for page in sorted(set(CLOSED) & set(headers), key=lambda page: -headers[page]):
        desk.user.toggle(headers[page])


def fill_the_queue(desk: Desk) -> None:
    """A job that runs, two that wait, and one that was cancelled."""
    desk.orders.give("set_values", values={"size": "4096", "variations": 4, "seed": 11})
    desk.orders.give("call", operator="generate", options={})
    desk.orders.give("call", operator="cancel", options={})
    desk.user.wait(
        "the first one is on its way",
        lambda seen: any(row["state"] == "running" and row["fraction"] > 0.2 for row in seen["queue"]),
        JOB_S,
    )


def keep(desk: Desk, page: str, picture: Image.Image) -> None:
    """Keep the picture of a panel, which is to show something."""
    picture.save(desk.pictures / f"{page}.png")
    assert len(written(picture)) > 10, page


def last_written(picture: Image.Image) -> int:
    """The end of the last panel: below its last words."""
    return int(written(picture)[-1]) + 4 * MARGIN


def written(picture: Image.Image) -> Any:
    """The rows of a picture in which something stands out."""
    return np.flatnonzero(np.ptp(np.asarray(picture.convert("L"), np.int16), axis=1) > 110)
