"""What a person does in Blender: looks at the screen, moves the mouse, clicks, types, waits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from screen import Screen

TAB, HELP = "UVMap-ID", "uvmap_id.open_documentation("
_WAIT_S = 120.0
_LOOK_S = 0.01
# Blender's buttons are 20 pixels high.
_ROW, _TAB_STEP, _ICON_STEP = 15, 24, 18
# Where in the sidebar a row's buttons are looked for, beside its tabs: where fields begin, and in the left half.
_COLUMNS = (0.52, 0.27)
_TABS_WIDTH = 20
_SCROLL_STEPS = 6
# How far left of the tabs the help buttons of panels are.
_HELP = 39
# How light an icon is at least, and how long Blender may take to draw.
_BRIGHT, _DRAWN_S = 160, 0.3
_DIFFERENT = 0.12

Report = dict[str, Any]


class User:
    """A person in front of a Blender with one window that fills the screen."""

    def __init__(self, screen: Screen, report: Path, alive: Callable[[], bool], scale: float = 1.0) -> None:
        """Somebody who sees the screen, and knows of Blender what `inside.py` writes to `report`.

        Args:
            screen: The screen.
            report: The file.
            alive: Whether Blender runs.
            scale: How many times as large as usual Blender draws.
        """
        self._screen = screen
        self._row, self._tab_step = int(_ROW * scale), int(_TAB_STEP * scale)
        self._icon_step, self._tabs_width = int(_ICON_STEP * scale), int(_TABS_WIDTH * scale)
        self._help = int(_HELP * scale)
        self._report = report
        self._alive = alive
        self._seen: dict[str, tuple[int, int]] = {}
        self._help_icon = np.zeros((1, 1), np.bool_)

    def look(self) -> Report:
        """What `inside.py` last wrote."""
        assert self._alive(), "Blender has ended."
        return json.loads(self._report.read_text(encoding="utf-8")) if self._report.exists() else {"count": 0}

    def wait(self, what: str, reached: Callable[[Report], bool], timeout_s: float = _WAIT_S) -> Report:
        """Wait until something is to be seen; `what` says it for the error's sentence."""
        deadline = time.monotonic() + timeout_s
        while not reached(seen := self.look()):
            assert time.monotonic() < deadline, f"After {timeout_s:.0f} s: {what} is not so. {seen}"
            time.sleep(_LOOK_S)
        return seen

    def settle(self) -> Report:
        """Wait until Blender has seen what was done."""
        before = self.look()["count"]
        return self.wait("Blender answers", lambda seen: seen["count"] >= before + 2)

    @property
    def viewport(self) -> tuple[int, int, int, int]:
        """Where the screen shows the scene between tools and gizmos: left, top, right, bottom."""
        x, y, width, height = self._region("WINDOW")
        return x + width // 4, y + height // 8, x + width * 5 // 8, y + height

    @property
    def whole_viewport(self) -> tuple[int, int, int, int]:
        """Where the screen shows the scene, also behind tools and sidebar: left, top, right, bottom."""
        x, y, width, height = self._region("WINDOW")
        return x, y, x + width, y + height

    @property
    def sidebar(self) -> tuple[int, int, int, int]:
        """Where the screen shows the sidebar beside its tabs: left, top, right, bottom."""
        x, y, width, height = self._region("UI")
        return x, y, x + width - self._tabs_width, y + height

    def hover_viewport(self) -> None:
        """Move the mouse into the viewport, where keys are for the viewport."""
        x, y, width, height = self._region("WINDOW")
        self._screen.move(x + width // 3, y + height // 2)
        self.settle()

    def press(self, *keys: str) -> None:
        """Press keys with the mouse in the viewport."""
        self.hover_viewport()
        for key in keys:
            self._screen.press(key)
            self.settle()

    def open_tab(self) -> None:
        """Open the sidebar with N and click through its tabs until the extension's is open."""
        self.press("n")
        self.wait("the sidebar is open", lambda seen: seen["view"]["sidebar"] and "UI" in seen["view"]["regions"])
        x, y, width, height = self._region("UI")
        for below in range(self._tab_step, height, self._tab_step):
            if self.look()["view"]["tab"] == TAB:
                return
            self._screen.move(x + width - self._tabs_width // 2, y + below)
            self.settle()
            self._screen.click()
            self.settle()
        raise AssertionError(f"The sidebar has no tab {TAB}.")

    def click(self, button: str) -> None:
        """Click a button of the sidebar: a property's name, or an operator's with a bracket."""
        self.hover(button)
        self._screen.click()
        self.settle()

    def fill(self, name: str, text: str) -> None:
        """Type a text into a field."""
        self.click(name)
        self._screen.press("ctrl+a")
        self._screen.type(text)
        self._screen.press("Return")
        self.wait(f"{name} is {text!r}", lambda seen: seen["settings"][name] == text)

    def turn(self, name: str, value: str) -> None:
        """Turn a menu's value with the wheel, first up to its first entry, then down."""
        self.hover(name)
        for step in (*[-1] * 8, *[1] * 8):
            if self.look()["settings"][name] == value:
                return
            self._screen.turn_wheel(step, held="ctrl")
            self.settle()
        raise AssertionError(f"{name} does not become {value}.")

    def shade(self, shading: str) -> None:
        """Click the shading buttons in the viewport's header, from the left, until the viewport has that shading."""
        x, y, width, height = self._region("HEADER")
        places = [(x + across, y + height // 2) for across in range(width // 2, width, self._icon_step)]
        for place in [place for place in places if self._under(place) == "type"]:
            self._screen.move(*place)
            self.settle()
            self._screen.click()
            if self.settle()["view"]["shading"] == shading:
                return
        raise AssertionError(f"No button gives the viewport the shading {shading}.")

    def headers(self) -> dict[str, int]:
        """Where panels begin in the sidebar as it stands: the page of each one's help button -> the button's top.

        From the top down.
        """
        _x, y, _width, height = self._region("UI")
        across = self._across()
        steps = range(0, height, self._row // 2)
        first = next((below for below in steps if self._page_under(across, y + below)), None)
        if first is None:
            return {}
        # The button under the mouse looks different.
        self.hover_viewport()
        time.sleep(_DRAWN_S)
        icons = self._icons(self._screen.photograph())
        self._help_icon = min(icons, key=lambda icon: abs(icon[0] + len(icon[1]) // 2 - y - first))[1]
        found = {self._page_under(across, top + self._row // 2): top for top in self._help_tops(icons)}
        self.hover_viewport()
        return found

    def help_tops(self, picture: Image.Image) -> list[int]:
        """Where the help buttons are that a photograph shows, as `headers` has found them before."""
        return self._help_tops(self._icons(picture))

    def _help_tops(self, icons: list[tuple[int, NDArray[np.bool_]]]) -> list[int]:
        return [top for top, icon in icons if alike(icon, self._help_icon)]

    def _across(self) -> int:
        """Where the help buttons are, from the screen's left."""
        x, _y, width, _height = self._region("UI")
        return x + width - self._tabs_width - self._help

    def _icons(self, picture: Image.Image) -> list[tuple[int, NDArray[np.bool_]]]:
        """What is light where help buttons are: its top, and which pixels are."""
        _x, y, _width, height = self._region("UI")
        half, across = self._row // 2 + 1, self._across()
        column = picture.convert("L").crop((across - half, y, across + half, y + height))
        bright = np.asarray(column) > _BRIGHT
        return [(y + top, bright[top:end]) for top, end in runs(np.asarray(bright.any(axis=1)))]

    def _page_under(self, x: int, y: int) -> str:
        self._screen.move(x, y)
        hovered = self.settle()["view"]["hovered"]
        return hovered.partition("page='")[2].partition("'")[0] if hovered.startswith(HELP) else ""

    def open_panel(self, page: str) -> None:
        """Open the closed panel of that page, wherever it is: scroll where need be."""
        for _ in self._pages():
            found = self.headers()
            if page in found:
                self.toggle(found[page])
                return
        raise AssertionError(f"The sidebar shows no panel {page}.")

    def toggle(self, y: int) -> None:
        """Open or close the panel whose header is there."""
        x, _y, width, _height = self._region("UI")
        self._screen.move(x + width // 4, y + self._row // 2)
        self.settle()
        self._screen.click()
        self._seen.clear()
        self.settle()

    def hover(self, button: str) -> None:
        """Move the mouse over a button of the sidebar, wherever it is: scroll where need be."""
        place = self._seen.get(button)
        if place is not None and self._under(place) == button:
            return
        shown: set[str] = set()
        for _ in self._pages():
            if self._search(button):
                return
            shown.update(self._seen)
        raise AssertionError(f"The sidebar shows no {button}; it shows {sorted(shown)}.")

    def _pages(self) -> Iterator[None]:
        """The sidebar as it stands, then from its top down."""
        yield
        before = self._scroll(-10 * _SCROLL_STEPS)
        while True:
            yield
            now = self._scroll(_SCROLL_STEPS)
            if now == before:
                return
            before = now

    def _scroll(self, steps: int) -> float:
        x, y, width, height = self._region("UI")
        self._screen.move(x + width // 8, y + height // 2)
        self._screen.turn_wheel(steps)
        self._seen.clear()
        return self.settle()["view"]["scrolled"]

    def _search(self, button: str) -> bool:
        x, y, width, height = self._region("UI")
        self._seen.clear()
        for column in _COLUMNS:
            # At its lower edge the area's border would be clicked.
            for below in range(self._row, height - self._row, self._row):
                place = (x + int((width - self._tabs_width) * column), y + below)
                found = self._under(place)
                if found:
                    self._seen[found] = place
                if found == button:
                    return True
        return False

    def _under(self, place: tuple[int, int]) -> str:
        self._screen.move(*place)
        hovered = self.settle()["view"]["hovered"]
        return hovered.partition("(")[0] + "()" if "(" in hovered else hovered

    def _region(self, name: str) -> tuple[int, int, int, int]:
        """A region of the viewport in the screen's pixels, from the top left."""
        seen = self.look()
        x, y, width, height = seen["view"]["regions"][name]
        return x, seen["window"][1] - y - height, width, height


def alike(icon: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """True for the same icon, be it on a ground of another grey."""
    if abs(len(icon) - len(other)) > 1:
        return False
    shorter, longer = sorted((icon, other), key=len)
    rows = len(shorter)
    shifts = range(len(longer) - rows + 1)
    return min(float((shorter != longer[shift : shift + rows]).mean()) for shift in shifts) < _DIFFERENT


def runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where runs of marked rows begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]
