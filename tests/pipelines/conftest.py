from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from asked import Load
from torch import Tensor

from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline
from uvmap_id.weights.load import load_components
from uvmap_id.weights.tiny import TinyWeights, make_tiny


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Modules this small are not worth a second thread, least of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyWeights]:
    return make_tiny(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="session")
def load(tiny: dict[str, TinyWeights]) -> Load:
    """Loads a new pipeline from one of the tiny layouts, louder than it came.

    Random weights barely react to what they are told. Larger ones in the identity's way make that measurable.
    """

    def load(layout: str = "fused") -> UVMapIDPipeline:
        weights = tiny[layout]
        modules: dict[str, Any] = load_components(weights.path, base=weights.base, vae=weights.vae).modules()
        if modules["identity_projection"] is not None:
            for layer in modules["identity_projection"].layers:
                layer.to_v_ip.weight.data.mul_(5)
        return UVMapIDPipeline(**modules)

    return load


@pytest.fixture(scope="module")
def pipeline(load: Load) -> UVMapIDPipeline:
    return load()


@pytest.fixture(scope="session")
def identities() -> Tensor:
    """(3, 512) of three people."""
    return F.normalize(torch.randn(3, 512, generator=torch.Generator().manual_seed(3)), dim=-1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipelines")
