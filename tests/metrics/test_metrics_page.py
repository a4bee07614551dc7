"""docs/metrics.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from uvmap_id.metrics.parsing_classes import KNOWN_CLASSES
from uvmap_id.metrics.recognisers import ARCFACE_THRESHOLD, SFACE_THRESHOLD
from uvmap_id.metrics.registry import DEFAULT_METRICS, GROUPS, names_of
from uvmap_id.weights.catalogue import Purpose, load_catalogue

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_every_class_is_in_the_table() -> None:
    table = PAGE[PAGE.index("| Class |") : PAGE.index("`--parser DIR`")]
    listed = {name.strip() for row in re.findall(r"^\| ([^|]+) \|", table, re.M) for name in re.split("[,;]", row)}
    listed = {name.removesuffix(" (with neck)") for name in listed}
    assert set(KNOWN_CLASSES) <= listed


def test_every_metric_is_named() -> None:
    for name in (*DEFAULT_METRICS, *GROUPS["dfr"]):
        assert f"`{name}`" in PAGE
    assert names_of(["is_r_all"]) == ("is_r", "is_r_back", "is_r_three_quarter", "is_r_face")


def test_the_thresholds_are_those_of_the_page() -> None:
    assert (ARCFACE_THRESHOLD, SFACE_THRESHOLD) == (0.32, 0.363)
    assert f"| {ARCFACE_THRESHOLD:g} |" in PAGE
    assert f"| {SFACE_THRESHOLD:g} |" in PAGE


def test_the_metrics_weights_are_in_the_page() -> None:
    for entry in load_catalogue().entries:
        if entry.purpose is Purpose.METRIC:
            assert f"`{entry.id}`" in PAGE
