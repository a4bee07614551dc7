"""The list of a cast: who is to be made. From a CSV or JSON file, or from a folder of photos.

What is wrong with one row is that row's problem; only a list that is none at all is refused as a whole.
"""

from __future__ import annotations

import codecs
import csv
import dataclasses
import hashlib
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import shape, subject
from .errors import attempt
from .link.errors import ErrorCode, Failure, UVMapError
from .link.request import SEED_LIMIT, TextureRequest

COLUMNS = ("face", "prompt", "subject", "name", "seed", "engine", "size", "preset", "shape")
PHOTOS = (".jpeg", ".jpg", ".png")
ROWS_LIMIT = 10_000

_SIZE_LIMIT = 16 * 2**20
_NAME_LIMIT = 60
_WHOLE = re.compile(r"-?\d{1,12}")
_UNSAFE = re.compile(r"[^\w-]+")
# In a request that is still to be given its photo.
_NO_PHOTO = "0" * 64


@dataclass(frozen=True, slots=True)
class Row:
    """One character of a cast.

    Attributes:
        number: Its row, from 1; the header is not counted.
        name: For people, unlike every other row's.
        face: The photo.
        request: What is to be made, its seed included, for a photo that was not read yet.
        shape: The mannequin's sliders, -1 to 1, ancestries 0 to 1; those not named stay neutral.
        problem: Why it can't be made.
    """

    number: int
    name: str
    face: Path
    request: TextureRequest
    shape: Mapping[str, float] = field(default_factory=dict)
    problem: Failure | None = None

    @property
    def file_name(self) -> str:
        """Its name as the beginning of a file's."""
        return _UNSAFE.sub("_", self.name)[:_NAME_LIMIT] or "character"


def read_cast(path: Path, defaults: TextureRequest, base_seed: int = 0) -> list[Row]:
    """Read and check a list, with the seeds of all its rows.

    Args:
        path: A .csv or .json file, whose relative paths are seen from its own folder; or a folder of photos.
        defaults: What a row has that says nothing else; its seed does not count.
        base_seed: What seeds come from where rows name none.

    Raises:
        UVMapError: `settings_unreadable`: it is no list at all.
    """
    folder, records = (path, _photos_in(path)) if path.is_dir() else (path.parent, _records(path))
    if not records:
        raise _unreadable(path, "it names nobody", f"A list has a line for each character; a folder {_kinds()} files.")
    if len(records) > ROWS_LIMIT:
        raise _unreadable(path, f"it has more than {ROWS_LIMIT:,} rows", "Split it.")
    rows, taken = [], set[str]()
    for number, record in enumerate(records, start=1):
        row = _row(number, record, folder, defaults, seed_of(base_seed, number))
        if row.name.casefold() in taken:
            row = dataclasses.replace(row, name=f"{row.name} {number}")
        while row.name.casefold() in taken:
            row = dataclasses.replace(row, name=f"{row.name}'")
        taken.add(row.name.casefold())
        rows.append(row)
    return rows


