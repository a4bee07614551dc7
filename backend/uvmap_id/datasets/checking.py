"""Looks through a dataset: each picture is read, and what is wrong or wanting is said."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from uvmap_id.datasets.balance import Balance
from uvmap_id.datasets.card import Census
from uvmap_id.datasets.folder import TEXTURES, Dataset, Row
from uvmap_id.link.request import SIZES

_NAMED = 20


@dataclass
class Report:
    """What was found.

    Attributes:
        textures: How many rows there are.
        identities: How many people.
        sizes: Textures by the length of their side.
        balance: People and textures by group and gender.
        without_embedding: Rows that lack one.
        without_consent: Rows that say nothing of consent or licence.
        problems: Sentences about what can't be used.
        warnings: Sentences about what is wanting.
    """

    textures: int
    identities: int
    sizes: Counter[int]
    balance: Balance
    without_embedding: int
    without_consent: int
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        """True where nothing is broken."""
        return not self.problems


def check_dataset(dataset: Dataset, on_progress: Callable[[int], None] = lambda _: None) -> Report:
    """Read all of a dataset.

    Args:
        dataset: What to look through; its columns were checked when it was read.
        on_progress: Called with the number of textures that were read.
    """
    census = Census()
    without_consent = 0
    sizes: Counter[int] = Counter()
    problems: list[str] = []
    twins: dict[bytes, Row] = {}
    warnings: list[str] = []
    for done, row in enumerate(dataset.rows, 1):
        census.add(row)
        without_consent += not (row.consent and row.licence)
        side, problem = read_texture(dataset.texture(row))
        if problem:
            problems.append(f"{row.file_name} {problem}.")
        else:
            sizes[side] += 1
            _compare(dataset, row, twins, problems, warnings)
        photo = dataset.photo(row)
        if photo is not None and (wrong := _photo_problem(photo, row)):
            problems.append(f"{row.photo} {wrong}.")
        on_progress(done)
    report = Report(
        textures=census.rows,
        identities=census.identities,
        sizes=sizes,
        balance=census.balance,
        without_embedding=census.without_embedding,
        without_consent=without_consent,
        problems=_shortened(problems),
        warnings=warnings,
    )
    _judge(dataset, report)
    return report


def read_texture(path: Path) -> tuple[int, str]:
    """The side of a texture, and what is wrong with it; "" for one that can be used."""
    try:
        with Image.open(path) as picture:
            picture.load()
            width, height, mode, kind = picture.width, picture.height, picture.mode, picture.format
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0, "can't be read: it is damaged, or no picture"
    if width != height:
        return 0, f"is {width} x {height} and not square"
    if mode not in ("RGB", "RGBA", "P"):
        return 0, f"is no picture in colour with 8 bits ({mode})"
    return width, "" if kind == "PNG" else f"is a {kind} and no PNG"


def _compare(dataset: Dataset, row: Row, twins: dict[bytes, Row], problems: list[str], warnings: list[str]) -> None:
    with dataset.texture(row).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    twin = twins.setdefault(digest, row)
    if twin is row:
        return
    if twin.identity != row.identity:
        problems.append(f"{row.file_name} of {row.identity} is {twin.file_name} of {twin.identity}, byte for byte.")
    else:
        warnings.append(f"{row.file_name} is {twin.file_name} once more.")


def _photo_problem(path: Path, row: Row) -> str:
    content = path.read_bytes()
    if row.photo_sha256 and hashlib.sha256(content).hexdigest() != row.photo_sha256:
        return "is not the photo whose hash the row names"
    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "can't be read: it is damaged, or no picture"
    return ""


def _judge(dataset: Dataset, report: Report) -> None:
    """Warnings about the whole."""
    warn = report.warnings
    kinds: dict[str, set[tuple[str, str]]] = {}
    listed = set()
    for row in dataset.rows:
        kinds.setdefault(row.identity, set()).add((row.group, row.gender))
        listed.add(dataset.texture(row).resolve())
    report.problems += [
        f"{identity} has several groups or genders." for identity, found in kinds.items() if len(found) > 1
    ][:_NAMED]
    if report.identities == 1:
        warn.append("All textures are of one person: nothing can be learnt about identities.")
    if len(report.sizes) > 1:
        told = ", ".join(f"{number} of {side} x {side}" for side, number in sorted(report.sizes.items()))
        warn.append(f"The textures are of mixed sizes: {told}.")
    odd = sorted(side for side in report.sizes if side not in SIZES)
    if odd:
        warn.append(f"Sides of {', '.join(map(str, odd))} pixels are unusual; the engines make {SIZES}.")
    if report.without_embedding:
        warn.append(
            f"{report.without_embedding:,} textures have no embedding. Compute them: uvmap-id dataset embed FOLDER"
        )
    if report.without_consent:
        warn.append(f"{report.without_consent:,} textures say nothing of consent or licence.")
    folder = dataset.folder / TEXTURES
    unlisted = sum(path.suffix == ".png" and path.resolve() not in listed for path in folder.glob("*"))
    if unlisted:
        warn.append(f"{unlisted:,} pictures in {TEXTURES}/ are not listed, and nobody will see them.")
    if not report.balance.is_balanced:
        warn.append(report.balance.sentence())


def _shortened(sentences: list[str]) -> list[str]:
    more = len(sentences) - _NAMED
    return sentences if more <= 0 else [*sentences[:_NAMED], f"{more:,} more are like these."]
