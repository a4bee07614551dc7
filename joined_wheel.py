"""One wheel out of two that are the same but for what was compiled: for each Python its own, and all else once.

Blender takes an extension either with a wheel for every Python 3 or with one wheel for each Python, and never both
kinds together. pyzmq has one wheel for Python 3.11 and one with the stable ABI for all newer ones, which hold the
same libraries. Joined they are one wheel for all of them, a little larger than each alone.

Wheels are as in https://packaging.python.org/en/latest/specifications/binary-distribution-format/.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from pathlib import Path

# Equal wheels give equal bytes.
_TIME = (2020, 1, 1, 0, 0, 0)
_TAGS = 3


class WheelError(Exception):
    """A sentence about why two wheels can't be joined."""


def join(first: Path, second: Path, folder: Path) -> Path:
    """Write the wheel that holds all files of both.

    Args:
        first: A wheel. Where a Python could load what was compiled for either, it loads the more special one.
        second: Another one of the same release and platform; files that both have are the same in both.
        folder: Where to write to.

    Returns:
        The wheel, named after the tags of both.

    Raises:
        WheelError: They don't go together, or one of them is damaged.
    """
    name = _joined_name(first.name, second.name)
    one, other = _files(first), _files(second)
    label = _label(first.name)
    differ = sorted(
        path for path in one.keys() & other.keys() if one[path] != other[path] and not path.startswith(label)
    )
    if differ:
        raise WheelError(f"{first.name} and {second.name} have a different {differ[0]}.")
    record, wheel = f"{label}RECORD", f"{label}WHEEL"
    joined = {**other, **one, wheel: _joined_description(one[wheel], other[wheel])}
    del joined[record]
    joined[record] = _record(joined, record)
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for inside in sorted(joined, key=lambda each: (each.startswith(label), each == record, each)):
            entry = zipfile.ZipInfo(inside, _TIME)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, joined[inside], zipfile.ZIP_DEFLATED, 9)
    return path


def _joined_name(first: str, second: str) -> str:
    (release, *tags), (other_release, *other_tags) = (_parts(name) for name in (first, second))
    if release != other_release or tags[-1] != other_tags[-1]:
        raise WheelError(f"{first} and {second} are not of one release and platform.")
    # By the specification such a name stands for every combination: each of them must be right.
    return "-".join([release, *(_united(*pair) for pair in zip(tags, other_tags, strict=True))]) + ".whl"


def _parts(name: str) -> list[str]:
    """Release, Python tags, ABI tags and platform tags. Raises `WheelError`."""
    parts = name.removesuffix(".whl").rsplit("-", _TAGS)
    if len(parts) != _TAGS + 1 or not name.endswith(".whl"):
        raise WheelError(f"{name} is not named like a wheel.")
    return parts


def _united(tags: str, others: str) -> str:
    return ".".join(dict.fromkeys([*tags.split("."), *others.split(".")]))


def _label(name: str) -> str:
    """The folder in a wheel that tells of it."""
    return "-".join(name.split("-")[:2]) + ".dist-info/"


def _files(wheel: Path) -> dict[str, bytes]:
    """The files in a wheel. Raises `WheelError` unless they are those that its record names."""
    record = f"{_label(wheel.name)}RECORD"
    try:
        with zipfile.ZipFile(wheel) as archive:
            files = {entry.filename: archive.read(entry) for entry in archive.infolist() if not entry.is_dir()}
    except (OSError, zipfile.BadZipFile) as error:
        raise WheelError(f"{wheel} can't be read: {error}.") from error
    if record not in files:
        raise WheelError(f"{wheel.name} has no record of its files.")
    listed = {row[0]: row[1] for row in csv.reader(io.StringIO(files[record].decode())) if row}
    wrong = [path for path in files if path != record and listed.get(path) != _hash(files[path])]
    if wrong or listed.keys() != files.keys():
        raise WheelError(f"{wheel.name} is damaged: its files are not those of its record.")
    return files


def _joined_description(first: bytes, second: bytes) -> bytes:
    """The file WHEEL: what the first one says, with the tags of both."""
    lines, others = (text.decode().split("\n") for text in (first, second))
    tags = dict.fromkeys(line for line in [*lines, *others] if line.startswith("Tag:"))
    return "\n".join([*(line for line in lines if line and not line.startswith("Tag:")), *tags, ""]).encode()


def _record(files: dict[str, bytes], record: str) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerows((path, _hash(files[path]), len(files[path])) for path in sorted(files))
    rows.writerow((record, "", ""))
    return text.getvalue().encode()


def _hash(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
