"""A day's work at a window: errors and their buttons, a region anew, two windows, another file while a job runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from desk import Desk
from PIL import Image
from test_window import ADD_MANNEQUIN, GENERATE, JOB_S, PROMPT, add_mannequin, fill_in, wait_for_the_end

REGION, PAINT, DONE = "uvmap_id.generate_region()", "uvmap_id.paint_mask()", "uvmap_id.finish_mask()"
SHOW = "uvmap_id.show_texture()"
TORSO, STROKE = (0.02, 0.5), 0.0005
# A second window that is never drawn would stay at one or two.
DRAWN = 4


def test_errors_and_regions(desk: Desk) -> None:
    user, orders = desk.user, desk.orders
    user.press("Delete")
    user.open_tab()
    user.click(GENERATE)
    user.wait("the body is missed", lambda seen: seen["refused"].startswith("body_missing"))
    desk.photograph("01_no_body")
    # The button of the error stands above that of the panel.
    user.click(ADD_MANNEQUIN)
    user.wait("there is a body", lambda seen: seen["settings"]["body_layout"] and not seen["refused"])
    user.click(GENERATE)
    user.wait("the photo is missed", lambda seen: seen["refused"].startswith("face_file_missing"))
    fill_in(desk)
    orders.give("set_values", values={"size": "512"})
    user.click(GENERATE)
    user.wait("it is worn", lambda seen: len(seen["history"]) == 1, JOB_S)
    whole = worn(desk)
    user.press("KP_1", "KP_Decimal", "alt+a")
    user.click(SHOW)
    user.wait("the viewport shows materials", lambda seen: seen["view"]["shading"] == "MATERIAL")

    user.open_panel("region")
    orders.give("set_values", values={"region_parts": ["torso"], "prompt": "wearing red shirt, blue jeans"})
    user.click(REGION)
    user.wait("the torso is anew", lambda seen: len(seen["history"]) == 2, JOB_S)
    torso = worn(desk)
    assert TORSO[0] < changed(whole, torso) < TORSO[1]

    orders.give("set_values", values={"region_parts": [], "prompt": "wearing green shirt, blue jeans"})
    user.click(PAINT)
    user.wait("a mask is painted", lambda seen: seen["mode"] == "TEXTURE_PAINT")
    x, y = chest(desk)
    desk.screen.drag([(x + across, y + across // 2) for across in range(-40, 44, 4)])
    user.settle()
    desk.photograph("02_painting")
    share = orders.give("mask_white")
    assert share > STROKE
    user.click(DONE)
    user.wait("it is painted", lambda seen: seen["mode"] == "OBJECT")
    user.click(REGION)
    user.wait("what was painted is anew", lambda seen: len(seen["history"]) == 3, JOB_S)
    painted = worn(desk)
    assert STROKE < changed(torso, painted) < 3 * share + 0.02
    desk.photograph("03_regions")

    user.press("ctrl+z")
    user.wait("the last one is off again", lambda seen: seen["images"] and worn(desk) == torso)
    assert len(user.look()["history"]) == 3


def test_two_windows_and_two_files(desk: Desk) -> None:
    user, orders = desk.user, desk.orders
    first, second = desk.folder / "first.blend", desk.folder / "second.blend"
    orders.give("save_file", path=str(second))
    add_mannequin(desk)
    orders.give("save_file", path=str(first))
    orders.give("set_values", values={"face_image": str(desk.portrait), "prompt": PROMPT, "size": "2048"})
    user.click(GENERATE)
    orders.give("new_window")
    user.wait("there are two windows", lambda seen: len(seen["drawn"]) == 2)
    orders.give("open_sidebars", tab="UVMap-ID")
    before = user.settle()["drawn"]
    seen = wait_for_the_end(desk)
    assert seen["settings"]["error"] == ""
    seen = user.wait(
        "both were drawn anew",
        lambda seen: all(now - then >= DRAWN for now, then in zip(seen["drawn"], before, strict=True)),
    )
    desk.photograph("01_two_windows")
    user.wait("it is in the history", lambda seen: len(seen["history"]) == 1 and len(seen["images"]) > 0)
    assert len(sets(desk)) == 1

    orders.give("set_values", values={"seed": 5})
    orders.give("call", operator="generate", options={})
    user.wait("the next job runs", lambda seen: 0 < seen["settings"]["progress"] < 1, JOB_S)
    orders.give("open_file", path=str(second))
    seen = user.settle()
    assert seen["history"] == []
    assert [row["state"] for row in seen["queue"] if row["state"] != "done"] == ["running"]
    user.wait("it is made, file or not", lambda _seen: len(sets(desk)) == 2, JOB_S)
    user.wait("nothing is left to do", lambda seen: all(row["state"] == "done" for row in seen["queue"]))
    assert user.look()["history"] == []
    orders.give("open_file", path=str(first))
    user.wait("both textures are in the first file's history", lambda seen: len(seen["history"]) == 2)


def worn(desk: Desk) -> Path:
    """The base colour that the body wears."""
    return next(Path(image["path"]) for image in desk.user.settle()["images"] if "base_color" in image["path"])


def changed(before: Path, after: Path) -> float:
    """Which share of texels differs."""
    one, other = (np.asarray(Image.open(path).convert("RGB"), np.int16) for path in (before, after))
    return float((np.abs(one - other).max(axis=2) > 8).mean())


def chest(desk: Desk) -> tuple[int, int]:
    """Where the chest is in the viewport, which shows the body's front."""
    left, top, right, bottom = desk.user.whole_viewport
    return (left + right) // 2, top + (bottom - top) * 3 // 10


def sets(desk: Desk) -> list[Path]:
    """The texture sets beside the files."""
    return sorted((desk.folder / "textures" / "uvmap_id").glob("*/manifest.json"))
