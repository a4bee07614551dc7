"""Finds the bodies and textures that the tests measure against; they are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REQUIRE_VARIABLE = "UVMAP_ID_REQUIRE_SHARED"
PLACE_VARIABLE = "UVMAP_ID_SHARED"


def shared(name: str) -> Path:
    """A file of the shared data. Where it is absent the test skips, or fails if `UVMAP_ID_REQUIRE_SHARED` is 1."""
    folder = os.environ.get(PLACE_VARIABLE) or Path(__file__).parents[2] / "shared"
    path = Path(folder) / "data" / name
    if not path.exists():
        reason = f"The shared data has no {name}; set {PLACE_VARIABLE} to the folder that holds it."
        if os.environ.get(REQUIRE_VARIABLE) == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
