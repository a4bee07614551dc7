"""What lies on disk: the same bytes for the same request, and files that say what they are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvmap_id import __version__
from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.messages import build
from uvmap_id.link.request import MAPS, TextureRequest
from uvmap_id.manifest import NOTICE, SOURCE_TYPE, write_texture_set

REQUEST = TextureRequest("0" * 64, "wearing a white shirt, Jeans für Zoë", "woman", "auto", 512, 7)


@dataclass
class NamedEngine:
    name: str = "named"
    version: str = "3"

    def generate(self, request: TextureRequest, photos: tuple[bytes, ...], report: Report) -> TextureSet:
        return textures()


def textures(side: int = 512, **fields: object) -> TextureSet:
    noise = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    values = {"base_color": noise, "normal": noise[::-1], "roughness": noise[..., 0], **fields}
    return TextureSet(**values)  # pyright: ignore[reportArgumentType]


def write(folder: Path, made: TextureSet, request: TextureRequest = REQUEST) -> dict[str, bytes]:
    folder.mkdir()
    write_texture_set(folder, request, NamedEngine(), made)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_request_gives_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a", textures()) == write(tmp_path / "b", textures())


def test_the_manifest_names_everything_that_decides_the_result(tmp_path: Path) -> None:
    files = write(tmp_path / "set", textures(warnings=("A second face.",), details={"skin": [1, 2, 3]}))
    manifest = json.loads(files["manifest.json"])
    assert manifest["format"] == 1
    assert manifest["generator"] == {"name": "uvmap-id", "version": __version__}
    assert manifest["synthetic"] is True
    assert manifest["notice"] == NOTICE
    assert manifest["engine"] == {"name": "named", "version": "3"}
    assert build(TextureRequest, manifest["request"]) == REQUEST
    assert manifest["warnings"] == ["A second face."]
    assert manifest["details"] == {"skin": [1, 2, 3]}
    assert {name: entry["color_space"] for name, entry in manifest["maps"].items()} == {
        "base_color": "sRGB",
        "normal": "Non-Color",
        "roughness": "Non-Color",
    }
    for entry in manifest["maps"].values():
        assert hashlib.sha256(files[entry["file"]]).hexdigest() == entry["sha256"]
        assert (entry["width"], entry["height"]) == (512, 512)
    assert str(tmp_path) not in files["manifest.json"].decode()


def test_the_maps_hold_the_pixels_and_say_that_they_were_generated(tmp_path: Path) -> None:
    made = textures()
    write(tmp_path / "set", made)
    for name in MAPS:
        with Image.open(tmp_path / "set" / f"{name}.png") as image:
            assert np.array_equal(np.asarray(image), getattr(made, name))
            assert image.info["Software"] == f"UVMap-ID {__version__}"
            assert image.info["Description"] == NOTICE
            assert image.info["DigitalSourceType"] == SOURCE_TYPE
            assert f'DigitalSourceType="{SOURCE_TYPE}"' in image.info["XML:com.adobe.xmp"]


@pytest.mark.parametrize(
    "made",
    [
        textures(256),
        textures(normal=np.zeros((512, 512), np.uint8)),
        textures(roughness=np.zeros((512, 512), np.float32)),
        textures(details={"long": "x" * 50_000}),
        textures(details={"path": Path("/")}),
        textures(details={"number": float("nan")}),
    ],
    ids=["size", "channels", "type", "long details", "no JSON", "NaN"],
)
def test_an_engine_that_breaks_its_promise_is_told_off(tmp_path: Path, made: TextureSet) -> None:
    with pytest.raises(UVMapError) as caught:
        write(tmp_path / "set", made)
    assert caught.value.failure.code == ErrorCode.INTERNAL
