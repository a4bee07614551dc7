"""Weights are known by their tensors, and what is none of them is refused with the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from uvmap_id.link.errors import ErrorCode
from uvmap_id.weights.recognise import WeightsKind, recognise
from uvmap_id.weights.tiny import TinyWeights

KINDS = {
    "uvmap-id-a": WeightsKind.RELEASE_A,
    "uvmap-id-b": WeightsKind.RELEASE_B,
    "sd15": WeightsKind.FOLDER,
    "smplitex": WeightsKind.FILE,
    "faceid-bin": WeightsKind.FACE_ADAPTER,
    "faceid-safetensors": WeightsKind.FACE_ADAPTER,
    "sd21": WeightsKind.SD2_FOLDER,
    "texdreamer": WeightsKind.TEXDREAMER,
    "fused": WeightsKind.FUSED,
}


def test_every_layout_is_recognised(tiny: dict[str, TinyWeights]) -> None:
    assert {name: recognise(weights.path) for name, weights in tiny.items()} == KINDS
    vae = tiny["uvmap-id-a"].vae
    assert vae is not None
    assert recognise(vae) is WeightsKind.VAE


@pytest.mark.parametrize("layout", ["smplitex", "faceid-bin", "faceid-safetensors"])
@pytest.mark.parametrize("name", ["model.pt", "ip-adapter.ckpt", "sdxl.safetensors", "vae.bin", "weights"])
def test_the_name_of_a_file_says_nothing(copy_of: Callable[[str], Path], layout: str, name: str) -> None:
    file = copy_of(layout)
    assert recognise(file.rename(file.with_name(name))) is KINDS[layout]


def test_a_folder_with_one_file_is_that_file(copy_of: Callable[[str], Path]) -> None:
    assert recognise(copy_of("faceid-bin").parent) is WeightsKind.FACE_ADAPTER


def test_the_latest_checkpoint_counts(copy_of: Callable[[str], Path]) -> None:
    """Number 500 holds no processors, number 1500 does; by letters 500 would come last."""
    release = copy_of("uvmap-id-a")
    early = release / "checkpoint-500" / "unet"
    early.mkdir(parents=True)
    save_file({"conv_in.weight": torch.zeros(4, 4, 3, 3)}, early / "diffusion_pytorch_model.safetensors")
    assert recognise(release) is WeightsKind.RELEASE_A


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("conditioner.embedders.0.transformer.x", (1,), "Stable Diffusion XL"),
        ("add_embedding.linear_1.weight", (1, 1), "Stable Diffusion XL"),
        ("model.diffusion_model.label_emb.0.0.weight", (1, 1), "Stable Diffusion XL"),
        ("cond_stage_model.model.transformer.resblocks.0.x", (1,), "Stable Diffusion 2"),
        ("model.diffusion_model.joint_blocks.0.x", (1,), "Stable Diffusion 3"),
        ("model.diffusion_model.input_blocks.0.0.weight", (320, 9, 3, 3), "inpainting"),
        ("down_blocks.0.x", (1,), ""),
        ("lora_unet_down_blocks_0.lora_down.weight", (1, 1), "LoRA"),
        ("image_proj.perceiver_resampler.proj_in.weight", (1, 1), "IP-Adapter"),
        ("image_proj.proj.weight", (1, 1), "IP-Adapter"),
        ("transformer.h.0.attn.weight", (1, 1), "no known model"),
    ],
)
def test_another_model_is_refused_by_name(
    tmp_path: Path, refused: Callable, name: str, shape: tuple[int, ...], words: str
) -> None:
    file = tmp_path / "v1-5-pruned.safetensors"
    save_file({name: torch.zeros(shape)}, file)
    code = ErrorCode.WEIGHTS_UNSUPPORTED if words else ErrorCode.WEIGHTS_INCOMPLETE
    with refused(code, words, str(file)):
        recognise(file)


def test_sdxl_in_a_folder_is_refused(copy_of: Callable[[str], Path], refused: Callable) -> None:
    folder = copy_of("sd15")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(load_file(file) | {"add_embedding.linear_1.weight": torch.zeros(2, 2)}, file)
    with refused(ErrorCode.WEIGHTS_UNSUPPORTED, "Stable Diffusion XL"):
        recognise(folder)


def test_nothing_and_an_empty_folder_are_missing(tmp_path: Path, refused: Callable) -> None:
    with refused(ErrorCode.WEIGHTS_MISSING, "no-such"):
        recognise(tmp_path / "no-such")
    with refused(ErrorCode.WEIGHTS_MISSING, "empty"):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", ErrorCode.WEIGHTS_INCOMPLETE),
        (b"Please sign in to download this file.\n", ErrorCode.WEIGHTS_INVALID),
        (b"<!doctype html><title>Sign in</title>", ErrorCode.WEIGHTS_INVALID),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", ErrorCode.WEIGHTS_INCOMPLETE),
        (b"\x09\0\0\0\0\0\0\0{no json}", ErrorCode.WEIGHTS_INVALID),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", ErrorCode.WEIGHTS_INVALID),
        (b"\x0e\0\0\0\0\0\0\0" + b'{"a":{"b":[1]}}', ErrorCode.WEIGHTS_INVALID),
        (b"\x0f\0\0\0\0\0\0\0" + b'{"a":{"b":[1]}}', ErrorCode.WEIGHTS_INVALID),
        (b"\x02\0\0\0\0\0\0\0{} and more", ErrorCode.WEIGHTS_INVALID),
        (b"PK\x03\x04 no archive", ErrorCode.WEIGHTS_INCOMPLETE),
        (b"\x80\x02 no pickle", ErrorCode.WEIGHTS_INVALID),
    ],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_what_is_no_file_of_weights_is_refused(
    tmp_path: Path, refused: Callable, content: bytes, code: ErrorCode, suffix: str
) -> None:
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(content)
    with refused(code, str(file)):
        recognise(file)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.1, 0.5, 0.999])
@pytest.mark.parametrize("layout", ["smplitex", "faceid-bin", "faceid-safetensors"])
def test_half_a_download_is_incomplete(
    copy_of: Callable[[str], Path], refused: Callable, layout: str, kept: float
) -> None:
    file = copy_of(layout)
    content = file.read_bytes()
    file.write_bytes(content[: max(12, int(len(content) * kept))] if kept else b"")
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, file.name):
        recognise(file)


def test_a_part_file_is_incomplete(copy_of: Callable[[str], Path], refused: Callable) -> None:
    file = copy_of("smplitex")
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, ".part"):
        recognise(file.rename(file.with_name(f"{file.name}.part")))
    folder = copy_of("sd15")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_name(f"{file.name}.part"))
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, ".part"):
        recognise(folder)


def test_a_single_part_asks_for_the_whole(tiny: dict[str, TinyWeights], refused: Callable) -> None:
    release = tiny["uvmap-id-b"].path
    for file, words in {
        release / "unet" / "diffusion_pytorch_model.safetensors": "processors",
        release / "image_proj_model.ckpt": "identity projection",
        release / "text_encoder" / "model.safetensors": "text encoder",
    }.items():
        with refused(ErrorCode.WEIGHTS_INCOMPLETE, words):
            recognise(file)


def test_several_files_ask_which(tiny: dict[str, TinyWeights], refused: Callable) -> None:
    with refused(ErrorCode.WEIGHTS_UNSUPPORTED, "several"):
        recognise(tiny["faceid-bin"].path.parent)


def test_an_index_without_its_shard_is_incomplete(copy_of: Callable[[str], Path], refused: Callable) -> None:
    folder = copy_of("sd15")
    unet = folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    names = {"weight_map": {"conv_in.weight": "diffusion_pytorch_model-00001-of-00002.safetensors"}}
    (unet / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(names))
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, "00001-of-00002"):
        recognise(folder)
