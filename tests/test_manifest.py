"""What lies on disk: the same bytes for the same request, and files that say what they are."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from uvmap_id import __version__
from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import EXTRA_MAPS, MAPS, NORMAL_CONVENTIONS, TextureRequest
from uvmap_id.link.texture_set import MANIFEST_KEYWORD, THUMBNAIL_CHUNK
from uvmap_id.link.wire import build
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
    values = {
        "base_color": noise,
        "normal": noise[::-1],
        "roughness": noise[..., 0],
        "subsurface": noise[..., 1],
        **fields,
    }
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
    assert {name: entry["channels"] for name, entry in manifest["maps"].items()} == {
        "base_color": ["red", "green", "blue"],
        "normal": ["x", "y", "z"],
        "roughness": ["roughness"],
    }
    assert manifest["maps"]["normal"]["convention"] == "opengl"
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


def test_extra_maps_are_written_when_they_are_asked_for(tmp_path: Path) -> None:
    made = textures()
    files = write(tmp_path / "set", made, dataclasses.replace(REQUEST, extra_maps=("subsurface", "orm")))
    maps = json.loads(files["manifest.json"])["maps"]
    assert sorted(files) == sorted([*(f"{name}.png" for name in (*MAPS, *EXTRA_MAPS)), "manifest.json"])
    assert maps["orm"]["channels"] == ["occlusion", "roughness", "metallic"]
    assert {maps[name]["color_space"] for name in EXTRA_MAPS} == {"Non-Color"}
    orm = pixels_of(tmp_path / "set" / "orm.png")
    assert np.array_equal(orm[..., 1], made.roughness)
    assert (orm[..., 0] == 255).all()
    assert (orm[..., 2] == 0).all()
    assert np.array_equal(pixels_of(tmp_path / "set" / "subsurface.png"), made.subsurface)


def test_directx_has_its_green_turned_over_and_nothing_else(tmp_path: Path) -> None:
    ours, theirs = (
        write(tmp_path / convention, textures(), dataclasses.replace(REQUEST, normal_convention=convention))
        for convention in NORMAL_CONVENTIONS
    )
    assert set(ours) == set(theirs)
    for name in ("base_color.png", "roughness.png"):
        one, other = (pixels_of(tmp_path / convention / name) for convention in NORMAL_CONVENTIONS)
        assert np.array_equal(one, other)
    up, down = (pixels_of(tmp_path / convention / "normal.png") for convention in NORMAL_CONVENTIONS)
    assert np.array_equal(255 - up[..., 1], down[..., 1])
    assert np.array_equal(up[..., [0, 2]], down[..., [0, 2]])
    assert json.loads(theirs["manifest.json"])["maps"]["normal"]["convention"] == "directx"


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


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


def test_each_map_holds_the_manifest_and_the_base_colour_a_small_picture(tmp_path: Path) -> None:
    files = write(tmp_path / "set", textures())
    whole = json.loads(files["manifest.json"])
    for entry in whole["maps"].values():
        del entry["sha256"]
    for name in MAPS:
        with Image.open(tmp_path / "set" / f"{name}.png") as picture:
            picture.load()
            assert json.loads(picture.info[MANIFEST_KEYWORD]) == whole
    start = files["base_color.png"].index(THUMBNAIL_CHUNK)
    size = int.from_bytes(files["base_color.png"][start - 4 : start])
    with Image.open(io.BytesIO(files["base_color.png"][start + 4 : start + 4 + size])) as small:
        assert small.size == (128, 128)
    assert THUMBNAIL_CHUNK not in files["normal.png"]
