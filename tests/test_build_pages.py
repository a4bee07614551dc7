"""The panels' pages in the extension: HTML without a trace of Markdown, whose links lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PANELS = ROOT / "docs" / "panels"
sys.path.insert(0, str(ROOT))

from build_pages import write_pages  # noqa: E402


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "docs"
    write_pages(PANELS, folder)
    return folder


@pytest.mark.parametrize("name", sorted(path.stem for path in PANELS.glob("*.md")))
def test_a_page_is_plain_html(pages: Path, name: str) -> None:
    shown = (pages / f"{name}.html").read_text(encoding="utf-8")
    said = re.sub(r"<(code|pre)>.*?</\1>", "", shown, flags=re.DOTALL)
    assert shown.count("<h1>") == 1
    for rest in ("**", "](", "![", "```", "|-", "\n- "):
        assert rest not in said, rest
    for place in re.findall(r'href="([^"]+)"', shown):
        assert (pages / place).is_file(), place
    for tag in ("ul", "ol", "li", "table", "tr", "td", "b", "i", "code", "p"):
        assert shown.count(f"<{tag}>") == shown.count(f"</{tag}>"), tag


def test_each_kind_of_block_is_known(tmp_path: Path) -> None:
    (tmp_path / "md").mkdir()
    (tmp_path / "md" / "a.md").write_text(
        "# A & B\n\nSee [it](b.md) and\n[that](../c.md).\n\n1. One\n   more\n2. **Two** `<x>`\n\n"
        "| a | |\n|---|---|\n| b | *c* |\n\n![p](p.png)\n\n```sh\n# no title <y>\n```\n",
        encoding="utf-8",
    )
    (tmp_path / "md" / "b.md").write_text("# B\n", encoding="utf-8")
    write_pages(tmp_path / "md", tmp_path / "html")
    body = (tmp_path / "html" / "a.html").read_text(encoding="utf-8").partition("</nav>\n")[2]
    assert body == (
        "<h1>A &amp; B</h1>\n"
        '<p>See <a href="b.html">it</a> and that.</p>\n'
        "<ol><li>One more</li>\n<li><b>Two</b> <code>&lt;x&gt;</code></li></ol>\n"
        "<table><tr><td>a</td><td></td></tr>\n<tr><td>b</td><td><i>c</i></td></tr></table>\n"
        "<pre># no title &lt;y&gt;\n</pre>\n</html>\n"
    )