def seed_of(base_seed: int, number: int) -> int:
    """The seed of a row that names none: the same on every computer, and known before anything is made."""
    digest = hashlib.sha256(f"uvmap-id cast {base_seed} {number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % SEED_LIMIT


def request_hash(request: TextureRequest) -> str:
    """What two requests have in common only if they make the same texture set; 64 hex digits."""
    text = json.dumps(dataclasses.asdict(request), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _photos_in(folder: Path) -> list[dict[str, Any]]:
    try:
        files = sorted(item.name for item in folder.iterdir() if item.suffix.lower() in PHOTOS and item.is_file())
    except OSError as error:
        raise _unreadable(folder, error.strerror or str(error), "Choose a folder that you may read.") from error
    return [{"face": name} for name in files]


def _records(path: Path) -> list[Any]:
    kind = path.suffix.lower()
    if kind not in (".csv", ".json"):
        raise _unreadable(path, "its name ends neither in .csv nor in .json", "Choose a list or a folder of photos.")
    try:
        with path.open("rb") as file:
            content = file.read(_SIZE_LIMIT + 1)
        if len(content) > _SIZE_LIMIT:
            raise _unreadable(path, f"it is over {_SIZE_LIMIT // 2**20} MiB", "Split it.")
        text = content.decode(_encoding(content))
        return _from_json(path, text) if kind == ".json" else _from_csv(path, text)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "Choose a file that you may read.") from error
    except UnicodeDecodeError as error:
        hint = 'Save it again in UTF-8; in Excel that is "CSV UTF-8".'
        raise _unreadable(path, "it is not in UTF-8", hint) from error
    except (ValueError, RecursionError, csv.Error) as error:
        raise _unreadable(path, str(error), "Correct it there.") from error


def _encoding(content: bytes) -> str:
    """UTF-8, but for spreadsheets' "Unicode text", which begins with the mark of UTF-16."""
    return "utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _from_json(path: Path, text: str) -> list[Any]:
    records = json.loads(text)
    if not isinstance(records, list):
        raise _unreadable(path, "it is not a JSON array", 'Write [{"face": "a.jpg", "prompt": "..."}, ...].')
    return records


def _from_csv(path: Path, text: str) -> list[Any]:
    first = text.partition("\n")[0]
    # Spreadsheets write semicolons where the comma is the decimal point.
    delimiter = max(",;\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = [name.strip().lower() for name in next(lines, [])]
    known = f"Columns are {', '.join(COLUMNS)}."
    strange = [name for name in header if name not in COLUMNS]
    twice = [name for name in header if header.count(name) > 1]
    if "face" not in header:
        raise _unreadable(path, 'it has no column "face"', f"{known} The first line names them.")
    if strange:
        raise _unreadable(path, f'nobody knows its column "{strange[0][:40]}"', known)
    if twice:
        raise _unreadable(path, f'it has the column "{twice[0]}" twice', known)
    return [_record(header, cells) for cells in lines if any(cell.strip() for cell in cells)]


def _record(header: Sequence[str], cells: Sequence[str]) -> Any:
    if any(cell.strip() for cell in cells[len(header) :]):
        # Quotes were forgotten around a comma; nobody can say which.
        return "It has more cells than the first line."
    return dict(zip(header, (cell.strip() for cell in cells), strict=False))


def _row(number: int, record: Any, folder: Path, defaults: TextureRequest, seed: int) -> Row:
    empty = Row(number, f"Character {number}", folder, dataclasses.replace(defaults, face_sha256=_NO_PHOTO, seed=seed))
    if not isinstance(record, dict):
        reason = record if isinstance(record, str) and record else "It is not an object."
        return dataclasses.replace(empty, problem=_wrong(reason[:200]).failure)
    name = record.get("name")
    face = record.get("face")
    label = " ".join(_printable(name if isinstance(name, str) else "").split())[:_NAME_LIMIT]
    if not label and isinstance(face, str):
        label = _printable(re.split(r"[/\\]", face)[-1].rpartition(".")[0])[:_NAME_LIMIT].strip()
    row = dataclasses.replace(empty, name=label or empty.name)
    filled = attempt(lambda: _filled(row, record, folder), f"row {number} of a cast")
    return dataclasses.replace(row, problem=filled) if isinstance(filled, Failure) else filled


def _filled(row: Row, record: Mapping[Any, Any], folder: Path) -> Row:
    """The row with what its record says. Raises `UVMapError` for what can't be meant."""
    strange = [str(key) for key in record if key not in COLUMNS]
    if strange:
        raise _wrong(f'There is no column "{strange[0][:40]}".')
    face = _text(record, "face")
    if not face:
        raise UVMapError(ErrorCode.FACE_FILE_MISSING, "The row names no photo.", "Write its path in the column face.")
    said = {name: _text(record, name) for name in ("prompt", "subject", "engine")}
    request = dataclasses.replace(row.request, **{name: text for name, text in said.items() if text})
    numbers = {name: _number(record, name) for name in ("seed", "size")}
    request = dataclasses.replace(request, **{name: value for name, value in numbers.items() if value is not None})
    request.validate()
    sliders = subject.read_subject(request.subject).sliders | _preset(record) | _sliders(record.get("shape"))
    return dataclasses.replace(row, face=folder / face, request=request, shape=sliders)


def _text(record: Mapping[Any, Any], name: str) -> str:
    value = record.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(f"The {name} is no text.")
    return value.strip()


def _number(record: Mapping[Any, Any], name: str) -> int | None:
    value = record.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    raise _wrong(f'The {name} "{str(value)[:40]}" is no whole number.')


def _preset(record: Mapping[Any, Any]) -> dict[str, float]:
    name, presets = _text(record, "preset"), shape.read_presets()
    if name and name not in presets:
        raise _wrong(f'There is no shape preset "{name[:40]}"; there are {", ".join(presets)}.')
    return presets[name] if name else {}


def _sliders(value: Any) -> dict[str, float]:
    """What the column shape says: "age=0.5 height=-0.2", or an object in JSON."""
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        pairs = (part.partition("=") for part in re.split(r"[\s;,]+", value.strip()) if part)
        value = {name: share for name, _, share in pairs}
    if not isinstance(value, dict):
        raise _wrong("The shape is neither a text nor an object.")
    return {_slider_name(name): _share(name, share) for name, share in value.items()}


def _slider_name(name: str) -> str:
    known = (*shape.SLIDERS, *shape.ANCESTRIES)
    if name not in known:
        raise _wrong(f'There is no slider "{name[:40]}"; there are {", ".join(known)}.')
    return name


def _share(name: str, value: Any) -> float:
    lowest = 0.0 if name in shape.ANCESTRIES else -1.0
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not lowest <= number <= 1:
        raise _wrong(f"The slider {name} can't be {str(value)[:40]}; it goes from {lowest:g} to 1.")
    return number


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _kinds() -> str:
    return " or ".join(PHOTOS)


def _wrong(reason: str) -> UVMapError:
    return UVMapError(ErrorCode.SETTING_OUT_OF_RANGE, reason, "Correct the row, then start the cast again.")


def _unreadable(path: Path, reason: str, hint: str) -> UVMapError:
    return UVMapError(ErrorCode.SETTINGS_UNREADABLE, f"{path} can't be read as a cast: {reason[:300]}.", hint)
