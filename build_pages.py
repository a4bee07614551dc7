"""The panels' pages as HTML, which every system can show: part of building the extension.

It knows as much Markdown as docs/panels uses: headings, paragraphs, lists, tables, code, links, bold and italic words.
Pictures are left out, so that the zip stays small; links that lead out of the folder become plain words.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>UVMap-ID: {title}</title>
<style>
body {{ background: #303030; color: #e6e6e6; font: 16px/1.5 sans-serif }}
body {{ margin: 2em auto; max-width: 44em; padding: 0 1em }}
a {{ color: #8ab8ff }}
code {{ background: #1d1d1d; padding: 0 .2em }}
pre {{ background: #1d1d1d; overflow: auto; padding: .8em }}
td {{ border-top: 1px solid #555; padding: .2em 1em .2em 0; vertical-align: top }}
nav {{ border-bottom: 1px solid #555; padding-bottom: .5em }}
</style>
<nav>{pages}</nav>
{body}
</html>
"""
_ITEM = re.compile(r"(?:-|\d+\.) (.*)")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


def write_pages(source: Path, target: Path) -> None:
    """Write a page for each Markdown file of a folder into another one, with links to each other."""
    target.mkdir(parents=True)
    files = sorted(source.glob("*.md"))
    titles = {path.stem: path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for path in files}
    pages = " ".join(f'<a href="{name}.html">{html.escape(title)}</a>' for name, title in titles.items())
    for path in files:
        body = "\n".join(_blocks(path.read_text(encoding="utf-8")))
        page = _PAGE.format(title=html.escape(titles[path.stem]), pages=pages, body=body)
        (target / f"{path.stem}.html").write_text(page, encoding="utf-8")


def _blocks(text: str) -> Iterator[str]:
    """What stands between empty lines, as HTML."""
    for number, part in enumerate(re.split(r"^```\w*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)):
        if number % 2:
            yield f"<pre>{html.escape(part)}</pre>"
            continue
        for block in re.split(r"\n\s*\n", part.strip()):
            yield from _block(block.splitlines())


def _block(lines: list[str]) -> Iterator[str]:
    if not lines or lines[0].startswith("!["):
        return
    if lines[0].startswith("#"):
        marks, _, title = lines[0].partition(" ")
        yield f"<h{len(marks)}>{_words(title)}</h{len(marks)}>"
    elif lines[0].startswith("|"):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        body = [row for row in rows if any(row) and not all(re.fullmatch(r":?-+:?", cell) for cell in row)]
        cells = ("".join(f"<td>{_words(cell)}</td>" for cell in row) for row in body)
        yield "<table>" + "\n".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
    elif _ITEM.fullmatch(lines[0]):
        kind = "ul" if lines[0].startswith("-") else "ol"
        yield f"<{kind}>" + "\n".join(f"<li>{_words(item)}</li>" for item in _items(lines)) + f"</{kind}>"
    else:
        yield f"<p>{_words(' '.join(lines))}</p>"


def _items(lines: list[str]) -> list[str]:
    """Items of a list; what is indented below one belongs to it."""
    items: list[str] = []
    for line in lines:
        found = _ITEM.fullmatch(line)
        if found is not None:
            items.append(found[1])
        else:
            items[-1] += f" {line.strip()}"
    return items


def _words(text: str) -> str:
    """A line's words: code as it is, the rest with its links and emphasis."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(
        f"<code>{html.escape(part)}</code>" if number % 2 else _plain(part) for number, part in enumerate(parts)
    )


def _plain(text: str) -> str:
    text = _LINK.sub(_link, html.escape(text, quote=False))
    text = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)
    return re.sub(r"\*([^*]+)\*", r"<i>\1</i>", text)


def _link(found: re.Match[str]) -> str:
    words, place = found[1], found[2]
    page = re.fullmatch(r"(\w+)\.md", place)
    return f'<a href="{page[1]}.html">{words}</a>' if page is not None else words
