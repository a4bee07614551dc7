"""Who a dataset is about: a list of people with their photos, and on what ground those may be used."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uvmap_id.link.errors import ErrorCode, UVMapError

DECLARED = "declared by the maker of the dataset (--i-have-consent)"
UNKNOWN_LICENCE = "unknown"
COLUMNS = ("name", "group", "gender", "photos", "consent", "licence")

_PHOTO_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"))
_SEPARATORS = ("|", ";")
_NAMED_LINES = 10
_HINT = "See docs/datasets.md, or start from examples/people.csv."


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose textures are to be made.

    Attributes:
        name: Tells the person from all others.
        group: In words, such as "asian"; the paper's "race".
        gender: "man" or "woman", or what else people say of themselves.
        photos: At least one; the first is the one that counts where only one can.
        consent: On what ground the photos may be used.
        licence: Of the photos.
        description: For models that know text alone; the name where it is empty.
        prompt: What the person wears; empty takes prompts from a list.
    """

    name: str
    group: str
    gender: str
    photos: tuple[Path, ...]
    consent: str
    licence: str
    description: str = ""
    prompt: str = ""

    @property
    def subject(self) -> str:
        """The person in words, as they stand in a prompt."""
        return " ".join(word for word in (self.group, self.gender) if word)


def read_people(source: Path, declared: bool = False) -> tuple[Person, ...]:
    """The people of a CSV file, or of a folder in which each photo shows somebody else.

    Args:
        source: The file or the folder. Relative photos lie beside the file.
        declared: The maker of the dataset says that there is consent wherever none is named, which is noted.

    Raises:
        UVMapError: consent_missing, naming the lines; dataset_unreadable; dataset_empty.
    """
    if source.is_dir():
        return _folder(source, declared)
    lines = list(_lines(source))
    if not declared:
        _check_consent(source, lines)
    people: dict[str, tuple[int, Person]] = {}
    for number, values in lines:
        person = _person(source, number, values)
        if person.name in people:
            first = people[person.name][0]
            raise _unreadable(f"Line {number} of {source} names {person.name} again, after line {first}.")
        people[person.name] = (number, person)
    if not people:
        raise UVMapError(ErrorCode.DATASET_EMPTY, f"{source} lists nobody.", _HINT)
    return tuple(person for _, person in people.values())


def _folder(folder: Path, declared: bool) -> tuple[Person, ...]:
    photos = _photos_in(folder)
    if not photos:
        raise UVMapError(ErrorCode.DATASET_EMPTY, f"There are no photos in {folder}.", "Choose a folder of photos.")
    if not declared:
        raise UVMapError(
            ErrorCode.CONSENT_MISSING,
            f"A folder of photos says nothing of consent and licence: {folder}.",
            "List the photos in a CSV with these columns, or say that you have it: --i-have-consent",
        )
    names: dict[str, Path] = {}
    for photo in photos:
        name = photo.relative_to(folder).with_suffix("").as_posix()
        # a.png and a.jpg are two people.
        names[name if name not in names else photo.relative_to(folder).as_posix()] = photo
    return tuple(Person(name, "", "", (photo,), DECLARED, UNKNOWN_LICENCE) for name, photo in names.items())


def _lines(source: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Numbers of the lines where rows begin, and their columns by name, without blanks around them."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            # Spreadsheets write semicolons where the comma stands in numbers.
            delimiter = max(",;\t", key=header.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            names = [name.strip().lower() for name in next(reader, [])]
            _check_columns(source, names)
            begin = reader.line_num + 1
            for row in reader:
                if any(value.strip() for value in row):
                    if len(row) > len(names):
                        raise _unreadable(f"Line {begin} of {source} has more columns than the first.")
                    values = dict(zip(names, (value.strip() for value in row), strict=False))
                    yield begin, {name: values.get(name, "") for name in names}
                begin = reader.line_num + 1
    except csv.Error as error:
        raise _unreadable(f"{source} is no CSV file: {error}.") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise _unreadable(f"{source} can't be read: {reason}.") from error


def _check_columns(source: Path, names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise _unreadable(f"{source} lacks the column{plural} {', '.join(missing)}.")
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise _unreadable(f"{source} has the column {twice[0]} twice.")


def _check_consent(source: Path, lines: Sequence[tuple[int, Mapping[str, str]]]) -> None:
    wanting = [number for number, values in lines if not (values["consent"] and values["licence"])]
    if not wanting:
        return
    named = ", ".join(map(str, wanting[:_NAMED_LINES]))
    more = len(wanting) - _NAMED_LINES
    rest = f" and {more} more" if more > 0 else ""
    lines_word, lack = ("Line", "lacks") if len(wanting) == 1 else ("Lines", "lack")
    raise UVMapError(
        ErrorCode.CONSENT_MISSING,
        f"{lines_word} {named}{rest} of {source} {lack} consent or licence.",
        "Fill in both columns, or say that you have consent for all of them: --i-have-consent",
    )


def _person(source: Path, number: int, values: Mapping[str, str]) -> Person:
    where = f"Line {number} of {source}"
    if not values["name"]:
        raise _unreadable(f"{where} names nobody.")
    if any(ord(character) < 32 for value in values.values() for character in value):
        raise _unreadable(f"{where} holds control characters.")
    photos = tuple(dict.fromkeys(_photos(source.parent, values["photos"], where)))
    return Person(
        name=values["name"],
        group=values["group"].lower(),
        gender=values["gender"].lower(),
        photos=photos,
        consent=values["consent"] or DECLARED,
        licence=values["licence"] or UNKNOWN_LICENCE,
        description=values.get("description", ""),
        prompt=values.get("prompt", ""),
    )


def _photos(folder: Path, text: str, where: str) -> Iterator[Path]:
    if not text:
        raise _unreadable(f"{where} names no photos.")
    for part in _split(folder, text):
        path = folder / part
        if path.is_dir():
            found = _photos_in(path)
            if not found:
                raise _unreadable(f"{where} names {part}, which holds no photos.")
            yield from found
        elif path.is_file():
            yield path
        else:
            raise _unreadable(f"{where} names {part}, and there is no such file or folder beside the list.")


def _split(folder: Path, text: str) -> list[str]:
    if (folder / text).exists():
        return [text]
    for separator in _SEPARATORS:
        if separator in text:
            return [part.strip() for part in text.split(separator) if part.strip()]
    return [text]


def _photos_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _PHOTO_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _unreadable(what: str) -> UVMapError:
    return UVMapError(ErrorCode.DATASET_UNREADABLE, what, _HINT)
