"""A store of tiny weights, made once for all tests of the engine that needs weights."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import skimage.data
from PIL import Image


@pytest.fixture(scope="session")
def photo_file() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with UVMap-ID's release, its VAE, text-only weights and models that recognise faces."""
    pytest.importorskip("insightface", reason="the extra [diffusion] is not installed")
    torch = pytest.importorskip("torch", reason="the extra [diffusion] is not installed")
    # Threads that wait for each other on a busy machine make tiny layers slow.
    torch.set_num_threads(1)
    from tiny_identity import write_models

    from uvmap_id.weights.catalogue import Purpose
    from uvmap_id.weights.importing import Import, import_weights
    from uvmap_id.weights.store import WeightsStore
    from uvmap_id.weights.tiny import make_tiny

    folder = tmp_path_factory.mktemp("weights")
    made = make_tiny(folder / "tiny")
    store = WeightsStore(folder / "store")
    vae = made["uvmap-id-a"].vae
    assert vae is not None
    identity = write_models(folder / "buffalo_l")
    for wanted in (
        Import(made["uvmap-id-a"].path, "uvmap-id", Purpose.TEXTURE),
        Import(made["sd15"].path, "text-only", Purpose.TEXTURE),
        Import(vae, "sd-vae-ft-mse", Purpose.VAE),
        Import(identity, "buffalo-l", Purpose.IDENTITY),
    ):
        import_weights(store, wanted)
    return store.folder
