"""What the documentation links to is there, and its pictures are small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PANELS = ROOT / "docs" / "panels"
LARGEST = 400_000


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for place in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", place):
            continue
        name, _, anchor = place.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), place
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {_anchor(title) for title in titles}, place


def test_pictures_are_shown_and_small() -> None:
    shown = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in (path for path in (ROOT / "docs" / "images").rglob("*") if path.is_file()):
        assert f"/{picture.name})" in shown, picture.name
        assert picture.stat().st_size <= LARGEST, picture.name


@pytest.mark.parametrize("page", sorted(PANELS.glob("*.md")), ids=lambda page: page.stem)
def test_each_panel_has_its_picture(page: Path) -> None:
    assert f"(../images/panels/{page.stem}.png)" in page.read_text(encoding="utf-8")
