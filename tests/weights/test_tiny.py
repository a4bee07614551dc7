"""The tiny checkpoint is small, complete, always the same, and takes any text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.link.errors import ErrorCode
from uvmap_id.pipelines.identity_projection import cross_attention_sizes
from uvmap_id.weights.load import load_components
from uvmap_id.weights.parts import sd15_config
from uvmap_id.weights.tiny import TinyWeights, make_tiny
from uvmap_id.weights.tiny_modules import unet_config

LIMIT = 4_000_000


def sizes(folder: Path) -> dict[str, int]:
    return {
        each.name: sum(file.stat().st_size for file in each.rglob("*") if file.is_file()) for each in folder.iterdir()
    }


def hashes(folder: Path) -> dict[str, str]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_every_layout_is_small(tiny: dict[str, TinyWeights]) -> None:
    folder = tiny["sd15"].path.parent
    assert {name: size for name, size in sizes(folder).items() if size >= LIMIT} == {}


def test_it_is_always_the_same(tiny: dict[str, TinyWeights], tmp_path: Path) -> None:
    make_tiny(tmp_path / "again")
    assert hashes(tmp_path / "again") == hashes(tiny["sd15"].path.parent)


def test_attention_is_where_the_large_unet_has_it(tiny: dict[str, TinyWeights]) -> None:
    large, small = sd15_config("unet"), unet_config()
    for name in ("down_block_types", "up_block_types", "layers_per_block", "in_channels", "out_channels"):
        assert small[name] == large[name]
    loaded = load_components(tiny["sd15"].path)
    assert cross_attention_sizes(loaded.unet) == [4, 4, 8, 8, 16, 16, 16, 16, 16, 8, 8, 8, 4, 4, 4, 16]
    assert 2 ** (len(loaded.vae.config["block_out_channels"]) - 1) == 8


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, refused: Callable) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with refused(ErrorCode.OUTPUT_NOT_WRITABLE, str(tmp_path)):
        make_tiny(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_named(tmp_path: Path, refused: Callable) -> None:
    (tmp_path / "file").write_text("mine")
    with refused(ErrorCode.OUTPUT_NOT_WRITABLE, "file"):
        make_tiny(tmp_path / "file" / "tiny")


@pytest.fixture(scope="module")
def tokenizer(tiny: dict[str, TinyWeights]) -> Callable[[str], list[int]]:
    loaded = load_components(tiny["sd15"].path).tokenizer
    return lambda text: loaded(text, padding="max_length", truncation=True).input_ids


@given(text=st.text(max_size=120))
def test_any_text_becomes_77_known_tokens(tokenizer: Callable[[str], list[int]], text: str) -> None:
    tokens = tokenizer(text)
    start, end = 512, 513
    assert len(tokens) == 77
    assert tokens[0] == start
    inside = tokens[1 : tokens.index(end)]
    assert all(0 <= token < start for token in inside)
    assert inside or not text.strip() or not text.isprintable()


def test_different_texts_differ(tokenizer: Callable[[str], list[int]]) -> None:
    texts = ["a red coat", "a blue coat", "été", "ete", "日本", "日木", "🙂", "🙃"]
    assert len({tuple(tokenizer(text)) for text in texts}) == len(texts)
