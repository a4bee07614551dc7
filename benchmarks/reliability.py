"""Every fault of tests/faults as often as it takes, and the table of docs/reliability.md.

    python benchmarks/reliability.py [--ledger FILE ...] [--soak-s 300] [-k WORDS]

Runs tests/faults in full: real servers, workers and clients, each fault done to them and counted where it fires. With
`--ledger` nothing is run: the table is made of what earlier runs wrote, each with `UVMAP_ID_FAULTS=full` and
`UVMAP_ID_FAULTS_LEDGER=FILE` in its environment. Root on Linux can mount the small disks; others skip those faults.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "faults"))

from ledger import LEDGER_VARIABLE, read, tables, total  # noqa: E402

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--ledger", type=Path, nargs="+", help="make the table of these, and run nothing")
    parser.add_argument("--soak-s", type=float, default=300.0, help="how long random faults go on")
    parser.add_argument("-k", default="", help="only tests whose names fit, as for pytest")
    arguments = parser.parse_args()
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        ledgers = arguments.ledger or [Path(folder, "ledger.jsonl")]
        if not arguments.ledger:
            code = run(ledgers[0], arguments.soak_s, arguments.k)
        entries = read(ledgers)
    table = f"{where()}\n\n{tables(entries)}"
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{table}{END}{after}")
    print(table)
    return code or (0 if total(entries).is_clean else 1)


def run(ledger: Path, soak_s: float, chosen: str) -> int:
    ledger.touch()
    chosen_here = {"UVMAP_ID_FAULTS": "full", LEDGER_VARIABLE: str(ledger), "UVMAP_ID_SOAK_S": str(soak_s)}
    command = [sys.executable, "-m", "pytest", "-q", "tests/faults", *(("-k", chosen) if chosen else ())]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **chosen_here}).returncode


def where() -> str:
    return f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, other work beside it."


if __name__ == "__main__":
    sys.exit(main())
