"""Every layout loads, in every form that its parts come in; what is broken is refused by the tensor's name."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import is_offline_mode
from safetensors.torch import load_file, save_file

from uvmap_id.link.errors import ErrorCode
from uvmap_id.weights.load import Components, load_components
from uvmap_id.weights.parts import read_part
from uvmap_id.weights.tiny import TinyWeights

UNET_FILE = "diffusion_pytorch_model.safetensors"


def load(weights: TinyWeights, dtype: torch.dtype = torch.float32) -> Components:
    return load_components(weights.path, base=weights.base, vae=weights.vae, dtype=dtype)


def same(left: torch.nn.Module, right: torch.nn.Module, tolerance: float = 0.0) -> bool:
    others = right.state_dict()
    assert left.state_dict().keys() == others.keys()
    return all(torch.allclose(tensor, others[name], atol=tolerance) for name, tensor in left.state_dict().items())


def test_all_layouts_of_the_same_weights_are_the_same(tiny: dict[str, TinyWeights]) -> None:
    source = load(tiny["uvmap-id-b"])
    assert source.identity_projection is not None
    for layout in ("uvmap-id-a", "faceid-bin", "faceid-safetensors"):
        other = load(tiny[layout])
        assert other.identity_projection is not None
        assert same(other.unet, source.unet), layout
        assert same(other.vae, source.vae), layout
        assert same(other.text_encoder, source.text_encoder), layout
        assert same(other.identity_projection, source.identity_projection), layout
    base, single = load(tiny["sd15"]), load(tiny["smplitex"])
    assert same(single.unet, base.unet)
    assert same(single.vae, base.vae)
    assert same(single.text_encoder, base.text_encoder)
    assert base.identity_projection is None
    assert not same(base.unet, source.unet)


def test_a_plain_folder_gives_its_own_tensors(tiny: dict[str, TinyWeights]) -> None:
    loaded, folder = load(tiny["sd15"]), tiny["sd15"].path
    for module, name in ((loaded.unet, "unet"), (loaded.vae, "vae")):
        on_disk = read_part(folder / name).tensors
        assert module.state_dict().keys() == on_disk.keys()
        assert all(torch.equal(tensor, on_disk[key]) for key, tensor in module.state_dict().items())


def test_modules_are_ready_to_be_used(tiny: dict[str, TinyWeights]) -> None:
    loaded = load(tiny["uvmap-id-a"], torch.bfloat16)
    narrow, wide = torch.bfloat16, torch.float32
    for name, dtype in {"unet": narrow, "vae": narrow, "text_encoder": wide, "identity_projection": wide}.items():
        module = loaded.modules()[name]
        assert not module.training
        assert all(not each.requires_grad and each.dtype == dtype for each in module.parameters()), name
        assert all(each.device.type == "cpu" for each in (*module.parameters(), *module.buffers())), name
    assert loaded.scheduler.config["clip_sample"] is False
    assert loaded.scheduler.config["steps_offset"] == 1
    assert loaded.vae.config["scaling_factor"] == 0.18215
    tokens = loaded.tokenizer(["a sks texturemap"], padding="max_length", return_tensors="pt").input_ids
    assert tokens.shape == (1, 77)
    assert loaded.text_encoder(tokens).last_hidden_state.isfinite().all()


def test_v_prediction_is_read_from_the_scheduler(tiny: dict[str, TinyWeights]) -> None:
    assert {name: load(tiny[name]).prediction for name in ("sd15", "sd21", "texdreamer", "smplitex")} == {
        "sd15": "epsilon",
        "sd21": "v_prediction",
        "texdreamer": "v_prediction",
        "smplitex": "epsilon",
    }


def test_another_scheduler_that_was_saved_keeps_its_noise_and_loses_its_clipping(
    copy_of: Callable[[str], Path],
) -> None:
    folder = copy_of("sd15")
    (folder / "scheduler" / "scheduler_config.json").write_text(
        '{"_class_name": "DDPMScheduler", "beta_start": 0.001, "clip_sample": true, "variance_type": "fixed_small"}'
    )
    config = load_components(folder).scheduler.config
    assert (config["beta_start"], config["beta_schedule"]) == (0.001, "scaled_linear")
    assert config["clip_sample"] is False


def test_nothing_asks_the_network(tiny: dict[str, TinyWeights], monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is reachable as far as its client knows, but no name is looked up and no connection opened."""
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise OSError("no network in this test")

    assert not is_offline_mode()
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for weights in tiny.values():
        load(weights)
    assert asked == []


