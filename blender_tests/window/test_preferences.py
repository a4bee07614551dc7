"""The extension's page in the preferences, in a window of its own: set-up, weights, another computer, diagnosis."""

from __future__ import annotations

import os
import platform
import time

import pytest
from desk import Desk
from PIL import Image
from test_pictures import written

from uvmap_id.link.keys import CLIENT_KEY, AuthorizedKeys, own_keys
from uvmap_id.link.launcher import ensure_server

SIZE, SCALE = (1000, 1500), 1.25
ANSWER_S, AUTHORISED_S = 90.0, 1.1
# Where the extension's own part of the page and the table of weights begin, and how high the part for this computer is
# with an error in it.
MARGIN, ABOVE, TABLE, LOCAL = 12, 218, 502, 358


@pytest.mark.desk(size=SIZE, scale=SCALE)
def test_preferences(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    user, orders = desk.user, desk.orders
    program = orders.give("use_backend", program="")
    orders.give("open_preferences")
    user.wait("the page is open", lambda seen: seen["page"])
    desk.screen.spread("Preferences", *SIZE)
    user.wait("the window is as large as the screen", lambda seen: seen["page"] and seen["page"][2] == SIZE[0])
    orders.give("go_online")
    height = page_of(desk, "page").height
    desk.screen.photograph().crop((0, 0, SIZE[0], user.look()["page"][1] + height)).save(desk.pictures / "setup.png")

    orders.give("use_backend", program=program)
    orders.give("call", operator="weights_refresh", options={})
    user.wait("the weights are listed", lambda seen: len(seen["weights"]) > 3, ANSWER_S)
    table = page_of(desk, "weights_page")
    table.crop((0, int(TABLE * SCALE), table.width, table.height)).save(desk.pictures / "weights.png")

    monkeypatch.setenv("UVMAP_ID_STATE_DIR", str(desk.state))
    connection = ensure_server([os.environ["UVMAP_ID_BACKEND"]])
    AuthorizedKeys(desk.state).add(own_keys(desk.state, CLIENT_KEY).public, "this Blender")
    time.sleep(AUTHORISED_S)
    host, port = connection.endpoint.removeprefix("tcp://").split(":")
    there = {"remote_host": host, "remote_port": int(port), "remote_key": connection.server_key}
    orders.give("set_preferences", values={"place": "REMOTE", **there})
    orders.give("call", operator="remote_test", options={})
    user.wait("it answers", lambda seen: seen["remote"].endswith("answers."), ANSWER_S)
    own(page_of(desk, "remote_page")).save(desk.pictures / "remote.png")

    orders.give("set_preferences", values={"place": "LOCAL"})
    orders.give("use_backend", program="")
    # Debian's Blender has no pip: a failure that every such Blender shows.
    orders.give("call", operator="setup_install", options={})
    user.wait("the set-up has ended", lambda seen: not seen["setup"][0], ANSWER_S)
    failed = own(page_of(desk, "setup_failed_page"))
    failed.crop((0, 0, failed.width, int(LOCAL * SCALE))).save(desk.pictures / "setup_failed.png")
    orders.give("use_backend", program=program)
    orders.give("call", operator="diagnose", options={})
    deadline = time.monotonic() + ANSWER_S
    while not (text := orders.give("diagnosis")) and time.monotonic() < deadline:
        user.settle()
    assert "Blender" in text
    assert str(desk.folder) not in text
    # The kernel's name is that of the machine which took the picture.
    orders.give("show_text", name="Diagnosis", text=text.replace(f" {platform.release()}", ""))
    shown = desk.photograph("diagnosis_window")
    # Without the editor's buttons at the bottom.
    shown.crop((0, 0, SIZE[0], int(written(shown.crop((0, 0, SIZE[0], SIZE[1] - 60)))[-1]) + MARGIN)).save(
        desk.pictures / "diagnosis.png"
    )


def page_of(desk: Desk, name: str) -> Image.Image:
    """Keep what stands on the page, with the mouse where nothing answers to it."""
    desk.screen.move(MARGIN, SIZE[1] // 2)
    whole = desk.photograph(f"{name}_window")
    page = whole.crop(tuple(desk.user.look()["page"]))
    kept = page.crop((0, 0, page.width, int(written(page)[-1]) + MARGIN))
    kept.save(desk.pictures / f"{name}.png")
    return kept


def own(page: Image.Image) -> Image.Image:
    """The extension's own part of the page, below what Blender says of every extension."""
    return page.crop((0, int(ABOVE * SCALE), page.width, page.height))
