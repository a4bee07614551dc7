"""What the metrics' tests share: the atlas, a photo, and tiny models."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage.data
from PIL import Image
from tiny_sface import write_sface

from uvmap_id.atlas.face import FaceShape
from uvmap_id.atlas.layout import Atlas
from uvmap_id.faces.landmarks import FaceFinder
from uvmap_id.metrics.face_crop import AtlasFace
from uvmap_id.metrics.recognisers import SFace


@pytest.fixture(scope="session")
def atlas() -> Atlas:
    return Atlas.load()


@pytest.fixture(scope="session")
def atlas_face(atlas: Atlas) -> AtlasFace:
    return AtlasFace(atlas, FaceShape.load())


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="session")
def sface(tmp_path_factory: pytest.TempPathFactory) -> SFace:
    return SFace(*write_sface(tmp_path_factory.mktemp("sface")))


@pytest.fixture(scope="session")
def astronaut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path
