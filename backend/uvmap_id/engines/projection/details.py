"""What can be sewn on a garment, by the names that `wardrobe.toml` uses."""

from __future__ import annotations

from collections.abc import Callable

from uvmap_id.engines.projection.cloth import Cloth
from uvmap_id.engines.projection.details_extras import EXTRA_DETAILS
from uvmap_id.engines.projection.details_fronts import FRONT_DETAILS
from uvmap_id.engines.projection.details_lower import LOWER_DETAILS
from uvmap_id.engines.projection.details_upper import UPPER_DETAILS

Detail = Callable[[Cloth], None]
DETAILS: dict[str, Detail] = {**UPPER_DETAILS, **FRONT_DETAILS, **LOWER_DETAILS, **EXTRA_DETAILS}


def detail(name: str) -> Detail:
    """How to draw a detail. Raises `ValueError` for a name that nobody knows."""
    if name not in DETAILS:
        raise ValueError(f"wardrobe.toml names an unknown detail: {name}")
    return DETAILS[name]
