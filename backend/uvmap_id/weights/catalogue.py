"""The weights that are known by name, read from `catalogue.toml`."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from uvmap_id.link.errors import ErrorCode, UVMapError

# An id becomes the name of a folder, so it can't lead anywhere else.
ID = re.compile(r"[a-z0-9][a-z0-9._+-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_REVISION = re.compile(r"[\w.-]+", re.ASCII)


class Purpose(StrEnum):
    """What weights are for."""

    TEXTURE = "texture"
    BASE = "base"
    VAE = "vae"
    IDENTITY = "identity"
    ADAPTER = "adapter"
    UPSCALER = "upscaler"
    LANDMARKS = "landmarks"
    RECOGNISER = "recogniser"
    TOKENIZER = "tokenizer"
    METRIC = "metric"


@dataclass(frozen=True, slots=True)
class Licence:
    """Under what terms weights come.

    Attributes:
        id: Name on the command line.
        name: Name for people.
        url: Where its text is.
        commercial: False where the terms forbid commercial use, or where nobody stated any.
        terms: What it comes to, in sentences for a person; the text at `url` is what counts.
    """

    id: str
    name: str
    url: str
    commercial: bool
    terms: str = ""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file to download.

    Attributes:
        path: Its place inside the weights' folder, with slashes.
        url: Its address; "" for a file on the hub.
        repository: "owner/name" on the Hugging Face hub; "" for a file elsewhere.
        revision: Commit or branch on the hub.
        size: Bytes, or None where that isn't known for certain.
        sha256: Lower-case hexadecimal, or "" where that isn't known for certain.
        unpack: Files to take out of it, where it is a zip archive; it is not kept itself.
    """

    path: str
    url: str = ""
    repository: str = ""
    revision: str = ""
    size: int | None = None
    sha256: str = ""
    unpack: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """Weights that are known by name.

    Attributes:
        id: Name on the command line and of the folder.
        title: Name for people.
        purpose: What they are for.
        about: The same in a sentence.
        licence: The terms.
        needs: Ids of weights without which these are no use.
        files: What to download; empty where a program can't.
        page: Where a person gets them, if a program can't.
        steps: How a person gets them there.
        kind: What `recognise` says of them, or how that begins; "" for what it doesn't know.
    """

    id: str
    title: str
    purpose: Purpose
    about: str
    licence: Licence
    needs: tuple[str, ...] = ()
    files: tuple[RemoteFile, ...] = ()
    page: str = ""
    steps: str = ""
    kind: str = ""

    @property
    def manual(self) -> bool:
        """True where a person has to fetch the files."""
        return not self.files

    @property
    def installed_paths(self) -> tuple[str, ...]:
        """The files that the installed folder holds, archives unpacked."""
        return tuple(path for file in self.files for path in (file.unpack or (file.path,)))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that is known by name, in the order of the file."""

    entries: tuple[Entry, ...]

    def find(self, weights_id: str) -> Entry | None:
        """The entry of that id, or None."""
        return next((entry for entry in self.entries if entry.id == weights_id), None)

    def get(self, weights_id: str) -> Entry:
        """The entry of that id. Raises `UVMapError` with `weights_unknown`, naming the ids that look alike."""
        entry = self.find(weights_id)
        if entry is None:
            raise unknown_weights(weights_id, [entry.id for entry in self.entries])
        return entry


def unknown_weights(weights_id: str, known: list[str]) -> UVMapError:
    """The failure for an id that nobody knows."""
    alike = difflib.get_close_matches(weights_id, known, n=1)
    hint = f'Did you mean "{alike[0]}"? ' if alike else ""
    return UVMapError(
        ErrorCode.WEIGHTS_UNKNOWN,
        f'There are no weights called "{weights_id[:64]}".',
        f'{hint}"uvmap-id weights list" shows all.',
    )


def load_catalogue() -> Catalogue:
    """The catalogue that comes with the package."""
    return parse_catalogue((resources.files("uvmap_id.weights") / "catalogue.toml").read_text(encoding="utf-8"))


def parse_catalogue(text: str) -> Catalogue:
    """Read a catalogue.

    Raises:
        UVMapError: `weights_invalid`, naming the entry and what is wrong with it.
    """
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _invalid(f"it is not TOML: {error}") from None
    document = _Table(values, "the catalogue")
    licences = {name: _licence(name, document.table("licences").table(name)) for name in document.table("licences")}
    entries = tuple(_entry(_Table(value, "an entry"), licences) for value in document.list("weights", dict))
    document.nothing_else()
    known = [entry.id for entry in entries]
    for entry in entries:
        if known.count(entry.id) > 1:
            raise _invalid(f'"{entry.id}" stands in it twice')
        if missing := [need for need in entry.needs if need not in known]:
            raise _invalid(f'"{entry.id}" needs "{missing[0]}", which is not in it')
    return Catalogue(entries)


def _licence(name: str, table: _Table) -> Licence:
    licence = Licence(name, table.text("name"), table.address("url"), table.flag("commercial"), table.text("terms", ""))
    table.nothing_else()
    return licence


def _entry(table: _Table, licences: Mapping[str, Licence]) -> Entry:
    weights_id = table.text("id")
    if not ID.fullmatch(weights_id):
        raise _invalid(f'"{weights_id[:64]}" can\'t be an id')
    table.name = f'"{weights_id}"'
    licence, purpose = table.text("licence"), table.text("purpose")
    if licence not in licences:
        raise _invalid(f'{table.name} has the licence "{licence[:64]}", which is not in it')
    if purpose not in list(Purpose):
        raise _invalid(f'{table.name} has the purpose "{purpose[:64]}", which nobody knows')
    entry = Entry(
        weights_id,
        table.text("title"),
        Purpose(purpose),
        table.text("about"),
        licences[licence],
        tuple(table.list("needs", str)),
        _files(table),
        table.address("page", ""),
        table.text("steps", ""),
        table.text("kind", ""),
    )
    table.nothing_else()
    if entry.manual and not (entry.page and entry.steps):
        raise _invalid(f"{table.name} has neither files nor a page with steps")
    if len(set(entry.installed_paths)) != len(entry.installed_paths):
        raise _invalid(f"{table.name} holds a file twice")
    return entry


def _files(table: _Table) -> tuple[RemoteFile, ...]:
    repository, revision = "", ""
    if "hub" in table:
        hub = table.table("hub")
        repository, revision = hub.text("repo", pattern=_REPOSITORY), hub.text("revision", pattern=_REVISION)
        hub.nothing_else()
    return tuple(
        _file(_Table(value, f"a file of {table.name}"), repository, revision) for value in table.list("files", dict)
    )


def _file(table: _Table, repository: str, revision: str) -> RemoteFile:
    unpack = tuple(table.list("unpack", str))
    url = "" if repository else table.address("url")
    size = table.number("size")
    sha256 = table.text("sha256", "", _SHA256)
    path = table.text("path")
    table.nothing_else()
    for inside in (path, *unpack):
        if not is_inside(inside):
            raise _invalid(f"{table.name} would lie outside its folder")
    return RemoteFile(path, url, repository, revision, size, sha256, unpack)


def is_inside(path: str) -> bool:
    r"""True for a plain relative path with slashes: no "..", no drive, no "\", no control characters."""
    parts = PurePosixPath(path).parts
    plain = path.isprintable() and not set(path) & set('\\:*?"<>|')
    return bool(parts) and plain and ".." not in parts and not path.startswith("/")


