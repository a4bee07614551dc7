"""The diagnosis has nothing in it about the person."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import pytest
from addon.link.errors import Failure
from addon.setup.diagnose import anonymous, describe
from hypothesis import given, settings
from hypothesis import strategies as st

HOME = Path.home()


@pytest.mark.parametrize(
    "text",
    [
        f"can't read {HOME}/Pictures/Aunt Margaret/face of Bob.png: gone",
        'The file "Bob at the beach.jpg" is damaged.',
        "C:\\Users\\Bob Builder\\Desktop\\margaret.png can't be read",
        "\\\\server\\Bob\\margaret.png",
        "/media/Bob Builder/margaret.PNG is no picture",
        "failed on margaret bob.webp again",
        "bob@example.org asked 192.168.4.7",
        "- address: ok, 192.168.4.7:80",
        "see https://margaret.example.org/bob?x=1 for more",
        "Bob/margaret.npy",
        "~/Bob/margaret.blend",
        "prompt: Bob in the margaret dress",
    ],
)
def test_names_of_people_files_and_places_are_hidden(text: str) -> None:
    hidden = anonymous(text, ["Bob in the margaret dress"]).lower()
    for secret in ("bob", "margaret", "192.168", "example.org", "pictures", "beach"):
        assert secret not in hidden


@pytest.mark.parametrize(
    "text",
    [
        *("numpy 2.4.6, NVIDIA RTX 4090", "127.0.0.1", "Python 3.11.2 on Linux x86_64", "and/or"),
        "- opencv-python-headless: ok, 5.0.0.93",
    ],
)
def test_what_helps_stays(text: str) -> None:
    assert anonymous(text) == text


@settings(max_examples=30)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\"'(),;:/\\"), min_size=3, max_size=20))
def test_no_path_under_home_and_no_secret_survives(name: str) -> None:
    if len(name.strip()) < 3 or name.strip() in "hidden path file name can't be read: <>":
        return
    shown = anonymous(f"{HOME}/{name}.png can't be read: {name}", [name])
    assert str(HOME) not in shown
    assert name.strip() not in shown.replace("<hidden>", "").replace("<path>", "").replace("<file>", "")


def test_the_text_has_all_parts(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("INFO all is well\n" + "\n".join(f"ERROR number {n} in {tmp_path}" for n in range(40)))
    checks = [{"name": "torch", "state": "optional", "detail": f"2.13.0 in {HOME}/x, NVIDIA RTX 4090", "fix": ""}]
    failures = [Failure("disk_full", f"The disk that holds {HOME} is full.", "Free some.")]
    text = describe({"Blender": "5.0.1"}, checks, failures, [log, tmp_path / "none.log"], [])
    assert "Blender: 5.0.1" in text
    assert "NVIDIA RTX 4090" in text
    assert "disk_full" in text
    assert "ERROR number 39" in text
    assert "all is well" not in text
    assert text.count("server.log") == 12
    for secret in (str(HOME), str(tmp_path)):
        assert secret not in text


def test_this_user_and_this_computer_are_not_named() -> None:
    shown = anonymous(f"started by {getpass.getuser()} on {socket.gethostname()}")
    assert shown == "started by <name> on <name>"
