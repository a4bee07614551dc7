"""The page in the preferences: without windows it can't be seen, but every call that it makes can be checked."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import bpy
import pytest
from conftest import PACKAGE

Module = Callable[[str], ModuleType]
LAYOUT = bpy.types.UILayout.bl_rna


class Paper:
    """A layout that checks names of operators, properties, icons and parameters against Blender's, and keeps texts."""

    texts: list[str]

    def __init__(self, texts: list[str]) -> None:
        object.__setattr__(self, "texts", texts)

    def __setattr__(self, name: str, value: object) -> None:
        assert name in LAYOUT.properties, name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = LAYOUT.functions[name]

        def call(*given: Any, **named: Any) -> Any:
            for key in named:
                assert key in function.parameters, f"{name} knows no {key}"
            if "icon" in named:
                assert named["icon"] in function.parameters["icon"].enum_items, named["icon"]
            self.texts.append(str(named.get("text", "")))
            if name == "prop":
                assert given[1] in given[0].bl_rna.properties, given[1]
            if name == "operator":
                group, _, operator = given[0].partition(".")
                kind = getattr(getattr(bpy.ops, group), operator).get_rna_type()
                self.texts.append(given[0])
                return _Properties(kind)
            return Paper(self.texts)

        return call


class _Properties:
    def __init__(self, kind: Any) -> None:
        object.__setattr__(self, "kind", kind)

    def __setattr__(self, name: str, value: object) -> None:
        assert name in self.kind.properties, name


@pytest.fixture
def page(module: Module) -> Iterator[Callable[[], str]]:
    """Draws the page, and returns all that stands on it."""
    chosen = bpy.context.preferences.addons[PACKAGE].preferences
    # Without windows the interface has no scale.
    system = SimpleNamespace(ui_scale=1.0, bl_rna=bpy.context.preferences.system.bl_rna)
    context = SimpleNamespace(region=SimpleNamespace(width=900), preferences=SimpleNamespace(system=system))

    def draw() -> str:
        texts: list[str] = []
        module("preferences_page").draw(Paper(texts), chosen, context)
        return "\n".join(texts)

    yield draw
    chosen.place = "LOCAL"
    module("upkeep").unregister()
    module("upkeep").register()


def test_nothing_is_set_up(page: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVMAP_ID_BACKEND", "/none/uvmap-id")
    shown = page()
    assert "No backend is set up on this computer yet." in shown
    assert "Allow Online Access" in shown
    for name in ("setup_install", "setup_verify", "setup_repair", "setup_remove", "weights_refresh", "diagnose"):
        assert f"uvmap_id.{name}" in shown
    assert "setup_cancel" not in shown


def test_while_it_is_being_set_up(page: Callable[[], str], module: Module) -> None:
    machine, setup = module("setup.installer.machine"), module("upkeep").upkeep().setup
    setup.state = machine.State.PACKAGES
    setup.progress = machine.Progress(0.4, "Downloading torch", 12.5e6, 95.0)
    shown = page()
    assert "Packages: 40%" in shown
    assert "Downloading torch (12.5 MB/s, 2 min left)" in shown
    assert "uvmap_id.setup_cancel" in shown
    assert "uvmap_id.setup_install" not in shown
    setup.state = machine.State.IDLE


def test_a_failure_brings_its_button(page: Callable[[], str], module: Module) -> None:
    failure = module("link.errors").Failure
    setup = module("upkeep").upkeep().setup
    setup.failure = failure("setup_incomplete", "numpy is damaged.", "Choose Repair.")
    shown = page()
    assert "numpy is damaged. Choose Repair." in shown
    assert shown.count("uvmap_id.setup_repair") == 2


def test_the_table_of_weights(page: Callable[[], str], module: Module) -> None:
    weights = module("setup.weights")
    states = ("installed", "not installed", "partial 43 %", "damaged", "manual")
    about = {"purpose": "base", "about": "", "licence": "mit", "licence_name": "MIT", "licence_url": "https://x"}
    more = {"terms": "Do.", "commercial": False, "accepted": False, "page": "https://y", "steps": ""}
    shelf = module("upkeep").upkeep().shelf
    shelf.rows = tuple(weights.Weights(id=state, title=state, state=state, **about, **more) for state in states)
    shelf.rows = (dataclasses.replace(shelf.rows[0], size=1_200_000_000), *shelf.rows[1:])
    shelf.folder = "/weights"
    shown = page()
    assert shown.count("uvmap_id.weights_get") == 3
    assert shown.count("uvmap_id.weights_verify") == 3
    assert shown.count("uvmap_id.weights_remove") == 3
    assert {"mit", "base", "1.2 GB", "partial 43 %", "?"} <= set(shown.split("\n"))
    assert "Red licences" in shown
    shelf.state, shelf.subject, shelf.fraction, shelf.bytes_per_second = weights.ShelfState.GETTING, "vae", 0.25, 2e6
    assert "vae 25% (2.0 MB/s)" in page()
    for state in (weights.ShelfState.LISTING, weights.ShelfState.VERIFYING, weights.ShelfState.REMOVING):
        shelf.state = state
        assert state.value.capitalize() in page()
    shelf.state = weights.ShelfState.IDLE
    texts: list[str] = []
    module("operators.weights").draw_terms(Paper(texts), shelf.rows[0])
    assert "Licence: MIT" in texts
    assert "Read the Licence" in texts


def test_another_computer(page: Callable[[], str], module: Module) -> None:
    bpy.context.preferences.addons[PACKAGE].preferences.place = "REMOTE"
    shown = page()
    assert {"uvmap_id.remote_test", "uvmap_id.copy_key"} <= set(shown.split("\n"))
    assert "Textures are made there" in shown
    assert "uvmap_id.setup_install" not in shown
    module("upkeep").upkeep().remote_said = module("link.errors").Failure("backend_lost", "Nobody answers.", "Look.")
    assert "Nobody answers. Look." in page()


def test_drawing_is_quick(page: Callable[[], str]) -> None:
    page()
    started = time.perf_counter()
    for _ in range(20):
        page()
    assert (time.perf_counter() - started) / 20 < 0.05
