"""The model card: what a trained model learnt from, how, and what came of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import uvmap_id
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.training.config import Config, to_toml
from uvmap_id.training.data import TrainingData
from uvmap_id.training.logs import StepFigures

# How many steps a figure at either end of the curve is the mean of.
_STEPS_OF_A_FIGURE = 50


def model_card(config: Config, data: TrainingData, losses: Sequence[StepFigures], facts: dict[str, str]) -> str:
    """README.md in the form of the Hugging Face hub.

    Args:
        config: Of the run.
        data: What was learnt from.
        losses: Of every step.
        facts: Further lines about the run, such as the device.

    Raises:
        UVMapError: config_invalid: the report of the metrics can't be read.
    """
    licence = config.output.licence or "other"
    lines = [
        "---",
        f"license: {json.dumps(licence)}",
        "library_name: uvmap-id",
        "pipeline_tag: text-to-image",
        "tags: [uv-texture, smpl, stable-diffusion, identity]",
        "---",
        "",
        f"# {config.out.name}",
        "",
        "Textures of people in SMPL's UV atlas, from the identity of a face and a text (UVMap-ID, arXiv 2404.14568).",
        "",
        "```",
        f"uvmap-id weights import {config.out / 'model'} --as {config.out.name}",
        f"uvmap-id generate --weights {config.out.name} --face photo.jpg --prompt '...' --out texture",
        "```",
        "",
        "## Data",
        "",
        *_table(_data_rows(data)),
        "",
        "## Result",
        "",
        *_table([*_loss_rows(losses), *facts.items()]),
        "",
        *_metrics(config.output.metrics),
        "## Settings",
        "",
        "```toml",
        to_toml(config).strip(),
        "```",
        "",
        f"Made with uvmap-id {uvmap_id.__version__}.",
        "",
    ]
    return "\n".join(lines)


def _data_rows(data: TrainingData) -> list[tuple[str, str]]:
    rows = data.rows
    return [
        ("Dataset", data.folder.resolve().name),
        ("Textures", str(len(rows))),
        ("People", str(len(data.identities()))),
        ("Groups", _counts(row.group for row in rows)),
        ("Genders", _counts(row.gender for row in rows)),
        ("Consent", _counts(row.consent for row in rows)),
        ("Licences", _counts(row.licence for row in rows)),
    ]


def _counts(values: Iterable[str]) -> str:
    counted = Counter(value or "not said" for value in values)
    return ", ".join(f"{value}: {count}" for value, count in counted.most_common())


def _loss_rows(losses: Sequence[StepFigures]) -> list[tuple[str, str]]:
    if not losses:
        return []
    first, last = losses[:_STEPS_OF_A_FIGURE], losses[-_STEPS_OF_A_FIGURE:]
    rows = [("Steps", str(losses[-1].step))]
    for title, name in (("Loss", "loss"), ("Loss of the textures", "instance"), ("Loss of the class images", "prior")):
        begin, end = (_mean(getattr(each, name) for each in part) for part in (first, last))
        rows.append((title, f"{begin:.4f} at first, {end:.4f} at last (means of {len(last)} steps)"))
    return rows


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)


def _metrics(report: str) -> list[str]:
    """The figures of a report in a table."""
    if not report:
        return []
    try:
        content = json.loads(Path(report).read_text(encoding="utf-8"))
        found = _figures(content)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UVMapError(
            ErrorCode.CONFIG_INVALID, f"output.metrics: {report} can't be read.", "Name a report.json, or leave it out."
        ) from error
    return ["## Metrics", "", *_table(found), ""]


def _figures(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Titles and values of what `uvmap-id evaluate` measured."""
    found = []
    for name, figure in content["figures"].items():
        spread = f" ± {figure['spread']:.3g}" if figure.get("spread") is not None else ""
        found.append(
            (str(figure.get("title") or name), f"{figure['value']:.4g}{spread} {figure.get('unit') or ''}".strip())
        )
    return found


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {value.replace('|', '/')} |" for name, value in rows)]