def test_a_release_without_its_vae_says_which_to_get(tiny: dict[str, TinyWeights], refused: Callable) -> None:
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, "vae"):
        load_components(tiny["uvmap-id-a"].path)
    assert same(load_components(tiny["uvmap-id-a"].path, base=tiny["sd15"].path).vae, load(tiny["sd15"]).vae)


def test_an_adapter_and_a_lora_need_the_right_base(tiny: dict[str, TinyWeights], refused: Callable) -> None:
    for layout in ("faceid-bin", "texdreamer"):
        with refused(ErrorCode.WEIGHTS_MISSING, "needs a base"):
            load_components(tiny[layout].path)
    with refused(ErrorCode.WEIGHTS_UNSUPPORTED, "sd2-folder"):
        load_components(tiny["faceid-bin"].path, base=tiny["sd21"].path)
    with refused(ErrorCode.WEIGHTS_UNSUPPORTED, "uvmap-id-b"):
        load_components(tiny["faceid-bin"].path, base=tiny["uvmap-id-b"].path)
    with refused(ErrorCode.WEIGHTS_UNSUPPORTED, "no Stable Diffusion 2.1"):
        load_components(tiny["texdreamer"].path, base=tiny["sd15"].path)


def test_an_adapter_on_a_single_file(tiny: dict[str, TinyWeights]) -> None:
    loaded = load_components(tiny["faceid-bin"].path, base=tiny["smplitex"].path)
    assert same(loaded.unet, load(tiny["uvmap-id-b"]).unet)


def test_a_single_file_needs_a_tokenizer(
    tiny: dict[str, TinyWeights], copy_of: Callable[[str], Path], refused: Callable
) -> None:
    file = copy_of("smplitex")
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, "tokenizer"):
        load_components(file)
    assert same(load_components(file, base=tiny["sd15"].path).unet, load(tiny["sd15"]).unet)


def test_a_vae_alone_is_no_texture_model(tiny: dict[str, TinyWeights], refused: Callable) -> None:
    vae = tiny["uvmap-id-a"].vae
    assert vae is not None
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, "only a VAE"):
        load_components(vae)
    with refused(ErrorCode.WEIGHTS_UNSUPPORTED, "no VAE"):
        load_components(tiny["sd15"].path, vae=tiny["faceid-bin"].path)


def test_a_vae_in_a_file_of_either_naming(tiny: dict[str, TinyWeights], tmp_path: Path) -> None:
    base = load(tiny["sd15"])
    own = tiny["sd15"].path / "vae"
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text((own / "config.json").read_text())
    names = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    old = {}
    for name, tensor in load_file(own / UNET_FILE).items():
        for new_name, old_name in names.items():
            name = name.replace(new_name, old_name)
        old[name] = tensor
    save_file(old, tmp_path / "old.safetensors")
    single = load_file(tiny["smplitex"].path)
    prefix = "first_stage_model."
    bare = {name.removeprefix(prefix): each for name, each in single.items() if name.startswith(prefix)}
    torch.save({"state_dict": bare | {"loss.logvar": torch.zeros(1)}, "epoch": 3}, tmp_path / "ldm.ckpt")
    for file in ("old.safetensors", "ldm.ckpt"):
        assert same(load_components(tiny["uvmap-id-a"].path, vae=tmp_path / file).vae, base.vae), file


def as_fp16_variant(unet: Path) -> None:
    tensors = load_file(unet / UNET_FILE)
    (unet / UNET_FILE).unlink()
    half = {name: tensor.half() for name, tensor in tensors.items()}
    save_file(half, unet / "diffusion_pytorch_model.fp16.safetensors")


def as_pickle(unet: Path) -> None:
    torch.save(load_file(unet / UNET_FILE), unet / "diffusion_pytorch_model.bin")
    (unet / UNET_FILE).unlink()


