"""Settings from a file and from what was typed: what is typed wins, and what is neither is the default."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import DiffusionSettings, TextureRequest
from uvmap_id.settings import NO_PHOTO, read_settings, requested

TOML = """
prompt = "blue jeans"
seed = 5
extra_maps = ["orm"]

[diffusion]
guidance = 4
anchor = 0.5
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(TOML)
    return path


def test_without_a_file_everything_is_as_in_a_bare_request() -> None:
    assert requested(None, {"prompt": "jeans"}, {}) == TextureRequest(NO_PHOTO, "jeans")


def test_a_table_fills_in_what_is_not_typed(toml: Path) -> None:
    expected = TextureRequest(
        NO_PHOTO, "blue jeans", seed=7, extra_maps=("orm",), diffusion=DiffusionSettings(guidance=4.0, anchor=0.25)
    )
    assert requested(toml, {"prompt": None, "seed": "7"}, {"anchor": "0.25", "steps": None}) == expected


def test_every_field_of_a_manifests_request_comes_back(tmp_path: Path) -> None:
    request = TextureRequest(
        "1" * 64,
        "x",
        "y",
        "projection",
        512,
        3,
        0.1,
        ("2" * 64,),
        ("orm",),
        "directx",
        DiffusionSettings("w", "draft", 7),
    )
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"format": 1, "request": dataclasses.asdict(request), "maps": {}}))
    assert read_settings(path) == dataclasses.replace(request, face_sha256=NO_PHOTO, more_faces=())


BAD = {
    "no JSON": ("a.json", b"{"),
    "no TOML": ("a.toml", b"= 1"),
    "no text": ("a.json", b"\xff\xfe"),
    "a list": ("a.json", b"[]"),
    "a number as a request": ("a.json", b'{"request": 3}'),
    "an unknown field": ("a.json", b'{"prompt": "x", "sead": 3}'),
    "a number as text": ("a.json", b'{"seed": "3"}'),
    "a deep one": ("a.json", b"[" * 100_000),
    "an endless number": ("a.json", b'{"seed": ' + b"9" * 10_000 + b"}"),
    "a date": ("a.toml", b"prompt = 2020-01-01"),
}


@pytest.mark.parametrize(("name", "content"), BAD.values(), ids=BAD.keys())
def test_a_file_that_is_none_is_refused_in_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UVMapError) as caught:
        read_settings(tmp_path / name)
    assert caught.value.failure.code == ErrorCode.SETTINGS_UNREADABLE
    assert str(tmp_path / name) in caught.value.failure.message
    assert "\n" not in caught.value.failure.message


@given(st.sampled_from(["seed", "size", "relight"]), st.text(max_size=20))
def test_a_typed_number_is_read_or_refused(name: str, text: str) -> None:
    try:
        requested(None, {"prompt": "jeans", name: text}, {})
    except UVMapError as error:
        assert error.failure.code.startswith(name)
