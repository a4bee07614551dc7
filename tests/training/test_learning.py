"""It learns: a small model learns 8 people from nothing, and makes each of them when asked. See the benchmark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_model_from_nothing_learns_who_is_who(tmp_path: Path):
    result = tmp_path / "figures.json"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "backend"), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "learning.py"), "--json", str(result)],
        env=environment,
        check=True,
        timeout=1800,
    )
    figures = json.loads(result.read_text())
    assert figures["loss_fall"] >= 0.8
    assert figures["right_with_identity"] >= 7
    # By chance 4 of 32 are right, and more than 9 in one case of a hundred.
    assert figures["asked_without_identity"] == 32
    assert figures["right_without_identity"] <= 9