def as_old_pickle(unet: Path) -> None:
    """As PyTorch wrote it before 1.6, which can't be mapped into memory."""
    tensors = load_file(unet / UNET_FILE)
    torch.save(tensors, unet / "diffusion_pytorch_model.bin", _use_new_zipfile_serialization=False)
    (unet / UNET_FILE).unlink()


def as_shards(unet: Path) -> None:
    tensors = load_file(unet / UNET_FILE)
    names = sorted(tensors)
    shards = {
        "diffusion_pytorch_model-00001-of-00002": names[::2],
        "diffusion_pytorch_model-00002-of-00002": names[1::2],
    }
    places = {}
    for shard, each in shards.items():
        save_file({name: tensors[name] for name in each}, unet / f"{shard}.safetensors")
        places |= dict.fromkeys(each, f"{shard}.safetensors")
    (unet / f"{UNET_FILE}.index.json").write_text(str({"weight_map": places}).replace("'", '"'))
    (unet / UNET_FILE).unlink()


def beside_a_variant(unet: Path) -> None:
    """Full precision is preferred to the half beside it."""
    save_file({"conv_in.weight": torch.zeros(4, 4, 3, 3)}, unet / "diffusion_pytorch_model.fp16.safetensors")
    torch.save({}, unet / "diffusion_pytorch_model.bin")


@pytest.mark.parametrize("change", [as_fp16_variant, as_pickle, as_old_pickle, as_shards, beside_a_variant])
def test_every_form_of_a_module_is_read(
    tiny: dict[str, TinyWeights], copy_of: Callable[[str], Path], change: Callable[[Path], None]
) -> None:
    folder = copy_of("sd15")
    change(folder / "unet")
    assert same(load_components(folder).unet, load(tiny["sd15"]).unet, 1e-3 if change is as_fp16_variant else 0.0)


def test_a_safety_checker_is_not_looked_at(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("sd15")
    for name in ("safety_checker", "feature_extractor"):
        (folder / name).mkdir()
        (folder / name / "model.safetensors").write_bytes(b"anything")
    assert load_components(folder).identity_projection is None


def test_a_nested_projection_is_found(tiny: dict[str, TinyWeights], copy_of: Callable[[str], Path]) -> None:
    release = copy_of("uvmap-id-b")
    file = release / "image_proj_model.ckpt"
    tensors = torch.load(file, weights_only=True)
    nested = {"step": 1500, "image_proj_model": {f"module.{name}": tensor for name, tensor in tensors.items()}}
    torch.save(nested, file)
    projection, expected = load_components(release).identity_projection, load(tiny["uvmap-id-b"]).identity_projection
    assert projection is not None
    assert expected is not None
    assert same(projection, expected)


def test_a_checkpoint_without_its_text_encoder_does_not_get_the_bases(
    tiny: dict[str, TinyWeights], copy_of: Callable[[str], Path], refused: Callable
) -> None:
    release = copy_of("uvmap-id-a")
    checkpoint = release / "checkpoint-1500"
    (release / "unet" / "config.json").rename(checkpoint / "unet" / "config.json")
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, "text_encoder"):
        load_components(checkpoint, base=tiny["sd15"].path)


def test_a_missing_projection_is_named(copy_of: Callable[[str], Path], refused: Callable) -> None:
    release = copy_of("uvmap-id-b")
    (release / "image_proj_model.ckpt").unlink()
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, "proj.0.weight"):
        load_components(release)


BLOCK = "up_blocks.1.attentions.2.transformer_blocks.0.attn2"


