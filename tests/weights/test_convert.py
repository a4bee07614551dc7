"""Converted weights are the source's, folded; a folder of them is there as a whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from uvmap_id.link.errors import ErrorCode
from uvmap_id.weights.convert import convert
from uvmap_id.weights.load import Components, load_components
from uvmap_id.weights.manifest import read_manifest, verify
from uvmap_id.weights.recognise import WeightsKind
from uvmap_id.weights.tiny import TinyWeights

LAYOUTS = ("uvmap-id-a", "uvmap-id-b", "sd15", "smplitex", "faceid-bin", "faceid-safetensors", "sd21", "texdreamer")


def modules_of(components: Components) -> dict[str, torch.Tensor]:
    """All tensors of all modules."""
    parts = {name: components.modules()[name] for name in ("unet", "vae", "text_encoder", "identity_projection")}
    return {
        f"{name}.{key}": tensor
        for name, module in parts.items()
        if module is not None
        for key, tensor in module.state_dict().items()
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_the_same_after_conversion(tiny: dict[str, TinyWeights], tmp_path: Path, layout: str) -> None:
    weights, folder = tiny[layout], tmp_path / "new" / "fused"
    manifest = convert(
        weights.path, folder, base=weights.base, vae=weights.vae, dtype=torch.float32, licence="CC-BY-NC-4.0"
    )
    source = load_components(weights.path, base=weights.base, vae=weights.vae)
    loaded = load_components(folder)
    before, after = modules_of(source), modules_of(loaded)
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert loaded.kind is WeightsKind.FUSED
    assert loaded.prediction == source.prediction == manifest.prediction
    assert loaded.tokenizer("a coat").input_ids == source.tokenizer("a coat").input_ids
    assert (manifest.source, manifest.licence, manifest.dtype) == (source.kind.value, "CC-BY-NC-4.0", "float32")
    assert verify(folder) == manifest
    assert [path.name for path in folder.parent.iterdir()] == ["fused"]


def test_half_precision_is_the_folded_weight_rounded_once(tiny: dict[str, TinyWeights], tmp_path: Path) -> None:
    convert(tiny["uvmap-id-b"].path, tmp_path / "half", dtype=torch.float16)
    exact = modules_of(load_components(tiny["uvmap-id-b"].path))
    half = modules_of(load_components(tmp_path / "half"))
    for name, tensor in exact.items():
        narrow = name.startswith(("unet", "vae"))
        assert torch.equal(tensor.half().float() if narrow else tensor, half[name]), name


def test_nothing_is_left_to_fold(tiny: dict[str, TinyWeights]) -> None:
    folder = tiny["fused"].path
    with safe_open(folder / "unet" / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert len(list(file.keys())) == 686
    with safe_open(folder / "identity.safetensors", "pt") as file:
        assert len(list(file.keys())) == 6 + 32
    content = json.loads((folder / "manifest.json").read_text())
    assert content["uvmap_id_weights"] == 1
    assert content["identity"] == {"embedding_size": 512, "token_size": 32, "tokens": 4}
    assert content["files"].keys() == {
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
    } - {"manifest.json"}


def test_an_adapter_takes_converted_weights_as_its_base(tiny: dict[str, TinyWeights], tmp_path: Path) -> None:
    convert(tiny["sd15"].path, tmp_path / "base", dtype=torch.float32)
    expected = modules_of(load_components(tiny["faceid-bin"].path, base=tiny["sd15"].path))
    result = modules_of(load_components(tiny["faceid-bin"].path, base=tmp_path / "base"))
    assert all(torch.equal(tensor, result[name]) for name, tensor in expected.items())


def test_a_folder_is_replaced_only_when_told(tiny: dict[str, TinyWeights], tmp_path: Path, refused: Callable) -> None:
    folder = tmp_path / "fused"
    convert(tiny["sd15"].path, folder)
    with refused(ErrorCode.OUTPUT_NOT_WRITABLE, "exists"):
        convert(tiny["uvmap-id-b"].path, folder)
    assert load_components(folder).identity_projection is None
    convert(tiny["uvmap-id-b"].path, folder, overwrite=True)
    assert load_components(folder).identity_projection is not None
    assert [path.name for path in tmp_path.iterdir()] == ["fused"]


def test_weights_convert_onto_themselves(copy_of: Callable[[str], Path], tiny: dict[str, TinyWeights]) -> None:
    folder = copy_of("fused")
    manifest = convert(folder, folder, dtype=torch.float16, overwrite=True)
    assert (manifest.source, manifest.base) == ("uvmap-id-b", "stable-diffusion-1")
    before, after = modules_of(load_components(tiny["fused"].path)), modules_of(load_components(folder))
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_what_is_no_converted_folder_is_never_replaced(
    tiny: dict[str, TinyWeights], copy_of: Callable[[str], Path], refused: Callable
) -> None:
    mine = copy_of("sd15")
    with refused(ErrorCode.OUTPUT_NOT_WRITABLE, "something else"):
        convert(tiny["uvmap-id-b"].path, mine, overwrite=True)
    assert load_components(mine).kind is WeightsKind.FOLDER


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file can grow beyond 200 kB, as on a disk that gets full."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_write_leaves_the_old_folder_and_nothing_else(
    copy_of: Callable[[str], Path], tmp_path: Path, refused: Callable, request: pytest.FixtureRequest
) -> None:
    folder, source = copy_of("fused"), copy_of("uvmap-id-b")
    request.getfixturevalue("small_files")
    with refused(ErrorCode.OUTPUT_NOT_WRITABLE, str(folder)):
        convert(source, folder, overwrite=True)
    verify(folder)
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, source.name}


def test_weights_beyond_half_precision_are_not_written(
    copy_of: Callable[[str], Path], tmp_path: Path, refused: Callable
) -> None:
    source = copy_of("sd15")
    file = source / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(load_file(file) | {"conv_out.bias": torch.full((4,), 1e6)}, file)
    with refused(ErrorCode.WEIGHTS_INVALID, "conv_out.bias"):
        convert(source, tmp_path / "half", dtype=torch.float16)
    assert not (tmp_path / "half").exists()
    convert(source, tmp_path / "exact")


def test_a_file_in_place_of_a_folder_is_named(tiny: dict[str, TinyWeights], tmp_path: Path, refused: Callable) -> None:
    (tmp_path / "file").write_text("mine")
    with refused(ErrorCode.OUTPUT_NOT_WRITABLE, "file"):
        convert(tiny["sd15"].path, tmp_path / "file" / "fused")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_missing_or_shorter_file_is_noticed_at_once(copy_of: Callable[[str], Path], refused: Callable) -> None:
    folder = copy_of("fused")
    file = folder / "vae" / "config.json"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, "config.json"):
        load_components(folder)
    file.unlink()
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, "config.json"):
        read_manifest(folder)


def test_a_changed_byte_is_found_by_its_hash(copy_of: Callable[[str], Path], refused: Callable) -> None:
    folder = copy_of("fused")
    file = folder / "identity.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with refused(ErrorCode.WEIGHTS_INVALID, "identity.safetensors"):
        verify(folder)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"uvmap_id_weights": 2}, ErrorCode.WEIGHTS_UNSUPPORTED),
        ({"files": []}, ErrorCode.WEIGHTS_INVALID),
        ({"files": {"unet/config.json": 3}}, ErrorCode.WEIGHTS_INVALID),
        ({"identity": {"tokens": "many"}}, ErrorCode.WEIGHTS_INVALID),
    ],
)
def test_another_manifest_is_refused(
    copy_of: Callable[[str], Path], refused: Callable, change: dict[str, object], code: ErrorCode
) -> None:
    folder = copy_of("fused")
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with refused(code):
        load_components(folder)
