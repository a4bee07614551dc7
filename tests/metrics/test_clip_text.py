"""CLIPT: 100 x the cosine that transformers' own CLIP finds, in any batches, long prompts cut with a note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_textures import grey, noise
from tiny_clip import write_clip
from transformers import CLIPModel, CLIPTokenizer

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Sample
from uvmap_id.metrics.clip_text import Clip, ClipText

SAMPLES = [Sample(f"{n}", noise(n, 64), prompt=("white shirt", "red hat, blue jeans", "suit")[n % 3]) for n in range(7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("models") / "clip")


def test_it_is_what_transformers_finds(folder: Path) -> None:
    model = CLIPModel.from_pretrained(folder).eval()
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    sample = SAMPLES[1]
    pixels = (sample.texture / 255 - [0.48, 0.46, 0.41]) / [0.27, 0.26, 0.28]
    with torch.inference_mode():
        found = model(
            **tokenizer([sample.prompt], return_tensors="pt"),
            pixel_values=torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32)),
        )
        cosine = torch.nn.functional.cosine_similarity(found.image_embeds, found.text_embeds)
    metric = ClipText(Clip(folder))
    metric.update([sample])
    figure = metric.compute()
    assert figure.value == pytest.approx(100 * float(cosine), abs=1e-3)
    assert figure.spread == 0


def test_batches_make_no_difference(folder: Path) -> None:
    clip = Clip(folder)
    figures = []
    for cut in (7, 3, 1):
        metric = ClipText(clip)
        for start in range(0, 7, cut):
            metric.update(SAMPLES[start : start + cut])
        figures.append(metric.compute())
    for figure in figures[1:]:
        assert figure.scores == pytest.approx(figures[0].scores, abs=1e-3)
    assert figures[0].count == 7
    assert figures[0].value == pytest.approx(np.mean(list(figures[0].scores.values())))


def test_openais_pickle_is_read(folder: Path, tmp_path: Path) -> None:
    pickled = Clip(write_clip(tmp_path / "clip", pickled=True))
    assert torch.allclose(pickled.texts(["hat"]), Clip(folder).texts(["hat"]), atol=1e-6)


def test_embeddings_are_normalised(folder: Path) -> None:
    clip = Clip(folder)
    assert torch.allclose(clip.texts(["a", "b"]).norm(dim=1), torch.ones(2))
    assert torch.allclose(clip.pictures([grey(), noise(0, 256)]).norm(dim=1), torch.ones(2))


def test_long_prompts_are_cut_with_a_note(folder: Path) -> None:
    clip = Clip(folder)
    metric = ClipText(clip)
    metric.update([Sample("long", noise(1), prompt="word " * 200), Sample("short", noise(2), prompt="word")])
    assert any(note.startswith("1 prompts are longer") for note in metric.compute().notes)
    assert torch.allclose(clip.texts(["word " * 200]), clip.texts(["word " * 300]))


def test_no_prompt_is_an_error_and_changes_nothing(folder: Path) -> None:
    metric = ClipText(Clip(folder))
    with pytest.raises(UVMapError, match="no prompt") as caught:
        metric.update([SAMPLES[0], Sample("bare", grey())])
    assert caught.value.failure.code == ErrorCode.DATASET_UNREADABLE
    with pytest.raises(UVMapError) as caught:
        metric.compute()
    assert caught.value.failure.code == ErrorCode.DATASET_EMPTY


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda folder: (folder / "config.json").unlink(), ErrorCode.WEIGHTS_INCOMPLETE),
        (lambda folder: (folder / "config.json").write_text("{}"), ErrorCode.WEIGHTS_INVALID),
        (lambda folder: (folder / "config.json").write_text("no"), ErrorCode.WEIGHTS_INVALID),
        (lambda folder: (folder / "model.safetensors").unlink(), ErrorCode.WEIGHTS_INCOMPLETE),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"<html>"), ErrorCode.WEIGHTS_INVALID),
        (lambda folder: (folder / "vocab.json").write_text("no"), ErrorCode.WEIGHTS_INVALID),
        (
            lambda folder: (folder / "preprocessor_config.json").write_text('{"image_std": [0, 1, 1]}'),
            "weights_invalid",
        ),
        (lambda folder: drop_tensor(folder), ErrorCode.WEIGHTS_INVALID),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, damage, code: str) -> None:
    folder = write_clip(tmp_path / "clip")
    damage(folder)
    with pytest.raises(UVMapError) as caught:
        Clip(folder)
    assert caught.value.failure.code == code


def drop_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["text_projection.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_no_folder_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UVMapError, match="clip-vit-base-patch32") as caught:
        Clip(tmp_path / "nowhere")
    assert caught.value.failure.code == ErrorCode.WEIGHTS_MISSING
