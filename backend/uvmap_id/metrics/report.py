"""The report of an evaluation: one page that needs nothing from anywhere, and the same for programs."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources as package_files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvmap_id import __version__
from uvmap_id.link.errors import UVMapError
from uvmap_id.metrics import paper
from uvmap_id.metrics.evaluation import Evaluation, Outcome
from uvmap_id.metrics.plots import contact_sheet, histogram
from uvmap_id.metrics.registry import Resources
from uvmap_id.metrics.sources import Source
from uvmap_id.onnx_runtime import import_package
from uvmap_id.pictures import resize

FORMAT = 1
_SHOWN = 6
_SIDE = 150
_LISTED = 20


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A row of textures: its picture as base64 and what is written below."""

    title: str
    jpeg: str
    captions: tuple[tuple[str, str, str], ...]


def report_json(evaluation: Evaluation, name: str) -> str:
    """All figures for programs; `name` says what was evaluated. No number in it is not finite."""
    figures = {each.name: _figure_values(each) for each in evaluation.outcomes if each.figure is not None}
    skipped = {each.name: asdict(each.failure) for each in evaluation.outcomes if each.failure is not None}
    values = {
        "format": FORMAT,
        "generator": {"name": "uvmap-id", "version": __version__},
        "evaluated": name,
        "textures": evaluation.count,
        "identities": evaluation.identities,
        "complete": evaluation.complete,
        "figures": figures,
        "skipped": skipped,
        "unreadable": {key: asdict(failure) for key, failure in evaluation.unreadable.items()},
        "paper": {table.title: table.rows for table in paper.TABLES},
    }
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def report_html(evaluation: Evaluation, name: str, sources: Sequence[Source], resources: Resources) -> str:
    """The page.

    Args:
        evaluation: What was measured.
        name: What was evaluated, for the title.
        sources: The textures; the best and the worst are opened again.
        resources: For the renders on the contact sheets.

    Raises:
        UVMapError: package_missing without jinja2 or matplotlib.
    """
    jinja = import_package("jinja2", "The report", extra="train")
    pictures = _Pictures({source.name: source for source in sources}, resources)
    template = (package_files.files("uvmap_id.metrics") / "data" / "report.html").read_text(encoding="utf-8")
    environment = jinja.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja.StrictUndefined
    )
    environment.filters["number"] = number
    measured = [each for each in evaluation.outcomes if each.figure is not None]
    methods = list(paper.TABLES[0].rows)
    return environment.from_string(template).render(
        name=name,
        version=__version__,
        evaluation=evaluation,
        measured=measured,
        skipped=[each for each in evaluation.outcomes if each.figure is None],
        published={each.name: [paper.published(each.name, method) for method in methods] for each in measured},
        methods=methods,
        histograms={each.name: _histogram(each) for each in measured if _scores(each)},
        sheets={each.name: _sheets(each, pictures) for each in measured if _scores(each)},
        left_out={each.name: _listed(each.left_out) for each in measured if each.left_out},
        unreadable=_listed(evaluation.unreadable),
        tables=paper.TABLES,
        columns=paper.TITLES,
    )


def number(value: float | None) -> str:
    """A number as a person wants to read it: four digits that count, no more."""
    if value is None:
        return ""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


class _Pictures:
    """Pictures of textures for contact sheets: the texture, and the body that wears it where there is one."""

    def __init__(self, sources: Mapping[str, Source], resources: Resources) -> None:
        self._sources = sources
        self._known: dict[str, NDArray[np.uint8]] = {}
        try:
            self._render = resources.render("front")
        except UVMapError:
            self._render = None

    def of(self, name: str) -> NDArray[np.uint8]:
        if name not in self._known:
            self._known[name] = self._made(self._sources[name])
        return self._known[name]

    def _made(self, source: Source) -> NDArray[np.uint8]:
        texture = source.load().texture
        small = resize(texture, (_SIDE, _SIDE))
        if self._render is None:
            return small
        worn = self._render.show(texture)
        # The body stands in the middle of an otherwise empty picture.
        quarter = worn.shape[1] // 4
        middle = resize(
            worn[:, quarter:-quarter], (_SIDE, round(_SIDE * (worn.shape[1] - 2 * quarter) / worn.shape[0]))
        )
        return np.hstack([small, middle])

    def prompt(self, name: str) -> str:
        return self._sources[name].prompt


def _sheets(outcome: Outcome, pictures: _Pictures) -> list[_Sheet]:
    scores, figure = _scores(outcome), outcome.figure
    better = -1 if figure is not None and figure.higher_is_better else 1
    ranked = sorted(scores, key=lambda name: (better * scores[name], name))
    shown = min(_SHOWN, (len(ranked) + 1) // 2)
    rows = [("Best", ranked[:shown]), ("Worst", ranked[max(shown, len(ranked) - shown) :][::-1])]
    return [_sheet(title, names, scores, pictures) for title, names in rows if names]


def _sheet(title: str, names: Sequence[str], scores: Mapping[str, float], pictures: _Pictures) -> _Sheet:
    jpeg = contact_sheet([pictures.of(name) for name in names], _SIDE)
    captions = tuple((name, number(scores[name]), pictures.prompt(name)) for name in names)
    return _Sheet(title, base64.b64encode(jpeg).decode(), captions)


def _histogram(outcome: Outcome) -> str:
    scores, figure = list(_scores(outcome).values()), outcome.figure
    own = figure is not None and min(scores) <= figure.value <= max(scores)
    svg = histogram(scores, _unit_of_scores(outcome), figure.value if figure is not None and own else None)
    return base64.b64encode(svg).decode()


def _unit_of_scores(outcome: Outcome) -> str:
    if outcome.name.startswith(("dfr_", "identity_")):
        return "cosine"
    if outcome.name.startswith("is_"):
        return "KL divergence, nats"
    return outcome.figure.unit if outcome.figure is not None else ""


def _scores(outcome: Outcome) -> dict[str, float]:
    return outcome.figure.scores if outcome.figure is not None else {}


def _listed(failures: Mapping[str, Any]) -> list[tuple[str, str]]:
    listed = [(name, failure.message) for name, failure in list(failures.items())[:_LISTED]]
    more = len(failures) - len(listed)
    return [*listed, (f"and {more} more", "see the JSON")] if more else listed


def _figure_values(outcome: Outcome) -> dict[str, Any]:
    assert outcome.figure is not None  # noqa: S101
    values = asdict(outcome.figure) | {"title": outcome.title, "paper": paper.published(outcome.name)}
    values["left_out"] = {name: asdict(failure) for name, failure in outcome.left_out.items()}
    return values