@pytest.mark.parametrize(
    ("name", "tensor", "code"),
    [
        ("conv_in.weight", None, ErrorCode.WEIGHTS_INCOMPLETE),
        (f"{BLOCK}.to_k.weight", None, ErrorCode.WEIGHTS_INCOMPLETE),
        (f"{BLOCK}.processor.to_k_ip.weight", None, ErrorCode.WEIGHTS_INCOMPLETE),
        (f"{BLOCK}.processor.to_out_lora.up.weight", None, ErrorCode.WEIGHTS_INCOMPLETE),
        ("mid_block.unknown.weight", torch.zeros(3), ErrorCode.WEIGHTS_INVALID),
        (f"{BLOCK}.processor.to_q_ip.weight", torch.zeros(3, 3), ErrorCode.WEIGHTS_INVALID),
        ("conv_out.bias", torch.zeros(5), ErrorCode.WEIGHTS_INVALID),
        (f"{BLOCK}.processor.to_q_lora.up.weight", torch.zeros(16, 5), ErrorCode.WEIGHTS_INVALID),
        (f"{BLOCK}.processor.to_q_lora.down.weight", torch.zeros(()), ErrorCode.WEIGHTS_INVALID),
        ("conv_out.bias", torch.tensor([0, 0, float("nan"), 0]), ErrorCode.WEIGHTS_INVALID),
        ("conv_out.bias", torch.tensor([0, 0, float("inf"), 0]), ErrorCode.WEIGHTS_INVALID),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    copy_of: Callable[[str], Path], refused: Callable, name: str, tensor: torch.Tensor | None, code: ErrorCode
) -> None:
    release = copy_of("uvmap-id-b")
    tensors = load_file(release / "unet" / UNET_FILE)
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    save_file(tensors, release / "unet" / UNET_FILE)
    # A pair is named by the weight that it would update.
    words = f"{BLOCK}.to_q.weight" if "to_q_lora" in name else name
    with refused(code, words):
        load_components(release)


@pytest.mark.parametrize("part", ["vae", "text_encoder"])
def test_other_modules_are_checked_as_well(copy_of: Callable[[str], Path], refused: Callable, part: str) -> None:
    folder = copy_of("sd15")
    (file,) = (folder / part).glob("*.safetensors")
    tensors = load_file(file)
    gone = sorted(tensors)[-1]
    del tensors[gone]
    save_file(tensors, file)
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, gone):
        load_components(folder)


def test_parts_of_different_models_are_refused(copy_of: Callable[[str], Path], refused: Callable) -> None:
    folder = copy_of("sd15")
    config = folder / "text_encoder" / "config.json"
    config.write_text(config.read_text().replace('"hidden_size": 32', '"hidden_size": 64'))
    with refused(ErrorCode.WEIGHTS_UNSUPPORTED, "64", "32"):
        load_components(folder)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"block_out_channels": 3}', '{"attention_head_dim": "8"}'])
def test_a_broken_configuration_is_refused(copy_of: Callable[[str], Path], refused: Callable, content: str) -> None:
    folder = copy_of("sd15")
    (folder / "unet" / "config.json").write_text(content)
    with refused(ErrorCode.WEIGHTS_INVALID):
        load_components(folder)


@pytest.mark.parametrize("file", ["vocab.json", "tokenizer_config.json"])
def test_a_broken_tokenizer_is_refused(copy_of: Callable[[str], Path], refused: Callable, file: str) -> None:
    folder = copy_of("sd15")
    (folder / "tokenizer" / file).write_text("{")
    with refused(ErrorCode.WEIGHTS_INVALID, "tokenizer"):
        load_components(folder)


class Hostile:
    """Creates a file when it is unpickled by what runs pickles."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable, tuple[str, str]]:
        return open, (str(self.target), "w")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol", "ignore:unclosed file")
@pytest.mark.parametrize("plain", [True, False])
def test_a_pickle_is_never_run(copy_of: Callable[[str], Path], tmp_path: Path, refused: Callable, plain: bool) -> None:
    release, target = copy_of("uvmap-id-b"), tmp_path / "created"
    file = release / "image_proj_model.ckpt"
    content = torch.load(file, weights_only=True) | {"extra": Hostile(target)}
    if plain:
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file)
    with refused(ErrorCode.WEIGHTS_INVALID, "more than tensors"):
        load_components(release)
    assert not target.exists()
    with file.open("rb") as stream:
        if plain:
            pickle.load(stream)  # noqa: S301 - the trap is shown to work
            assert target.exists()


def test_a_pickle_with_a_harmless_class_is_refused(tmp_path: Path, refused: Callable) -> None:
    file = tmp_path / "model.ckpt"
    torch.save({"state_dict": {}, "callback": Path("x")}, file)
    with refused(ErrorCode.WEIGHTS_INVALID, "more than tensors"):
        load_components(file)


def test_a_pickle_that_only_names_a_tensor_type_is_not_run(tmp_path: Path, refused: Callable) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"\x80\x02ctorch\nload\nq\x00.")
    with refused(ErrorCode.WEIGHTS_INVALID):
        load_components(file)