class _Table:
    """A TOML table whose values are asked for one by one; what nobody asked for is a mistake in it."""

    def __init__(self, values: Any, name: str) -> None:
        if not isinstance(values, dict):
            raise _invalid(f"{name} is no table")
        self._values: dict[str, Any] = values
        self._asked: set[str] = set()
        self.name = name

    def __iter__(self) -> Any:
        return iter(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def nothing_else(self) -> None:
        """Raise if there is a value that was not asked for."""
        for key in self._values:
            if key not in self._asked:
                raise _invalid(f'{self.name} has a value "{key[:64]}", which nobody knows')

    def text(self, key: str, otherwise: str | None = None, pattern: re.Pattern[str] | None = None) -> str:
        """A text that is not empty; `otherwise` where there is none."""
        value = self._take(key, str, otherwise)
        if key in self._values and (not value.strip() or not value.isprintable()):
            raise _invalid(f"{self.name} has no proper {key}")
        if key in self._values and pattern is not None and not pattern.fullmatch(value):
            raise _invalid(f"{self.name} has no proper {key}")
        return value

    def address(self, key: str, otherwise: str | None = None) -> str:
        """A web address."""
        value = self.text(key, otherwise)
        if key in self._values and (not value.startswith(("https://", "http://")) or " " in value):
            raise _invalid(f"{self.name} has no proper {key}")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        return self._take(key, bool, None)

    def number(self, key: str) -> int | None:
        """A count of bytes, or None."""
        value = self._take(key, int, 0) if key in self._values else None
        if value is not None and (isinstance(value, bool) or value < 0):
            raise _invalid(f"{self.name} has no proper {key}")
        return value

    def list(self, key: str, kind: type) -> list[Any]:
        """A list of values of one kind; empty where there is none."""
        values = self._take(key, list, [])
        if not all(isinstance(value, kind) for value in values):
            raise _invalid(f"{self.name} has no proper {key}")
        return values

    def table(self, key: str) -> _Table:
        """A table inside this one."""
        return _Table(self._take(key, dict, {}), f"{key} of {self.name}")

    def _take(self, key: str, kind: type, otherwise: Any) -> Any:
        self._asked.add(key)
        value = self._values.get(key, otherwise)
        if not isinstance(value, kind):
            raise _invalid(f"{self.name} has no proper {key}")
        return value


def _invalid(what: str) -> UVMapError:
    return UVMapError(
        ErrorCode.WEIGHTS_INVALID, f"The catalogue of weights is damaged: {what}.", "Install uvmap-id again."
    )
