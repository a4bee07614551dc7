"""The contact sheet: one HTML file with all candidates, on which a person clicks what is to be kept.

It holds its pictures and needs no server. What was clicked is remembered by the browser, and saved as the `choice.json`
that `uvmap-id dataset finish` reads.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from uvmap_id.atlas.face import region_slices
from uvmap_id.datasets.choosing import FORMAT
from uvmap_id.datasets.folder import Dataset, Row
from uvmap_id.datasets.workshop import PART
from uvmap_id.link.disk import disk_error, remove
from uvmap_id.link.errors import ErrorCode, UVMapError

SHEET = "contact_sheet.html"
_SIDE, _FACE_SIDE = 192, 128
_QUALITY = 78


def write_sheet(
    path: Path,
    dataset: Dataset,
    choice: Mapping[str, Sequence[str]],
    keep: int,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the page, picture by picture.

    Args:
        path: Of the file.
        dataset: The candidates.
        choice: What is marked at first.
        keep: How many of each person are wanted; the page says where there are more or fewer.
        on_progress: Called with the number of textures that are on the page.

    Raises:
        UVMapError: dataset_unreadable for a texture that can't be read; output_not_writable, disk_full.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            for piece in _page(dataset, choice, keep, on_progress):
                file.write(piece)
        part.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        remove(part)


def _page(
    dataset: Dataset, choice: Mapping[str, Sequence[str]], keep: int, on_progress: Callable[[int], None]
) -> Iterator[str]:
    assets = resources.files("uvmap_id.datasets") / "data"
    page = (assets / "sheet.html").read_text(encoding="utf-8")
    name = dataset.folder.absolute().name
    # The page's memory belongs to these candidates: others in a folder of the same name have another one.
    settings = {"format": FORMAT, "keep": keep, "name": name, "of": _fingerprint(dataset)}
    # In pieces, so that nothing is filled into what somebody is called.
    page = page.replace("<!-- settings -->", _script_json(settings))
    before, after = page.replace("<!-- title -->", html.escape(name)).split("<!-- people -->")
    yield before
    rows: dict[str, list[Row]] = {}
    for row in dataset.rows:
        rows.setdefault(row.identity, []).append(row)
    done = 0
    for identity, theirs in rows.items():
        yield _person_head(dataset, identity, theirs[0])
        chosen = frozenset(choice.get(identity, ()))
        for row in theirs:
            yield _card(dataset, row, row.file_name in chosen)
            done += 1
            on_progress(done)
        yield "</div></section>\n"
    yield after


def _person_head(dataset: Dataset, identity: str, row: Row) -> str:
    photo = dataset.photo(row)
    face = f'<img class="photo" alt="" src="{_data_url(_thumbnail(_opened(photo), _FACE_SIDE))}">' if photo else ""
    about = html.escape(row.subject)
    return (
        f'<section data-identity="{html.escape(identity)}"><header>{face}<h2>{html.escape(identity)}</h2>'
        f'<span class="about">{about}</span><span class="count"></span></header><div class="cards">\n'
    )


def _card(dataset: Dataset, row: Row, chosen: bool) -> str:
    picture = _opened(dataset.texture(row))
    face = picture.crop(_face_box(picture.width))
    scores = " · ".join(f"{name} {value:.3g}" for name, value in sorted(row.scores.items()))
    title = html.escape("\n".join(filter(None, (row.file_name, row.prompt, scores))))
    return (
        f'<button type="button" aria-pressed="{str(chosen).lower()}" data-file="{html.escape(row.file_name)}" '
        f'title="{title}"><img loading="lazy" alt="" src="{_data_url(_thumbnail(picture, _SIDE))}">'
        f'<img loading="lazy" alt="" src="{_data_url(_thumbnail(face, _SIDE))}">'
        f'<span class="prompt">{html.escape(row.prompt)}</span>'
        f'<span class="scores">{html.escape(scores)}</span></button>\n'
    )


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise UVMapError(
            ErrorCode.DATASET_UNREADABLE, f"{path} can't be read as a picture.", "uvmap-id dataset check FOLDER"
        ) from error


def _face_box(side: int) -> tuple[int, int, int, int]:
    rows, columns = region_slices(side)
    return columns.start, rows.start, columns.stop, rows.stop


def _thumbnail(picture: Image.Image, side: int) -> bytes:
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _fingerprint(dataset: Dataset) -> str:
    names = "\n".join(row.file_name for row in dataset.rows)
    return hashlib.blake2b(names.encode(), digest_size=8).hexdigest()


def _script_json(values: object) -> str:
    """JSON that can't end the script that it stands in."""
    return json.dumps(values, ensure_ascii=True).replace("<", "\\u003c")
