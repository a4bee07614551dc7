"""Locked requirements: files of `name==version` with hashes, as pip reads them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ...link.errors import ErrorCode, UVMapError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One package at one version.

    Attributes:
        name: Normalised.
        text: The lines for pip: version, marker and hashes.
    """

    name: str
    text: str


def normalised(name: str) -> str:
    """A package's name in the one spelling that can be compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> list[Requirement]:
    """The requirements in a file.

    Raises:
        UVMapError: `setup_failed`: it is missing, or holds something that is not locked.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(f"{path.name} is missing from it") from error
    logical = text.replace("\\\n", "\0").splitlines()
    found = []
    for line in logical:
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        name = _NAME.match(entry)
        if name is None or "==" not in entry or "--hash=sha256:" not in entry:
            raise _broken(f"{path.name} holds a line that is not locked")
        found.append(Requirement(normalised(name.group()), entry.replace("\0", "\\\n")))
    return found


def write_lock(path: Path, requirements: list[Requirement]) -> None:
    """Write requirements for pip. Raises `OSError`."""
    path.write_text("".join(f"{each.text}\n" for each in requirements), encoding="utf-8")


def digest(*texts: str) -> str:
    """A short name for the inputs of something: other inputs, another name."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _broken(reason: str) -> UVMapError:
    return UVMapError(ErrorCode.SETUP_FAILED, f"The extension is incomplete: {reason}.", "Install the extension again.")
