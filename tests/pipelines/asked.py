"""What the pipeline is asked for in its tests."""

from __future__ import annotations

from collections.abc import Callable

from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline

Load = Callable[..., UVMapIDPipeline]

SIDE = 128
PROMPTS = ["a sks texturemap of asian man, white shirt", "red dress, " * 40, "superhero costume"]
NEGATIVES = ["blurry", "", "low quality, monochrome"]
