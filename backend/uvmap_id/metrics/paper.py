"""What the paper measured: Tables 1 to 3 of UVMap-ID (arXiv 2404.14568)."""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS = ("is_r", "is_uv", "ssp", "clipt", "dfr")
TITLES = {"is_r": "IS (R)", "is_uv": "IS (UV)", "ssp": "SSP", "clipt": "CLIPT", "dfr": "DFR"}


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table of the paper.

    Attributes:
        title: What it is about.
        rows: The figures as they are printed, by the metrics in `COLUMNS`, under each method's name.
    """

    title: str
    rows: dict[str, dict[str, str]]


def _row(is_r: str, is_uv: str, ssp: str, clipt: str, dfr: str) -> dict[str, str]:
    return dict(zip(COLUMNS, (is_r, is_uv, ssp, clipt, dfr), strict=True))


_OURS = _row("1.78 ± 0.020", "1.89 ± 0.027", "8.46", "29.12", "792")
TABLES = (
    PaperTable(
        "Table 1: methods",
        {"SMPLitex": _row("1.46 ± 0.020", "1.95 ± 0.049", "10.45", "29.40", "62"), "UVMap-ID": _OURS},
    ),
    PaperTable(
        "Table 2: race and gender in the prompt",
        {'UVMap-ID without "Race and Gender"': {"dfr": "436"}, 'UVMap-ID with "Race and Gender"': {"dfr": "792"}},
    ),
    PaperTable(
        "Table 3: textures for each identity in training",
        {
            "UVMap-ID (1)": _row("1.88 ± 0.028", "2.03 ± 0.039", "10.59", "29.09", "734"),
            "UVMap-ID (2)": _OURS,
            "UVMap-ID (5)": _row("1.55 ± 0.017", "1.55 ± 0.084", "8.74", "29.27", "798"),
        },
    ),
)


def published(name: str, method: str = "UVMap-ID") -> str:
    """The paper's figure for a metric of ours, "" where it has none."""
    column = "dfr" if name.startswith("dfr_") else name
    return TABLES[0].rows[method].get(column, "")
