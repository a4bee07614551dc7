"""From the empty window to the textured body by mouse and keyboard, with a backend that Blender starts itself."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from desk import Desk
from PIL import Image

from uvmap_id.link.connection import read_connection

PROMPT = "wearing white shirt, blue jeans"
GENERATE, ADD_MANNEQUIN = "uvmap_id.generate()", "uvmap_id.add_mannequin()"
MAPS = {"base_color.png", "normal.png", "roughness.png"}
JOB_S = DRAWING_S = 240.0
LOST_S = 60.0
# Shares of the viewport's pixels. A grey mannequin leaves the axes' lines as the only colour.
GREY, JEANS, SKIN = 0.01, 0.03, 0.005
_TINT = 20


def test_generate(desk: Desk) -> None:
    user = desk.user
    desk.photograph("01_open")
    add_mannequin(desk)
    desk.photograph("02_mannequin")
    fill_in(desk)
    user.shade("MATERIAL")
    assert share_of_colour(desk, desk.photograph("03_filled_in")) < GREY
    assert user.look()["images"] == []
    user.click(GENERATE)
    user.wait("the job runs", lambda seen: seen["settings"]["progress"] > 0, JOB_S)
    desk.photograph("04_running")
    seen = wait_for_the_end(desk)
    assert seen["settings"]["error"] == ""
    assert_worn(seen, size=1024)
    jeans, skin = wait_for_colour(desk)
    desk.photograph("05_textured")
    assert jeans > JEANS
    assert skin > SKIN
    assert all(image["loaded"] for image in user.look()["images"])
    user.press("ctrl+z")
    user.wait("the texture is off again", lambda seen: seen["images"] == [])
    assert share_of_colour(desk, desk.photograph("06_undone")) < GREY


def test_backend_killed(desk: Desk) -> None:
    user = desk.user
    add_mannequin(desk)
    fill_in(desk)
    user.turn("size", "4096")
    user.click(GENERATE)
    user.wait("the job runs", lambda seen: seen["settings"]["progress"] > 0, JOB_S)
    killed = read_connection(desk.state)
    os.kill(killed.pid, signal.SIGKILL)
    desk.photograph("01_killed")
    seen = wait_for_the_end(desk)
    desk.photograph("02_what_the_panel_says")
    if seen["settings"]["state"] != "done":
        assert seen["settings"]["error"].startswith("backend_lost: ")
        assert seen["images"] == []
        user.turn("size", "512")
        user.click(GENERATE)
        user.wait("a new job runs", lambda seen: seen["settings"]["state"] != "failed")
        seen = wait_for_the_end(desk)
    assert seen["settings"]["state"] == "done", seen["settings"]["error"]
    assert_worn(seen, size=int(seen["settings"]["size"]))
    assert read_connection(desk.state).boot != killed.boot
    desk.photograph("03_started_anew")


def add_mannequin(desk: Desk) -> None:
    """Delete the cube, open the tab, add the body and look at its front."""
    desk.user.press("Delete")
    desk.user.open_tab()
    desk.user.click(ADD_MANNEQUIN)
    desk.user.wait("there is a body", lambda seen: seen["settings"]["body_layout"])
    desk.user.press("KP_1", "KP_Decimal", "alt+a")


def fill_in(desk: Desk) -> None:
    desk.user.fill("face_image", str(desk.portrait))
    desk.user.fill("prompt", PROMPT)


def wait_for_the_end(desk: Desk) -> dict[str, Any]:
    ended = ("done", "failed", "cancelled")
    return desk.user.wait("the job has ended", lambda seen: seen["settings"]["state"] in ended, JOB_S)


def assert_worn(seen: dict[str, Any], size: int) -> None:
    """The body wears the images of the result that the panel names, and Blender has read them."""
    result = Path(seen["settings"]["result"])
    worn = {Path(image["path"]).name: image for image in seen["images"] if Path(image["path"]).parent == result}
    assert set(worn) >= MAPS
    assert worn["base_color.png"]["size"] == [size, size]


def wait_for_colour(desk: Desk) -> tuple[float, float]:
    """Wait until the viewport shows blue, which takes its shaders some time; the shares of blue and of skin."""
    deadline = time.monotonic() + DRAWING_S
    while True:
        blue, red = colours(desk, desk.screen.photograph())
        if blue > JEANS or time.monotonic() > deadline:
            return blue, red
        desk.user.settle()


def share_of_colour(desk: Desk, picture: Image.Image) -> float:
    return sum(colours(desk, picture))


def colours(desk: Desk, picture: Image.Image) -> tuple[float, float]:
    """Which shares of the viewport's pixels are clearly bluer than red, and clearly redder than blue."""
    pixels = np.asarray(picture.crop(desk.user.viewport), dtype=np.int16)
    blueness = pixels[..., 2] - pixels[..., 0]
    return float((blueness > _TINT).mean()), float((blueness < -_TINT).mean())
