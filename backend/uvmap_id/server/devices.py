"""Which graphics cards there are to share out among workers. Knows no torch: the server has to start at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"

_TIMEOUT_S = 10.0
_NODE = re.compile(r"nvidia[0-9]+")


def visible_devices(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What each of several workers may be told in `CUDA_VISIBLE_DEVICES`; empty where there is nothing to share out.

    A choice that the user made in that variable is kept.
    """
    chosen = environment.get(VISIBLE_VARIABLE)
    if chosen is not None:
        return tuple(device.strip() for device in chosen.split(",") if device.strip())
    if sys.platform == "linux":
        # Their numbers are the driver's; CUDA counts those that this process may use from 0 on.
        count = sum(_NODE.fullmatch(path.name) is not None for path in Path("/dev").glob("nvidia*"))
    else:
        count = _listed()
    return tuple(map(str, range(count)))


def _listed() -> int:
    try:
        said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in said.stdout.splitlines())
