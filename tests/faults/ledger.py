"""What all fault tests together have seen: each scenario adds one entry, and the entries become one table."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LEDGER_VARIABLE = "UVMAP_ID_FAULTS_LEDGER"


@dataclass
class Entry:
    """What one scenario has seen.

    Attributes:
        scenario: Its name.
        faults: How many faults fired: kills, stops, damages, drops, duplicates.
        hostile: Connections, frames and files that were not ours; not counted among the faults.
        accepted: Jobs that a server has accepted.
        ended: Those of them that ended.
        lost: Those that did not.
        twice: Jobs that were begun after they had ended, or whose end was told twice.
        wrong: Jobs that ended otherwise than they should, or with other files.
        strangers: Clients that were let in although they must not.
        personal_bytes: Bytes of prompts and photos that were found after a purge.
        orphans: Processes that outlived their server and the next one.
        kill_s: Seconds from each kill to the end of the job that it hit.
        hang_s: Seconds from each hang to the end of the job that it hit, beyond the limit of silence.
        figures: What else was measured, in words.
    """

    scenario: str
    faults: int = 0
    hostile: int = 0
    accepted: int = 0
    ended: int = 0
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    strangers: int = 0
    personal_bytes: int = 0
    orphans: int = 0
    kill_s: list[float] = field(default_factory=list)
    hang_s: list[float] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Nothing happened that must never happen."""
        return (
            not any((self.lost, self.twice, self.wrong, self.strangers, self.personal_bytes, self.orphans))
            and self.accepted == self.ended
        )

    def write(self) -> None:
        """Add it to the file that the environment names; nothing where it names none."""
        path = os.environ.get(LEDGER_VARIABLE)
        if path:
            with Path(path).open("a") as file:
                file.write(json.dumps(dataclasses.asdict(self)) + "\n")


def read(paths: Iterable[Path]) -> list[Entry]:
    """The entries of these files by their names; of those with one name the last."""
    lines = (line for path in paths for line in path.read_text().splitlines())
    entries = {entry.scenario: entry for entry in (Entry(**json.loads(line)) for line in lines)}
    return [entries[name] for name in sorted(entries)]


def percentile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that so many are not above; NaN of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] if ordered else float("nan")


def total(entries: Iterable[Entry]) -> Entry:
    """All entries in one."""
    whole = Entry("all")
    for entry in entries:
        for name in ("faults", "hostile", "accepted", "ended", "lost", "twice", "wrong"):
            setattr(whole, name, getattr(whole, name) + getattr(entry, name))
        for name in ("strangers", "personal_bytes", "orphans"):
            setattr(whole, name, getattr(whole, name) + getattr(entry, name))
        whole.kill_s += entry.kill_s
        whole.hang_s += entry.hang_s
    return whole


def tables(entries: Sequence[Entry]) -> str:
    """Markdown: the sums, then one line for each scenario."""
    whole = total(entries)
    sums = [
        ("Faults that fired", f"{whole.faults:,}"),
        ("Hostile connections, frames and files besides", f"{whole.hostile:,}"),
        ("Jobs accepted", f"{whole.accepted:,}"),
        ("Jobs ended", f"{whole.ended:,}"),
        ("**Lost**", f"**{whole.lost}**"),
        ("**Done or told twice**", f"**{whole.twice}**"),
        ("**Wrong end or wrong files**", f"**{whole.wrong}**"),
        ("**Strangers let in**", f"**{whole.strangers}**"),
        ("**Bytes of a person after purge**", f"**{whole.personal_bytes}**"),
        ("**Orphaned processes**", f"**{whole.orphans}**"),
        ("From a kill to the end of the job it hit, p50 / p99", _spread(whole.kill_s)),
        ("From a hang to the end of the job it hit, beyond the limit of silence, p50 / p99", _spread(whole.hang_s)),
    ]
    lines = ["| All together | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in sums), ""]
    lines += ["| Scenario | Faults | Hostile | Jobs | Lost, twice, wrong | Measured |", "|---|---:|---:|---:|---:|---|"]
    for entry in entries:
        measured = "; ".join(f"{name} {value}" for name, value in entry.figures.items())
        bad = f"{entry.lost}, {entry.twice}, {entry.wrong}"
        lines.append(
            f"| {entry.scenario} | {entry.faults:,} | {entry.hostile:,} | {entry.accepted:,} | {bad} | {measured} |"
        )
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    return f"{percentile(values, 0.5):.2f} s / {percentile(values, 0.99):.2f} s ({len(values)} times)"
